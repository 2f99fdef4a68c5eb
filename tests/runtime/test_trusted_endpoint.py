"""Where passwords go in clear text when the server's host is a name."""

from ipaddress import IPv4Address, IPv4Network, ip_address, ip_network
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address as IPv4Place
from twisted.internet.address import IPv6Address as IPv6Place
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.error import DNSLookupError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from invitereg.accounts.ejabberd import Ejabberd
from invitereg.accounts.ejabberdapi import Access
from invitereg.interfaces.server import PATIENCE_SECONDS, ServerUnreachable
from invitereg.runtime.trustedendpoint import (
    LOOKUP_SECONDS,
    NotTrusted,
    TrustedNameEndpoint,
    trusted_client,
)
from invitereg.xmpp.component.connection import ComponentStream
from invitereg.xmpp.gateway.failures import UpstreamFailure
from invitereg.xmpp.gateway.settings import Upstream
from invitereg.xmpp.gateway.upstream import ServerStream

INSIDE, OUTSIDE = "172.20.0.3", "198.51.100.7"
TRUSTED = (ip_network("172.20.0.0/16"), ip_network("fd00::/8"))
TELLS = "passwords would go in clear to prosody, which is 198.51.100.7: add the network"


class Names:
    """Resolves names as it is told, and counts how often."""

    def __init__(self) -> None:
        self.known: dict[str, list[str]] = {}
        self.asked: list[str] = []

    def resolveHostName(self, receiver: Any, name: str, portNumber: int = 0) -> None:
        self.asked.append(name)
        receiver.resolutionBegan(None)
        for host in self.known.get(name, [name] if name[0].isdecimal() else []):
            kind = IPv6Place if ":" in host else IPv4Place
            receiver.addressResolved(kind("TCP", host, portNumber))
        receiver.resolutionComplete()


class NamesCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.names = self.reactor.nameResolver = Names()

    def connections(self) -> list[tuple[str, int]]:
        """Where something has connected to."""
        return [client[:2] for client in self.reactor.tcpClients]

    def refuse(self, number: int) -> None:
        """Let a connection fail, as nobody listens there."""
        factory = self.reactor.tcpClients[number][2]
        factory.clientConnectionFailed(None, Failure(Refused()))


class EndpointTests(NamesCase):
    def connect(self, endpoint: str = "tcp:prosody:5347") -> Any:
        client = trusted_client(self.reactor, endpoint, TRUSTED)
        return client.connect(Factory.forProtocol(Protocol))

    def test_judged(self) -> None:
        """A name may lead into a trusted network, and it is looked up once."""
        self.names.known["prosody"] = [INSIDE]
        self.connect()
        self.assertEqual(self.connections(), [(INSIDE, 5347)])
        self.assertEqual(self.names.asked, ["prosody"])

    def test_elsewhere(self) -> None:
        """Nothing is sent where a name leads anywhere else, and it is said where."""
        self.names.known["prosody"] = [OUTSIDE]
        failed = self.failureResultOf(self.connect(), NotTrusted)
        self.assertIn(TELLS, failed.getErrorMessage())
        self.assertEqual(self.connections(), [])

    def test_both(self) -> None:
        """Of several addresses only those that are trusted are tried, one after the other."""
        self.names.known["prosody"] = [OUTSIDE, "fd00::5", INSIDE]
        connecting = self.connect()
        self.assertEqual(self.connections(), [("fd00::5", 5347)])
        self.refuse(0)
        self.assertEqual(self.connections()[1:], [(INSIDE, 5347)])
        self.refuse(1)
        self.failureResultOf(connecting, Refused)

    def test_moves(self) -> None:
        """A container that has another address now is found there, and judged anew."""
        self.names.known["prosody"] = [INSIDE]
        client = trusted_client(self.reactor, "tcp:host=prosody:port=5347:timeout=5", TRUSTED)
        client.connect(Factory())
        self.names.known["prosody"] = ["172.20.0.9"]
        client.connect(Factory())
        self.assertEqual(self.connections(), [(INSIDE, 5347), ("172.20.0.9", 5347)])
        self.assertEqual(self.reactor.tcpClients[1][3], 5)
        self.names.known["prosody"] = [OUTSIDE]
        self.failureResultOf(client.connect(Factory()), NotTrusted)

    def test_unknown(self) -> None:
        """A name without an address is told as such."""
        failed = self.failureResultOf(self.connect(), DNSLookupError)
        self.assertIn("no address is known for prosody", failed.getErrorMessage())

    def test_no_name(self) -> None:
        """An address is connected to as it is, and what is no network at all."""
        self.connect(f"tcp:{INSIDE}:5347")
        self.connect(r"tcp:fd00\:\:1:5347")
        self.connect("unix:/run/xmpp")
        self.assertEqual(self.connections(), [(INSIDE, 5347), ("fd00::1", 5347)])
        self.assertEqual([client[0] for client in self.reactor.unixClients], ["/run/xmpp"])
        self.assertEqual(self.names.asked, [])

    def test_given_up(self) -> None:
        """Who gives up while the name is looked up connects to nothing."""
        self.reactor.nameResolver.resolveHostName = lambda receiver, _name: held.append(
            receiver
        )
        held: list[Any] = []
        connecting = self.connect()
        connecting.cancel()
        self.failureResultOf(connecting)
        held[0].resolutionComplete()
        self.assertEqual(self.connections(), [])

    def test_no_answer(self) -> None:
        """A resolver that never answers ends the attempt, and one that is late is not heard."""
        held: list[Any] = []
        self.reactor.nameResolver.resolveHostName = lambda receiver, _name: held.append(
            receiver
        )
        connecting = self.connect()
        self.reactor.advance(LOOKUP_SECONDS)
        failed = self.failureResultOf(connecting, DNSLookupError)
        self.assertIn("prosody was not looked up within 30 seconds", str(failed.value))
        held[0].addressResolved(IPv4Place("TCP", INSIDE, 0))
        held[0].resolutionComplete()
        self.assertEqual((self.connections(), self.reactor.getDelayedCalls()), ([], []))

    @given(st.lists(st.ip_addresses(), max_size=6), st.booleans())
    def test_any_addresses(self, addresses: list[Any], mapped: bool) -> None:
        """Whatever a name leads to, none is connected to but this machine and the networks."""
        self.setUp()
        hosts = [*map(str, addresses), *(["::ffff:172.20.1.1"] if mapped else [])]
        self.names.known["prosody"] = hosts
        connecting = self.connect()
        connecting.addErrback(lambda _failure: None)
        for number in range(len(hosts)):
            if number < len(self.reactor.tcpClients):
                self.refuse(number)
        may = [host for host in dict.fromkeys(hosts) if self.may(host)]
        self.assertEqual([host for host, _port in self.connections()], may)

    def may(self, host: str) -> bool:
        address = ip_address(getattr(ip_address(host), "ipv4_mapped", None) or host)
        if isinstance(address, IPv4Address):
            return address in IPv4Network("127.0.0.0/8") or address in TRUSTED[0]
        return address == ip_address("::1") or address in TRUSTED[1]


class UseTests(NamesCase):
    """Component, upstream and API are alike."""

    def test_component(self) -> None:
        """The component's secret goes to a name's trusted address only."""
        for host, expected in ((INSIDE, [(INSIDE, 5347)]), (OUTSIDE, [])):
            self.setUp()
            self.names.known["prosody"] = [host]
            parts = "tcp:prosody:5347", "invites.example.com", "secret", "example.com"
            line = ComponentStream(self.reactor, *parts, TRUSTED)
            line.start()
            self.assertEqual(self.connections(), expected)
            if not expected:
                self.reactor.pump([1, 5, 1])
                waiting = Deferred.fromCoroutine(line.when_ready(0))
                failed = self.failureResultOf(waiting, ServerUnreachable)
                self.assertIn(TELLS, failed.getErrorMessage())
            line.stop()

    def test_upstream(self) -> None:
        """Clients without TLS are handed over to a name's trusted address only."""
        for tls, host, expected in (
            ("none", INSIDE, [(INSIDE, 15222)]),
            ("none", OUTSIDE, []),
        ):
            self.setUp()
            self.names.known["prosody"] = [host]
            keys: Any = {"tls": tls, "connect": "tcp:prosody:15222", "trusted": TRUSTED}
            upstream = Upstream(domain="example.com", **keys)
            opened = ServerStream(upstream, b"", self.reactor).connect(self.reactor)
            self.assertEqual(self.connections(), expected)
            if not expected:
                failed = self.failureResultOf(opened, UpstreamFailure)
                self.assertIn(TELLS, failed.getErrorMessage())

    def test_api(self) -> None:
        """The API is asked at a name's trusted address only, and elsewhere over TLS."""
        for scheme, host, expected in (
            ("http", INSIDE, [(INSIDE, 5281)]),
            ("http", OUTSIDE, []),
            ("https", OUTSIDE, [(OUTSIDE, 5281)]),
        ):
            self.setUp()
            self.names.known["prosody"] = [host]
            access = Access(url=f"{scheme}://prosody:5281/api", trusted=TRUSTED)
            asked = Ejabberd("example.com", access, self.reactor).exists("juliet")
            self.assertEqual(self.connections(), expected)
            if not expected:
                failed = self.failureResultOf(asked, ServerUnreachable)
                self.assertIn(TELLS, failed.getErrorMessage())
            else:
                self.reactor.advance(10)
                self.failureResultOf(asked, ServerUnreachable)

    def test_never_sent(self) -> None:
        """What was not sent, as the name was still looked up, is known not to be done."""
        self.reactor.nameResolver.resolveHostName = lambda _receiver, _name: None
        access = Access(url="http://prosody:5281/api", trusted=TRUSTED)
        asked = Ejabberd("example.com", access, self.reactor).create("juliet", "secret")
        self.reactor.advance(PATIENCE_SECONDS)
        self.failureResultOf(asked, ServerUnreachable)

    def test_name_endpoint(self) -> None:
        """Without networks, a name may lead to this machine."""
        self.names.known["here"] = ["127.0.1.1"]
        made: list[str] = []

        def at(host: str) -> Any:
            made.append(host)
            return trusted_client(self.reactor, f"tcp:{host}:1", ())

        TrustedNameEndpoint(self.reactor, "here", (), at).connect(Factory())
        self.assertEqual(made, ["127.0.1.1"])
