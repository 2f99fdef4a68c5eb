"""Connections to the site: how many may be open, and for how long."""

import gc
import weakref
from ipaddress import ip_network
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, ISSLTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.pages import notFound
from zope.interface import directlyProvides

from invitereg.runtime.proxyprotocol import ProxiedFactory
from invitereg.web.channel import IDLE_SECONDS, PROXY_IDLE_SECONDS, REQUEST_SECONDS
from invitereg.web.connections import WebConnections
from invitereg.web.settings import SiteSettings
from invitereg.web.site import WebDoor
from tests.web.door import DOMAIN

REQUEST = b"GET /nosuch HTTP/1.1\r\nHost: x\r\n\r\n"
ANYBODY, OTHER, PROXY = "192.0.2.1", "198.51.100.1", "203.0.113.1"


def address_of(host: str | None) -> IAddress:
    if host is None:
        return UNIXAddress(None)
    kind = IPv6Address if ":" in host else IPv4Address
    return kind("TCP", host, 40000)


class Client:
    """A connection of somebody, who sees when it is closed."""

    def __init__(
        self, factory: Any, clock: Clock, host: str | None, *, tls: bool = False
    ) -> None:
        self.clock = clock
        self.transport: Any = StringTransport(peerAddress=address_of(host))
        if tls:
            directlyProvides(self.transport, ISSLTransport)
            self.transport.setTcpNoDelay = lambda _enabled: None
        self.protocol = factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        self.gone = False
        self.look()

    def send(self, data: bytes) -> bytes:
        """What is answered to some bytes."""
        self.transport.clear()
        self.protocol.dataReceived(data)
        self.clock.advance(0)
        self.look()
        return self.transport.value()

    def look(self) -> None:
        """Notice that the service has hung up."""
        if self.transport.disconnecting or self.transport.disconnected:
            self.close()

    def close(self) -> None:
        if not self.gone:
            self.gone = True
            self.protocol.connectionLost(Failure(ConnectionDone()))


class ConnectionCase(SynchronousTestCase):
    per_network, altogether = 100, 2000

    def setUp(self) -> None:
        self.clock = Clock()
        site = SiteSettings(domain=DOMAIN, external_url="https://example.com/")
        self.door = WebDoor(
            sites={DOMAIN: site},
            trusted_proxies=(ip_network(PROXY),),
            pages=notFound(),
            reactor=self.clock,
        )
        self.door.connections = WebConnections(self.per_network, self.altogether)
        self.factory = self.door.listener()

    def client(self, host: str | None = ANYBODY, **options: bool) -> Client:
        return Client(self.factory, self.clock, host, **options)

    def assertServed(self, client: Client) -> None:
        self.assertIn(b"HTTP/1.1 404 ", client.send(REQUEST))

    def wait(self, seconds: float, clients: list[Client]) -> None:
        self.clock.advance(seconds)
        for client in clients:
            client.look()


class LimitTests(ConnectionCase):
    def test_idle(self) -> None:
        """Who keeps 700 connections open gets 100, and others are served meanwhile."""
        clients = [self.client() for _ in range(700)]
        for client in clients[:100]:
            self.assertServed(client)
        self.assertEqual([client.gone for client in clients], [False] * 100 + [True] * 600)
        self.assertServed(self.client(OTHER))
        clients[0].close()
        self.assertServed(self.client())
        self.wait(IDLE_SECONDS, clients)
        self.assertTrue(all(client.gone for client in clients))
        self.assertServed(self.client())

    def test_half_sent(self) -> None:
        """Thousands of half-sent requests hold what one network may, and not for long."""
        clients = []
        for number in range(2300):
            client = self.client()
            if not client.gone:
                client.send(REQUEST[: 1 + number % (len(REQUEST) - 1)])
            clients.append(client)
        self.assertEqual(len(self.door.connections), 100)
        for _second in range(REQUEST_SECONDS):
            for client in clients:
                if not client.gone:
                    client.send(b"x")
            self.wait(1, clients)
        self.assertEqual(len(self.door.connections), 0)

    def test_many_networks(self) -> None:
        """All networks together may have so many."""
        clients = [self.client(f"10.{n % 250}.{n // 250}.1") for n in range(2300)]
        self.assertEqual(sum(not client.gone for client in clients), 2000)
        self.assertTrue(self.client(OTHER).gone)
        clients[0].close()
        self.assertServed(self.client(OTHER))

    def test_ipv6(self) -> None:
        """A subscriber's /48 has some times as many as a single network, not 65,536."""
        clients = [
            self.client(f"2001:db8:0:{subnet:x}::{host:x}")
            for subnet in range(0, 0x10000, 0x80)
            for host in range(3)
        ]
        self.assertLessEqual(sum(not client.gone for client in clients), 400)
        self.assertServed(self.client("2001:db8:1::1"))

    def test_region(self) -> None:
        """However many networks a provider's customer has, half is left for others."""
        for wide in ("10.0.{0}.{1}", "2001:db8:{0:x}:{1:x}::1"):
            clients = [self.client(wide.format(n // 250, n % 250)) for n in range(2300)]
            self.assertEqual(sum(not client.gone for client in clients), 1000)
            self.assertServed(self.client(OTHER))
            for client in clients:
                client.close()

    def test_told(self) -> None:
        """Who is turned away is told to come back; within TLS it would cost a handshake."""
        for tls in (False, True):
            clients = [self.client(tls=tls) for _ in range(101)]
            told = clients[-1].transport.value()
            self.assertEqual(told == b"", tls)
            for client in clients:
                client.close()
        head, _, body = self.refusal().partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 503 "))
        self.assertIn(b"Retry-After", head)
        self.assertIn(b"Content-Length: %d" % len(body), head)

    def refusal(self) -> bytes:
        return [self.client() for _ in range(101)][-1].transport.value()

    def test_proxies(self) -> None:
        """A trusted proxy, or a socket of this computer, has the connections of all."""
        for host in (PROXY, None):
            clients = [self.client(host) for _ in range(2001)]
            self.assertEqual(sum(not client.gone for client in clients), 2000)
            for client in clients:
                client.close()

    def test_forwarded(self) -> None:
        """Behind a proxy that tells addresses, it is the client's network that is limited."""
        self.factory = ProxiedFactory(self.factory, "a port")
        line = b"PROXY TCP4 192.0.2.1 203.0.113.2 40000 443\r\n"
        clients = [self.client(OTHER) for _ in range(50)]
        answers = [client.send(line + REQUEST) for client in clients]
        clients += [self.client(OTHER) for _ in range(51)]
        answers += [client.send(line + REQUEST) for client in clients[50:]]
        codes = [int(answer.split(b" ")[1]) for answer in answers]
        self.assertEqual(codes, [404] * 100 + [503])
        self.assertFalse(self.client(OTHER).gone)

    def test_replaced(self) -> None:
        """Other limits hold for who comes next; who is there may stay."""
        clients = [self.client() for _ in range(10)]
        self.door.connections.per_network = 5
        self.assertTrue(self.client().gone)
        self.door.connections.per_network = 20
        self.door.connections.altogether = 11
        self.assertFalse(self.client(OTHER).gone)
        self.assertTrue(self.client(OTHER).gone)
        self.assertFalse(any(client.gone for client in clients))


class CountTests(ConnectionCase):
    per_network, altogether = 3, 7

    @given(
        st.lists(
            st.one_of(
                st.sampled_from([ANYBODY, OTHER, PROXY, "192.0.2.2", "2001:db8::1", None]),
                st.integers(0, 20),
            ),
            max_size=40,
        )
    )
    def test_any_order(self, steps: "list[str | int | None]") -> None:
        """However connections come and go, no limit is passed, and nothing stays counted."""
        self.setUp()
        hosts: dict[Client, str | None] = {}
        for step in steps:
            if isinstance(step, int):
                for client in list(hosts)[step : step + 1]:
                    client.close()
                    del hosts[client]
                continue
            mine = sum(host == step for host in hosts.values())
            near = sum(str(host).startswith("192.0.2.") for host in hosts.values())
            full = len(hosts) == 7 or (step not in (PROXY, None) and mine == 3)
            full = full or (near == 4 and str(step).startswith("192.0.2."))
            client = self.client(step)
            self.assertEqual(client.gone, full)
            if not client.gone:
                hosts[client] = step
        self.assertEqual(len(self.door.connections), len(hosts))
        for client in hosts:
            client.close()
        self.assertEqual(len(self.door.connections), 0)
        self.assertEqual(len(self.door.connections._networks), 0)
        self.assertEqual(len(self.door.connections._regions), 0)


class TimeTests(ConnectionCase):
    def test_proxy_keeps(self) -> None:
        """A proxy's idle connection stays open for longer than the proxy keeps it."""
        client = self.client(PROXY)
        self.assertServed(client)
        self.wait(PROXY_IDLE_SECONDS - 1, [client])
        self.assertFalse(client.gone)
        self.wait(1, [client])
        self.assertTrue(client.gone)

    def test_never_said_anything(self) -> None:
        """Neither does who says nothing, within TLS or without, stay for long."""
        clients = [self.client(), self.client(tls=True)]
        self.wait(IDLE_SECONDS, clients)
        self.assertEqual([client.gone for client in clients], [True, True])


class ReleaseTests(ConnectionCase):
    def test_gone(self) -> None:
        """What is kept of a connection is gone with it, whatever it was about to send."""
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        post = b"POST /nosuch HTTP/1.1\r\nHost: x\r\n"
        for sent in (
            b"",
            REQUEST,
            REQUEST * 3,
            REQUEST[:20],
            post + b"Content-Length: 9\r\n\r\nx",
            post + b"Transfer-Encoding: chunked\r\n\r\n9\r\nx",
            post + b"Content-Length: 99999999\r\n\r\nx",
            b"\r\n\r\nnonsense\r\n\r\n",
        ):
            client = self.client()
            channel = weakref.ref(client.protocol)
            client.send(sent)
            client.close()
            client.transport.producer = client.protocol = None
            self.clock.advance(REQUEST_SECONDS)
            self.assertIsNone(channel(), sent)
