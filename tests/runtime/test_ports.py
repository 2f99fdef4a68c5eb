"""Ports of a process that has few descriptors left; these and the network are real."""

import errno
import os
import resource
import traceback
from contextlib import ExitStack
from typing import Any

from twisted.internet import reactor, tcp
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock, deferLater
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from invitereg.runtime.ports import (
    KEPT_DESCRIPTORS,
    PAUSE_SECONDS,
    Ports,
    StartFailure,
    next_descriptor,
)

SPARE = 300


def later() -> "Deferred[None]":
    """The next turn of the reactor."""
    return deferLater(reactor, 0)  # type: ignore[arg-type]


class Clocked(Clock):
    """The reactor's network, with a time of our own."""

    listenTCP = staticmethod(reactor.listenTCP)  # type: ignore[attr-defined]  # noqa: N815


class Greeter(Protocol):
    """Says hello, and keeps the connection."""

    def connectionMade(self) -> None:
        self.transport.write(b"hello")  # type: ignore[union-attr]


class Client(Protocol):
    """Sees whether it is greeted or hung up on."""

    def __init__(self) -> None:
        self.told: Deferred[bool] = Deferred()
        self.lost: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        if not self.told.called:
            self.told.callback(True)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.told.called:
            self.told.callback(False)
        self.lost.callback(None)


class Forbidden(Clocked):
    """A network in which nobody but root may open a port."""

    @staticmethod
    def listenTCP(port: int, *_rest: object, **_more: object) -> Any:
        error = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        raise CannotListenError(None, port, error)


class RefusedTests(SynchronousTestCase):
    def test_reserved_port(self) -> None:
        """Who has no right to a low port is told who may open it, and with others nothing."""
        for port, is_reserved in ((443, True), (1023, True), (1024, False)):
            ports = Ports(Forbidden(), None, [(f"tcp:{port}", Factory())])
            with self.assertRaises(StartFailure) as refused:
                ports.startService()
            text = str(refused.exception)
            self.assertIn(f"cannot listen on tcp:{port}: [Errno 13] Permission denied", text)
            self.assertEqual("let systemd hold it (docs/operations.md" in text, is_reserved)

    def test_daemon(self) -> None:
        """Where twistd became a daemon it prints a hundred bytes: the reason is among them."""
        text = (
            "cannot listen on tcp:5222:interface=127.0.0.1: [Errno 98] Address already in use"
        )
        (line,) = traceback.format_exception_only(StartFailure(text))
        self.assertIn("Address", line[:100])


class DescriptorTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.limit = next_descriptor(soft) + SPARE
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.limit, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        self.files = ExitStack()
        self.addCleanup(self.files.close)
        self.events: list[Any] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def listen(self, network: Any = reactor) -> None:
        """Listen on one port for XMPP and on one for the site."""
        listeners = [("tcp:0:interface=127.0.0.1", Factory.forProtocol(Greeter))]
        self.ports = Ports(network, None, listeners, yielding=listeners)
        self.ports.startService()
        self.addCleanup(self.ports.stopService)
        self.xmpp, self.web = (port.getHost().port for port in self.ports._open)

    def use_up(self, count: int) -> None:
        """Open files until so many descriptors are in use."""
        while next_descriptor(self.limit) < count:
            self.files.callback(os.close, os.open(os.devnull, os.O_RDONLY))

    async def is_served(self, port: int) -> bool:
        where = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        client: Any = await connectProtocol(where, Client())
        served: bool = await client.told
        client.transport.abortConnection()
        await client.lost
        return served

    async def test_web_stops_first(self) -> None:
        """When descriptors become scarce, clients of XMPP get in, and visitors do not."""
        self.listen()
        for used, xmpp, web in (
            (self.limit // 2, True, True),
            (self.limit * 3 // 4, True, False),
            (self.limit - KEPT_DESCRIPTORS, False, False),
        ):
            self.use_up(used)
            served = await self.is_served(self.xmpp), await self.is_served(self.web)
            self.assertEqual(served, (xmpp, web), used)
        self.files.close()
        self.assertTrue(await self.is_served(self.xmpp))
        self.assertTrue(await self.is_served(self.web))

    async def test_flood(self) -> None:
        """Who opens connections to the site until no more come leaves XMPP its own."""
        self.listen()
        clients: list[Any] = []
        served = True
        while served:
            where = TCP4ClientEndpoint(reactor, "127.0.0.1", self.web)
            clients.append(await connectProtocol(where, Client()))
            served = await clients[-1].told
        self.assertTrue(await self.is_served(self.xmpp))
        self.assertLess(next_descriptor(self.limit), self.limit - KEPT_DESCRIPTORS)
        for client in clients:
            client.transport.abortConnection()
            await client.lost
        self.assertTrue(await self.is_served(self.web))

    async def test_none_left(self) -> None:
        """A port that has met a process without any descriptor goes on when there are some."""
        self.listen()
        where = TCP4ClientEndpoint(reactor, "127.0.0.1", self.xmpp)
        await later()  # what the reactor opens when it starts is open then
        self.use_up(self.limit - 1)  # one is left, for the client
        client: Any = await connectProtocol(where, Client())
        served = await client.told
        self.files.close()
        self.assertFalse(served)
        self.assertTrue(await self.is_served(self.xmpp))

    async def test_no_spinning(self) -> None:
        """A port without any descriptor rests, and goes on when there are some again."""
        self.patch(tcp, "_reservedFD", tcp._NullFileDescriptorReservation())
        clock: Any = Clocked()
        self.listen(clock)
        (port, _web), reads = self.ports._open, []
        read = port.doRead

        def count() -> None:
            reads.append(None)
            read()

        port.doRead = count
        await later()
        self.use_up(self.limit - 1)  # one is left, for the client
        where = TCP4ClientEndpoint(reactor, "127.0.0.1", self.xmpp)
        client: Any = await connectProtocol(where, Client())
        while not reads:
            await later()
        for _turn in range(100):
            await later()
        tries = len(reads)
        self.files.close()  # before anything fails: no failure can be told without descriptors
        self.assertEqual(tries, 1)
        clock.advance(PAUSE_SECONDS)
        self.assertTrue(await client.told)
        client.transport.abortConnection()
        await client.lost

    async def test_log(self) -> None:
        """The log says once that connections are refused, and how to allow more."""
        self.listen()
        self.use_up(self.limit * 3 // 4)
        for _ in range(5):
            self.assertFalse(await self.is_served(self.web))
        told = [event for event in self.events if event.get("cause")]
        self.assertEqual(len(told), 1)
        self.assertIn("LimitNOFILE", told[0]["cause"])
