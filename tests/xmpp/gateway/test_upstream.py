"""An upstream server that is not as it should be: what the log and the client are told."""

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.failure import Failure

from invitereg.xmpp.gateway.failures import Blame, UpstreamFailure
from invitereg.xmpp.gateway.settings import Upstream
from invitereg.xmpp.gateway.upstream import ServerStream
from tests.xmpp.gateway.door import (
    CHECK,
    CHECK_HEADER,
    FEATURES,
    FORM,
    LOGIN,
    MECHANISMS,
    REFUSED,
    SERVER_HEADER,
    GatewayListener,
    GatewayTestCase,
    ServerEnd,
)
from tests.xmpp.messages import DOMAIN, NS_STREAMS, children

STREAM_ERROR = "<stream:error><{} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
TAKES_PROXY = r"does the server take the PROXY protocol \(ejabberd: use_proxy_protocol\)\?"
WANTS_PROXY = r"should tls be direct, or does it want the PROXY protocol \(proxy_protocol\)\?"
HTTP = "HTTP/1.1 400 Bad Request\r\n\r\n"
# What the server says to any header, and what the operator is told.
NONSENSE = {
    (HTTP,): r"sends no XMPP \(not-well-formed\)",
    ("\x15\x03\x01\x00\x02\x02\x46",): "should tls be direct or starttls",
    (SERVER_HEADER, "<stream:features/>"): "features have no SASL",
    (
        SERVER_HEADER,
        FEATURES.replace(MECHANISMS, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
    ): "set tls: starttls",
    (SERVER_HEADER, STREAM_ERROR.format("system-shutdown")): "it answers system-shutdown",
    (SERVER_HEADER, "</stream:stream>"): "it has ended the stream",
    (SERVER_HEADER, "<message/>"): "it answers message",
    (SERVER_HEADER, f"<{'m' * 5000}/>"): 'it answers "m{200}…"',
    (SERVER_HEADER, STREAM_ERROR.format("e" * 5000)): 'it answers "e{200}…"',
    (SERVER_HEADER.replace(DOMAIN, "example.org"),): 'answers for the domain "example.org"',
    (SERVER_HEADER.replace("jabber:client", "jabber:server"),): "its port for clients",
    (f"<x:stream xmlns:x='{NS_STREAMS}' xmlns='jabber:client'>",): "its port for clients",
    (SERVER_HEADER, "<stream:features>" + "x" * 70_000): "policy-violation",
}


class TroubleCase(GatewayTestCase):
    """Tests that read the log."""

    def setUp(self):
        self.log = []
        globalLogPublisher.addObserver(self.keep)
        self.addCleanup(globalLogPublisher.removeObserver, self.keep)
        super().setUp()

    def keep(self, event):
        """Note what the log is told from a warning on, or about the server."""
        if event["log_level"].name in ("warn", "error", "critical") or "again" in str(event):
            self.log.append(formatEvent(event))

    def assertLogged(self, pattern):
        """The log was told this, in one line and nothing else, since the last time."""
        self.assertEqual(len(self.log), 1, self.log)
        self.assertRegex(self.log.pop(), pattern)

    def assertTurnedAway(self, client):
        """The client is told in a proper way that the server is not there."""
        (error,) = client.receive()
        self.assertEqual(children(error), ["remote-connection-failed", "text"])
        self.assertTrue(client.ended)
        self.assertTrue(client.closed)


class TroubleTests(TroubleCase):
    def test_nonsense(self):
        """Whatever the server says in place of a stream, the log says what may be wrong."""
        for answers, pattern in NONSENSE.items():
            with self.subTest(answers):
                self.listener = GatewayListener()
                self.listener.checked()
                client = self.listener.connect()
                client.send(CHECK_HEADER, LOGIN)
                for _client_and_we in range(2):
                    server = self.listener.accept()
                    server.say(*answers)
                    self.assertTrue(server.transport.aborted)
                    server.close()
                self.assertTurnedAway(client)
                self.assertLogged(pattern)

    def test_odd_mechanisms(self):
        """Of mechanisms that a server has made up, the log names none, and not too many."""
        self.listener = GatewayListener()
        names = ["\u0430-PLUS", "X" * 5000 + "-PLUS", *(f"X-{n}-PLUS" for n in range(1000))]
        offered = "".join(f"<mechanism>{name}</mechanism>" for name in names)
        features = FEATURES.replace("</mechanisms>", f"{offered}</mechanisms>")
        self.listener.connect().send(CHECK_HEADER)
        for _client_and_we in range(2):
            self.listener.accept().say(SERVER_HEADER, features, REFUSED)
        (line,) = self.log
        self.log.clear()
        self.assertIn("offers X-0-PLUS, X-1-PLUS", line)
        self.assertLess(len(line), 1500)

    def test_only_to_the_client(self):
        """What it says to a client's header alone is that client's fault, and no trouble."""
        told = dict.fromkeys(NONSENSE)
        for condition in ("not-authorized", "host-unknown", "system-shutdown", "x"):
            told[SERVER_HEADER, STREAM_ERROR.format(condition)] = condition
        for answers, condition in told.items():
            with self.subTest(answers):
                self.turned_away(answers, condition)
        self.assertEqual(self.log, [])
        self.listener.through()

    def turned_away(self, answers, condition):
        """A client whose header is answered so, and ours as it should be."""
        client = self.listener.connect()
        client.send(CHECK_HEADER.replace(DOMAIN, DOMAIN + "."), LOGIN)
        self.listener.accept().say(*answers)
        self.listener.check()
        (error,) = client.receive()
        if condition is not None:
            self.assertEqual(children(error), [condition])
        self.assertTrue(client.closed)
        client.lose()

    def test_hangs_for_the_client(self):
        """A server that hangs at one client's header, or closes, is used by all others."""
        for closes in (False, True):
            client = self.listener.connect()
            client.send(CHECK_HEADER)
            server = self.listener.accept()
            if closes:
                server.close()
            else:
                self.listener.clock.advance(15)
            self.listener.check()
            self.assertEqual(children(client.receive()[0]), ["remote-connection-failed"])
            self.assertTrue(client.closed)
        self.assertEqual(self.log, [])
        self.listener.through()

    def test_echoed_spelling(self):
        """A server may give the domain back as the client has spelt it."""
        for spelt in (DOMAIN.upper(), DOMAIN + ".", "ｅxample。com", "ｅxample.com."):
            client = self.listener.connect()
            client.send(CHECK_HEADER.replace(DOMAIN, spelt))
            header = SERVER_HEADER.replace(DOMAIN, spelt)
            self.listener.accept().say(header, FEATURES)
            self.assertEqual(client.receive()[0].name, "features")

    def test_left_while_judged(self):
        """A client that leaves meanwhile is nobody's fault, and the server is not asked."""
        client = self.listener.connect()
        client.send(CHECK_HEADER)
        server = self.listener.accept()
        client.lose()
        server.close()
        self.assertEqual((self.listener.waiting, self.log), (0, []))

    def test_host_unknown(self):
        """A server that does not know the domain, not even from us, is not used."""
        client = self.listener.connect()
        client.send(CHECK_HEADER, LOGIN)
        for _client_and_we in range(2):
            self.listener.accept().say(SERVER_HEADER, STREAM_ERROR.format("host-unknown"))
        self.assertTurnedAway(client)
        self.assertLogged("is example.com one of its domains")

    def test_other_spelling(self):
        """A domain as the server does not write it is its client's fault, and no trouble."""
        for said in (DOMAIN, DOMAIN + "."):
            client = self.listener.connect()
            client.send(CHECK_HEADER.replace(DOMAIN, DOMAIN + "."))
            header = SERVER_HEADER.replace(DOMAIN, said)
            self.listener.accept().say(header, STREAM_ERROR.format("host-unknown"))
            self.listener.check()
            self.assertEqual(children(client.receive()[0]), ["host-unknown"])
            self.assertTrue(client.closed)
        self.assertEqual(self.log, [])
        self.listener.through()

    def test_header_refused(self):
        """A header that the server does not take is the client's fault, and no trouble."""
        client = self.listener.connect()
        client.send(CHECK_HEADER.replace(" xmlns=", " from='x' xmlns="))
        self.listener.accept().say(SERVER_HEADER, STREAM_ERROR.format("invalid-from"))
        (error,) = client.receive()
        self.assertEqual(children(error), ["invalid-from"])
        self.assertTrue(client.closed)
        self.assertEqual(self.log, [])
        self.listener.through()  # it need not be asked again

    def test_banned(self):
        """A client whose address is banned there, as it was told, is no trouble of ours."""
        way = IPv4Address("TCP", "192.0.2.7", 40000), IPv4Address("TCP", "10.0.0.1", 5222)
        for told, on_behalf, blamed in (
            ("v2", (way,), Blame.CLIENT),
            ("v2", (), Blame.SERVER),
            ("off", (way,), Blame.SERVER),
        ):
            reactor = MemoryReactorClock()
            upstream = Upstream(
                domain=DOMAIN, connect="tcp:127.0.0.1:1", proxy_protocol=told, tls="starttls"
            )
            opened = (stream := ServerStream(upstream, b"", reactor, *on_behalf)).opened
            ServerEnd(stream).say(SERVER_HEADER, STREAM_ERROR.format("policy-violation"))
            failure = self.failureResultOf(opened, UpstreamFailure).value
            self.assertEqual(failure.condition, "policy-violation")
            self.assertIs(failure.blame, blamed, told)

    def test_hangs(self):
        """A server that does not answer is given up."""
        client = self.listener.connect()
        client.send(CHECK_HEADER)
        server = self.listener.accept()
        server.say(SERVER_HEADER)
        self.listener.clock.advance(14)
        self.assertSilent(client)
        self.listener.clock.advance(2)
        self.assertTrue(server.transport.aborted)
        self.listener.accept()
        self.listener.clock.advance(15)
        self.assertTurnedAway(client)
        self.assertLogged("not answered within 15 seconds")

    def test_closes(self):
        """A server that closes at once is said to."""
        client = self.listener.connect()
        client.send(CHECK_HEADER)
        for _client_and_we in range(2):
            self.listener.accept().close()
        self.assertTurnedAway(client)
        self.assertLogged("it has closed the connection without a word: " + WANTS_PROXY)

    def said(self, *answers, **keys):
        """What the log is told of a server which is configured so, and closes after this."""
        self.listener = GatewayListener(keys)
        self.listener.upstream_check.start()
        server = self.listener.accept()
        server.say(*answers)
        server.close()
        (said,) = self.log
        self.log.clear()
        return said

    def test_takes_no_proxy_protocol(self):
        """A server that cannot read the first bytes may not know the PROXY protocol."""
        closed = "closed the connection without a word: "
        cases = (
            ((SERVER_HEADER, STREAM_ERROR.format("not-well-formed")), "not-well-formed: "),
            ((SERVER_HEADER, STREAM_ERROR.format("bad-format")), "bad-format: "),
            ((SERVER_HEADER.replace(DOMAIN, "example.org"),), 'for the domain "example.org": '),
            ((), closed),
        )
        for answers, before in cases:
            for tls in ("none", "starttls"):
                for version in ("v1", "v2"):
                    said = self.said(*answers, tls=tls, proxy_protocol=version)
                    self.assertRegex(said, before + TAKES_PROXY)
                said = self.said(*answers, tls=tls)
                self.assertNotIn("use_proxy_protocol", said)
                if not answers:
                    self.assertRegex(said, closed + WANTS_PROXY)
        said = self.said(tls="direct", proxy_protocol="v2")
        self.assertRegex(said, "closed the connection: " + TAKES_PROXY)

    def test_takes_proxy_protocol(self):
        """One that has read them is asked nothing of the kind."""
        for condition in ("host-unknown", "policy-violation", "system-shutdown"):
            answers = SERVER_HEADER, STREAM_ERROR.format(condition)
            said = self.said(*answers, proxy_protocol="v2")
            self.assertNotIn("PROXY", said)
        self.assertNotIn("PROXY", self.said(SERVER_HEADER, proxy_protocol="v2"))

    def test_refused(self):
        """If nobody listens there, the log says what to look for."""
        self.listener = GatewayListener()
        self.listener.upstream_check.start()
        factory = self.listener.clock.tcpClients[0][2]
        factory.clientConnectionFailed(None, Failure(Refused(111, "Connection refused")))
        self.assertLogged(
            "Connection refused: is the server running, and does it listen there for clients"
        )

    def test_domain_without_certificate(self):
        """A name for which there can be no certificate is said to be one."""
        reactor = MemoryReactorClock()
        where = {"domain": "a_b.example", "connect": "tcp:127.0.0.1:1"}
        stream = ServerStream(Upstream(tls="direct", **where), b"", reactor)
        opened = stream.connect(reactor)
        ServerEnd(reactor.tcpClients[0][2].buildProtocol(None))
        failure = self.failureResultOf(opened, UpstreamFailure)
        self.assertIn("no certificate can be for a_b.example: ", str(failure.value))

    def test_said_once(self):
        """However many clients come, the log says once that it is down, once that it is up."""
        for _ in range(3):
            client = self.listener.connect()
            client.send(CHECK_HEADER)
            self.listener.refuse()
            self.assertTurnedAway(client)
        self.assertLogged(r"is not used: it cannot be reached: [^:]*\.$")
        for _ in range(3):
            client = self.listener.connect()
            client.send(CHECK_HEADER)
            if not self.log:
                self.listener.check()
            self.listener.accept().say(SERVER_HEADER, FEATURES)
            self.assertEqual(client.receive()[0].name, "features")
        self.assertLogged("example.com is used again")


class RegistrationLeftOpenTests(TroubleCase):
    """A server that registers people by itself is not used."""

    def setUp(self):
        super().setUp()
        self.listener = GatewayListener()

    def test_at_start(self):
        """It is asked before the first client, and the log says what to change."""
        self.listener.upstream_check.start()
        server = self.listener.check(FORM)
        self.assertEqual(server.received, CHECK_HEADER + CHECK)
        self.assertTrue(server.transport.aborted)
        self.assertLogged(
            r"registers accounts by itself.*allow_registration = false.*mod_register"
        )

    def test_clients_turned_away(self):
        """No client gets through, until it does no longer."""
        for _ in range(2):
            client = self.listener.connect()
            client.send(CHECK_HEADER, LOGIN)
            self.listener.check(FORM)
            self.assertTurnedAway(client)
        self.assertLogged("registers accounts by itself")
        client = self.listener.connect()
        client.send(CHECK_HEADER, LOGIN)
        self.listener.check()
        self.assertLogged("used again")
        server = self.listener.accept()
        server.say(SERVER_HEADER, FEATURES)
        self.assertEqual(server.received, CHECK_HEADER + LOGIN)

    def test_asked_once_for_all(self):
        """Those who come while it is being asked wait for the one answer."""
        clients = [self.listener.connect() for _ in range(3)]
        for client in clients:
            client.send(CHECK_HEADER)
        self.assertEqual(self.listener.waiting, 1)
        self.listener.check()
        for _ in clients:
            self.listener.accept().say(SERVER_HEADER, FEATURES)
        for client in clients:
            self.assertEqual(client.receive()[0].name, "features")

    def test_opened_meanwhile(self):
        """A server that begins to announce registration is asked again, before its client."""
        self.listener.checked()
        announced = FEATURES.replace(
            MECHANISMS,
            MECHANISMS + "<register xmlns='http://jabber.org/features/iq-register'/>",
        )
        client = self.listener.connect()
        client.send(CHECK_HEADER, LOGIN)
        server = self.listener.accept()
        server.say(SERVER_HEADER, announced)
        self.listener.check(FORM, announced)
        self.assertTurnedAway(client)
        self.assertEqual(server.received, CHECK_HEADER)
        self.assertTrue(server.transport.disconnecting)
        self.assertLogged("registers accounts by itself")

    def test_announced_only(self):
        """One that announces it, and has no form for anybody, is asked only once."""
        announced = FEATURES.replace(
            MECHANISMS,
            MECHANISMS + "<register xmlns='http://jabber.org/features/iq-register'/>",
        )
        self.listener.upstream_check.start()
        self.listener.check(features=announced)
        client = self.listener.connect()
        client.send(CHECK_HEADER)
        self.listener.accept().say(SERVER_HEADER, announced)
        self.assertEqual(client.receive()[0].name, "features")
        self.assertEqual(self.listener.waiting, 0)

    def test_no_answer(self):
        """A server that ends the stream instead has no form, and one that hangs is not used."""
        self.listener.upstream_check.start()
        self.listener.check(STREAM_ERROR.format("not-authorized"))
        self.assertEqual(self.log, [])
        self.listener = GatewayListener()
        self.listener.upstream_check.start()
        self.listener.check(" ")
        self.listener.clock.advance(16)
        self.assertLogged("not answered a request within 15 seconds")

    def test_left_while_asked(self):
        """For a client that has left meanwhile no connection is made to the server."""
        client = self.listener.connect()
        client.send(CHECK_HEADER)
        client.lose()
        self.listener.check()
        self.assertEqual(self.listener.waiting, 0)
        self.assertEqual(self.log, [])

    def test_ended_before(self):
        """Nobody waits for the answer of one that has ended the stream with its features."""
        client = self.listener.connect()
        client.send(CHECK_HEADER)
        server = self.listener.accept()
        server.say(SERVER_HEADER + FEATURES + "</stream:stream>")
        self.assertTrue(server.transport.aborted)
        self.assertEqual(self.listener.waiting, 1)
        self.assertEqual(self.log, [])

    def test_channel_binding(self):
        """Mechanisms that cannot pass are named, with the lines that switch them off."""
        offered = FEATURES.replace(">PLAIN<", ">SCRAM-SHA-1-PLUS<")
        self.listener.upstream_check.start()
        self.listener.check(features=offered)
        self.assertLogged(r"SCRAM-SHA-1-PLUS.*tls: none.*sasl_mechanisms: \[SCRAM-SHA-1-PLUS\]")
