"""Behind a proxy that tells who the client is (PROXY protocol, as ``haproxy:`` listens)."""

import contextlib
from datetime import timedelta
from ipaddress import ip_network
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.trial.unittest import SynchronousTestCase

from invitereg.policy.values import Limit, parse_address
from invitereg.runtime import proxyprotocol
from invitereg.runtime.connections import ConnectionGate, ConnectionRate, ForwardedFactory
from invitereg.runtime.proxyprotocol import ProxiedFactory, proxy_header, read_header
from invitereg.xmpp.stanzas import Phase
from tests.xmpp.door import DoorTestCase, Listener, ScriptedClient, ServerSide
from tests.xmpp.messages import STARTTLS, header, plain, preauth, registration

PROXY = "203.0.113.1"
PORTS = st.integers(0, 65535)
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
# Without a client's addresses; in version 2 LOCAL, or for somebody by a UNIX socket or UDP.
OWN = (
    "PROXY UNKNOWN\r\n",
    "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n",
    SIGNATURE + b"\x20\0\0\0",
    SIGNATURE + b"\x20\x11\0\x0c" + bytes(12),
    SIGNATURE + b"\x21\0\0\x05" + bytes(5),
    SIGNATURE + b"\x21\x31\0\xd8" + bytes(216),
    SIGNATURE + b"\x21\x12\0\x0c" + bytes(12),
)
WITHOUT = (
    "",
    "PROXY\r\n",
    "PROXY TCP4 192.0.2.1 203.0.113.2 40000\r\n",
    "PROXY TCP4 192.0.2.256 203.0.113.2 40000 5222\r\n",
    "PROXY TCP4 2001:db8::1 ::1 40000 5222\r\n",
    "PROXY TCP4 192.0.2.1 203.0.113.2 40000 65536\r\n",
    "PROXY TCP4 nobody nowhere x y\r\n",
    "PROXY TCP5 192.0.2.1 203.0.113.2 40000 5222\r\n",
    "PROXY UNKNOWN " + "x" * 100,
    SIGNATURE[:11] + b"\r",
    SIGNATURE + b"\x11\x11\0\x0c" + bytes(12),
    SIGNATURE + b"\x22\x11\0\x0c" + bytes(12),
    SIGNATURE + b"\x21\x11\0\x0b" + bytes(11),
    SIGNATURE + b"\x21\x21\0\x0c" + bytes(12),
    SIGNATURE + b"\x21\x11\xff\xff",
)


def client(address, port=40000):
    """An address as Twisted has it."""
    return (IPv6Address if ":" in address else IPv4Address)("TCP", address, port)


def proxied(address):
    """What a proxy says first, in version 1 of its protocol."""
    family = "TCP6" if ":" in address else "TCP4"
    here = "::1" if ":" in address else "203.0.113.2"
    return f"PROXY {family} {address} {here} 40000 5222\r\n"


class ProxyTests(DoorTestCase):
    def connect(self, address=None, phase=Phase.SECURED):
        """A client behind the proxy; without address, one of which it says nothing yet."""
        rate = ConnectionRate(Limit(max=1000, period=timedelta(seconds=1)), lambda: 0.0)
        gate = ConnectionGate(self.listener.domains, rate)
        forwarded = ForwardedFactory(self.listener.factories[phase], gate, self.listener.clock)
        transport = ServerSide(PROXY)
        protocol = ProxiedFactory(forwarded, "a port").buildProtocol(transport.getPeer())
        client = ScriptedClient(protocol, transport)
        if address:
            client.send(proxied(address))
        return client

    def opened(self, address):
        client = self.connect(address)
        client.open()
        return client

    def test_streams(self):
        """Each client's own network is limited, not the proxy's."""
        self.listener = Listener(streams=(3, 50))
        clients = [self.opened("192.0.2.1") for _ in range(3)]
        clients += [self.opened(f"198.51.100.{number}") for number in range(10)]
        refused = self.connect("192.0.2.1")
        refused.send(header())
        self.assertTrue(refused.closed)
        refused.lose()
        clients[0].lose()
        self.opened("192.0.2.1")

    def test_same_segment(self):
        """The proxy's line and the client's header may come together, or byte by byte."""
        text = proxied("192.0.2.1") + header()
        self.assertEqual(self.connect().ask(text).name, "features")
        line = proxied("192.0.2.1")
        self.assertEqual(self.connect().ask(line[:10], line[10:-1], "\n" + header()).name,
                         "features")  # fmt: skip

    def test_ipv6(self):
        """A forwarded IPv6 address counts as its /64."""
        self.listener = Listener(streams=(2, 50))
        self.opened("2001:db8::1")
        self.opened("2001:db8::2")
        refused = self.connect("2001:db8::3")
        refused.send(header())
        self.assertTrue(refused.closed)

    def test_logins(self):
        """Failed logins count for the forwarded address."""
        limit = Limit(max=3, period=timedelta(minutes=10))
        self.listener = Listener(limits={"logins": limit})
        self.listener.add_account()
        for _ in range(3):
            answer = self.opened("192.0.2.1").ask(plain(password="wrong"))
            self.assertFails(answer, "not-authorized")
        self.assertFails(self.opened("192.0.2.1").ask(plain()), "temporary-auth-failure")
        self.opened("192.0.2.2").log_in()

    def test_registrations(self):
        """So do registrations, and the history keeps that address."""
        limit = Limit(max=1, period=timedelta(hours=1))
        policy = {"registration_invite_only": False}
        self.listener = Listener(policy=policy, limits={"registration": limit})
        self.assertResult(self.opened("192.0.2.1").ask(registration("a")))
        reply = self.opened("192.0.2.1").ask(registration("b"))
        self.assertError(reply, "wait", "resource-constraint")
        self.assertResult(self.opened("192.0.2.2").ask(registration("c")))
        uses = self.successResultOf(self.listener.store.list_uses("example.com"))
        self.assertEqual([use.address for use in uses], ["192.0.2.1", "192.0.2.2"])

    def test_lists(self):
        """The proxy's being allowed does not allow its clients; theirs blocks them."""
        limits = {
            "blocklist": (ip_network("192.0.2.0/24"),),
            "allowlist": (ip_network(f"{PROXY}/32"),),
        }
        self.listener = Listener(limits=limits, streams=(1, 50))
        self.listener.add_invite()
        self.assertError(self.opened("192.0.2.1").ask(preauth()), "auth", "forbidden")
        self.assertResult(self.opened("198.51.100.1").ask(preauth()))
        refused = self.connect("198.51.100.1")
        refused.send(header())
        self.assertTrue(refused.closed)

    def test_silent_connections(self):
        """Connections of which the proxy has said nothing yet keep nobody out."""
        self.listener = Listener(streams=(3, 50))
        clients = [self.connect() for _ in range(100)]
        for number in range(10):
            self.opened(f"198.51.100.{number}")
        for client in clients:
            client.lose()
        self.assertEqual(len(self.listener.door.streams.open), 10)

    def test_starttls(self):
        """STARTTLS works through the proxy."""
        self.listener.add_invite()
        client = self.connect("192.0.2.1", Phase.CLEAR)
        client.open()
        self.assertEqual(client.ask(STARTTLS).name, "proceed")
        self.assertEqual(client.transport.tls, "the TLS context for example.com")
        client.open()
        self.listener.wait(minutes=1)
        self.assertResult(client.ask(preauth()))

    def test_no_proxy_line(self):
        """Who comes past the proxy is not talked to, and the log says so once."""
        lines = []
        self.patch(
            proxyprotocol, "_log", SimpleNamespace(error=lambda _t, **f: lines.append(f))
        )
        factory = ProxiedFactory(self.listener.factories[Phase.SECURED], "a port")
        for first in WITHOUT * 20:
            client = ScriptedClient(factory.buildProtocol(None), ServerSide(PROXY))
            client.send(first, header())
            self.assertEqual(client.receive(), [], first)
            self.assertTrue(client.closed, first)
            client.lose()
        self.assertEqual([line["what"] for line in lines], ["PROXY protocol at a port"])

    def test_own(self):
        """What is the proxy's own, such as a check of our health, counts as the proxy's."""
        for text in OWN:
            client = self.connect()
            client.send(text, header())
            self.assertEqual(client.receive()[0].name, "features", text)
            stream = client.stream.wrappedProtocol.wrappedProtocol
            self.assertEqual(str(stream.address), PROXY, text)
            client.lose()

    def test_in_pieces(self):
        """A header may come in any pieces, with the client's first bytes or before them."""
        ways = [
            (client(address), client("203.0.113.2" if "." in address else "::1"))
            for address in ("192.0.2.1", "2001:db8::1")
        ]
        headers = [proxy_header(version, way) for version in ("v1", "v2") for way in ways]
        for first in [*headers, *(text.encode() for text in OWN if isinstance(text, str))]:
            for cut in range(1, len(first) + 1):
                one = self.connect()
                one.send(first[:cut], first[cut:] + header().encode())
                self.assertEqual(one.receive()[0].name, "features", (first, cut))
                one.lose()


class HeaderTests(SynchronousTestCase):
    """What we write to servers we can read ourselves."""

    @given(st.sampled_from(["v1", "v2"]), st.ip_addresses(v=4), st.ip_addresses(), PORTS, PORTS)
    def test_round_trip(self, version, one, other, port, other_port):
        """Both ends and their ports come out as they went in, mapped to IPv6 if need be."""
        ends = [client(str(one), port), client(str(other), other_port)]
        text = proxy_header(version, tuple(ends))
        read = read_header(text + b"x")
        self.assertEqual(read.size, len(text))
        for end, told in zip(ends, (read.source, read.destination), strict=True):
            self.assertEqual(parse_address(told.host), parse_address(end.host))
            self.assertEqual(told.port, end.port)

    @given(st.binary(max_size=60), st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE]))
    def test_noise(self, data, first):
        """Whatever comes, it is a header, or the beginning of one, or none."""
        with contextlib.suppress(ValueError):
            read = read_header(first + data)
            self.assertTrue(read is None or read.size <= len(first + data))
