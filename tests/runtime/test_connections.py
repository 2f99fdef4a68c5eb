"""Connections of a network that opens too many, refused before anything else happens."""

import contextlib
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from invitereg.config import Tls
from invitereg.policy.networks import nested_shares
from invitereg.policy.values import Domain, Limit, Limits, Policy
from invitereg.runtime import connections
from invitereg.runtime.connections import (
    ConnectionGate,
    ConnectionRate,
    ForwardedFactory,
    GatedFactory,
)
from invitereg.runtime.ports import Ports
from invitereg.runtime.proxyprotocol import ProxiedFactory
from invitereg.runtime.tls import Certificates, write_certificate
from invitereg.web.monitoring import Prometheus

LIMIT = Limit(max=20, period=timedelta(seconds=1))
HERE, THERE, PROXY = "192.0.2.1", "198.51.100.7", "203.0.113.1"
HOME = "2001:db8:1:203::1"


def domains(**limits: Any) -> dict[str, Domain]:
    policy = Policy(limits=Limits(**limits))
    return {"example.com": Domain(name="example.com", policy=policy)}


class RateTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.rate = ConnectionRate(LIMIT, self.clock.seconds)

    def begin(self, count: int, address: str = HERE) -> int:
        """How many of so many connections are let through."""
        shares = nested_shares(ip_address(address))
        return sum(self.rate.add(shares) for _ in range(count))

    def test_at_once(self) -> None:
        """A browser, or a party behind one address, may open twenty at once; others too."""
        self.assertEqual(self.begin(100), 20)
        self.assertEqual(self.begin(100, THERE), 20)

    def test_evenly(self) -> None:
        """After that, twenty in each second are let through, for as long as it takes."""
        let_through = 0
        for _ in range(1000):
            let_through += self.begin(3)
            self.clock.advance(0.01)
        self.assertIn(let_through, (219, 220))

    def test_subscriber(self) -> None:
        """Who has a whole IPv6 /48 begins four times as many as one network."""
        addresses = [ip_address("2001:db8:1::1") + (number << 70) for number in range(1024)]
        let_through = sum(self.rate.add(nested_shares(each)) for each in addresses)
        self.assertEqual(let_through, 80)

    def test_refused_ones_cost_nothing(self) -> None:
        """Who goes on too fast gets on as fast as allowed, and neighbours are not hit."""
        self.assertEqual(self.begin(10000, HOME), 20)
        self.assertEqual(self.begin(20, "2001:db8:1:204::1"), 20)

    def test_forgotten(self) -> None:
        """Of networks that have paid for what they began nothing is kept."""
        for number in range(5000):
            self.begin(1, str(ip_address("10.0.0.0") + number))
        self.clock.advance(1)
        self.begin(1)
        self.assertEqual(len(self.rate), 1)

    def test_bounded(self) -> None:
        """However many networks there are, so many are remembered."""
        self.patch(connections, "MAX_NETWORKS", 100)
        for number in range(5000):
            self.begin(1, str(ip_address("10.0.0.0") + number))
        self.assertLessEqual(len(self.rate), 100)
        self.assertEqual(self.begin(20), 20)

    @given(
        st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30)), max_size=20),
        st.integers(1, 5),
    )
    def test_any_pace(self, steps: list[tuple[float, int]], most: int) -> None:
        """In no time are more let through than once at once and the rest evenly."""
        clock = Clock()
        self.rate = ConnectionRate(Limit(max=most, period=LIMIT.period), clock.seconds)
        let_through = 0
        for pause, count in steps:
            clock.advance(pause)
            let_through += self.begin(count)
            self.assertLessEqual(let_through, most + clock.seconds() * most + 1e-6)


class Noted(Factory):
    """Makes protocols, and notes what they hear."""

    def __init__(self) -> None:
        self.made: list[SimpleNamespace] = []

    def buildProtocol(self, addr: Any) -> Any:
        """As a factory does."""
        note = SimpleNamespace(heard=b"")
        self.made.append(note)

        class Ear(Protocol):
            def dataReceived(self, data: bytes) -> None:
                note.heard += data

        return Ear()


class GateTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.noted = Noted()

    def factory(self, *, trusted: str | None = None, **limits: Any) -> GatedFactory:
        proxies = () if trusted is None else (ip_network(trusted),)
        rate = ConnectionRate(LIMIT, self.clock.seconds)
        self.meter = Prometheus()
        self.gate = ConnectionGate(domains(**limits), rate, proxies, self.meter)
        return GatedFactory(self.noted, self.gate)

    def taken(self, factory: Any, count: int, address: Any = HERE) -> int:
        """How many of so many connections are taken."""
        if isinstance(address, str):
            address = IPv4Address("TCP", address, 40000)
        return sum(factory.buildProtocol(address) is not None for _ in range(count))

    def test_refused(self) -> None:
        """Nothing is made for a connection that is refused, at whichever port it comes in."""
        factory = self.factory()
        self.assertEqual(self.taken(factory, 15), 15)
        self.assertEqual(self.taken(GatedFactory(self.noted, self.gate), 15), 5)
        self.assertEqual(len(self.noted.made), 20)

    def test_exempt(self) -> None:
        """Neither listed networks are counted, nor trusted proxies, nor sockets of here."""
        self.assertEqual(self.taken(self.factory(allowlist=(ip_network(HERE),)), 50), 50)
        self.assertEqual(self.taken(self.factory(trusted="192.0.2.0/24"), 50), 50)
        factory = self.factory()
        self.assertEqual(self.taken(factory, 50, UNIXAddress("/run/x")), 50)
        self.assertEqual(self.taken(factory, 50), 20)

    def test_log(self) -> None:
        """The log tells of it, in a bounded number of lines."""
        lines: list[str] = []
        factory = self.factory()
        self.patch(
            self.gate.refusals,
            "_log",
            SimpleNamespace(info=lambda text, **_: lines.append(text)),
        )
        self.taken(factory, 5000)
        self.assertEqual(len(lines), 10)

    def test_metric(self) -> None:
        """Monitoring counts those that are refused, and all of them."""
        self.taken(self.factory(), 5000)
        counted = ("invitereg_refused_connections_total", {"limit": "connections"})
        self.assertEqual(self.meter.registry.get_sample_value(*counted), 4980)

    # --- behind a proxy that tells who its clients are

    def forwarded(self, client: str | None, says: bytes = b"x") -> Any:
        """A connection by the proxy, for a client or for itself, which says something."""
        if not hasattr(self, "gate"):
            self.factory()
        forwarded = ForwardedFactory(self.noted, self.gate, self.clock)
        factory = ProxiedFactory(forwarded, "a port")
        peer = IPv4Address("TCP", PROXY, 40000)
        protocol = factory.buildProtocol(peer)
        transport = StringTransport(peerAddress=peer)
        protocol.makeConnection(transport)
        if client is not None:
            line = f"PROXY TCP4 {client} 203.0.113.2 40000 5222\r\n"
            protocol.dataReceived(line.encode())
            if says:
                protocol.dataReceived(says)
        return transport

    def test_forwarded(self) -> None:
        """Each client of a proxy is counted by its own address, not by the proxy's."""
        for _ in range(30):
            self.forwarded(HERE)
        for number in range(100):
            self.forwarded(f"198.51.100.{number}")
        self.assertEqual(sum(note.heard == b"x" for note in self.noted.made), 120)

    def test_forwarded_and_refused(self) -> None:
        """A refused client's connection is dropped before anything is read of it."""
        transports = [self.forwarded(HERE) for _ in range(21)]
        aborted = [transport.disconnected for transport in transports]
        self.assertEqual(aborted, [False] * 20 + [True])
        self.assertEqual(self.noted.made[-1].heard, b"")

    def test_of_the_proxy(self) -> None:
        """What the proxy begins and says nothing about is not counted, nor what is its own."""
        for _ in range(50):
            self.forwarded(None)
            self.forwarded(PROXY)
        self.assertEqual(sum(note.heard == b"x" for note in self.noted.made), 50)
        self.assertEqual(len(self.gate.rate), 0)

    def test_silent_client(self) -> None:
        """A client that says nothing is known, and counted, by what the proxy says."""
        transports = [self.forwarded(HERE, says=b"") for _ in range(21)]
        self.assertEqual([each.disconnected for each in transports], [False] * 20 + [True])

    def test_silent(self) -> None:
        """A connection on which a proxy says nothing is dropped after a while, others not."""
        silent, heard = self.forwarded(None), self.forwarded(HERE)
        self.clock.advance(29)
        self.assertFalse(silent.disconnected)
        self.clock.advance(1)
        self.assertTrue(silent.disconnected)
        self.clock.advance(3600)
        self.assertFalse(heard.disconnected)


class Ear(Protocol):
    """A client that hears what comes until it is hung up on."""

    def __init__(self) -> None:
        self.heard = b""
        self.begun: Deferred[bool] = Deferred()
        self.lost: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        if not self.begun.called:
            self.begun.callback(True)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.begun.called:
            self.begun.callback(False)
        self.lost.callback(None)


def client_hello() -> bytes:
    """What a TLS client says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="example.com").do_handshake()
    return outgoing.read()


class PortTests(TestCase):
    """These ports, and the network, are real; the gate's clock stands still."""

    timeout = 60

    async def begun(self, text: str, factory: Any, count: int, hello: bytes) -> int:
        """How many of so many connections to a port hear anything."""
        rate = ConnectionRate(LIMIT, Clock().seconds)
        ports: Any = Ports(reactor, ConnectionGate(domains(), rate), [(text, factory)])
        ports.startService()
        where = TCP4ClientEndpoint(reactor, "127.0.0.1", ports._open[0].getHost().port)
        clients: list[Any] = []
        for _ in range(count):
            client: Any = await connectProtocol(where, Ear())
            client.transport.write(hello)
            clients.append(client)
        heard = [await client.begun for client in clients]
        for client in clients:
            client.transport.abortConnection()
            await client.lost
        await ports.stopService()
        self.assertEqual(heard, sorted(heard, reverse=True))
        return sum(heard)

    async def test_tls(self) -> None:
        """No handshake begins on a connection that is refused."""
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        folder = Path(temporary.name)
        write_certificate(folder, "example.com")
        tls = Tls.model_construct(
            certificate=folder / "fullchain.pem", private_key=folder / "privkey.pem"
        )
        certificates = Certificates({"example.com": tls}, [], lambda: datetime.now(UTC))
        factory = TLSMemoryBIOFactory(certificates, False, Factory.forProtocol(Protocol))
        count = await self.begun("tcp:0:interface=127.0.0.1", factory, 30, client_hello())
        self.assertEqual(count, 20)

    async def test_clear(self) -> None:
        """Twenty at once are greeted, and the rest is hung up on."""

        class Greeter(Protocol):
            def connectionMade(self) -> None:
                self.transport.write(b"hello")  # type: ignore[union-attr]

        factory = Factory.forProtocol(Greeter)
        count = await self.begun("tcp:0:interface=127.0.0.1", factory, 30, b"x")
        self.assertEqual(count, 20)
