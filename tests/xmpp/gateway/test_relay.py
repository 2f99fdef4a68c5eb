"""What passes the gateway, in which direction, and what does not."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from invitereg.xmpp.gateway.features import channel_bound
from invitereg.xmpp.gateway.relay import stream_maker
from invitereg.xmpp.stanzas import Phase
from tests.xmpp.gateway.door import (
    CHECK_HEADER,
    FEATURES,
    LOGIN,
    SERVER_HEADER,
    GatewayListener,
    GatewayTestCase,
)
from tests.xmpp.messages import (
    DOMAIN,
    GET,
    NS_STREAMS,
    PASSWORD,
    children,
    preauth,
    registration,
)

# What a client may write: another prefix, declarations that are not needed, a ">" in quotes.
ODD_HEADER = (
    "<?xml version='1.0' encoding='UTF-8'?>\n"
    f" <s:stream xml:lang=\"de\" from='a>b@x'\n\txmlns:x='urn:x' to='{DOMAIN}'"
    f" xmlns='jabber:client' version='1.0' xmlns:s='{NS_STREAMS}' x:extra='&lt;&apos;/>' >"
)
_PREFIXED = LOGIN.replace("<auth", "<y:auth xmlns:y='urn:ietf:params:xml:ns:xmpp-sasl'")
ODD_LOGIN = _PREFIXED.replace("</auth>", "</y:auth >")
AFTER = (
    "<?xml version='1.0'?><s:stream xmlns:s='http://etherx.jabber.org/streams'>"
    "<message><body>é &amp; &#x1F600;</body></message>" + registration() + "</s:stream><<"
)


class HeaderTests(GatewayTestCase):
    """Each side sees the other's header as it was written."""

    def test_header_unchanged(self):
        """The server gets the client's header byte for byte, once it is complete."""
        client = self.listener.connect()
        client.send(ODD_HEADER[:-1])
        self.assertEqual(self.listener.waiting, 0)
        client.send(ODD_HEADER[-1:])
        self.assertEqual(self.listener.accept().received, ODD_HEADER)

    def test_server_header_unchanged(self):
        """The client gets the server's header byte for byte, and before it nothing."""
        client = self.listener.connect()
        client.send(CHECK_HEADER)
        server = self.listener.accept()
        server.say(SERVER_HEADER, FEATURES[:40])
        self.assertEqual(client.transport.value(), b"")
        server.say(FEATURES[40:])
        self.assertTrue(client.transport.value().decode().startswith(SERVER_HEADER))

    def test_features(self):
        """Login is as the server offers it; registration as we do; what cannot pass is gone."""
        offered = (
            "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
            "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
            "<mechanism>SCRAM-SHA-1-PLUS</mechanism><mechanism>SCRAM-SHA-1</mechanism>"
            "<mechanism> SCRAM-SHA-256-PLUS </mechanism></mechanisms>"
            "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='x'/>"
            "</sasl-channel-binding><register xmlns='http://jabber.org/features/iq-register'/>"
            "<register xmlns='urn:xmpp:register:0'/>"
            "<compression xmlns='http://jabber.org/features/compress'/>"
            "<authentication xmlns='urn:xmpp:sasl:2'><mechanism>SCRAM-SHA-1-PLUS</mechanism>"
            "<mechanism>SCRAM-SHA-1</mechanism><inline><fast xmlns='urn:xmpp:fast:0'>"
            "<mechanism>HT-SHA-256-NONE</mechanism><mechanism>HT-SHA-256-EXPR</mechanism>"
            "</fast><bind xmlns='urn:xmpp:bind:0'/></inline></authentication>"
            "<new xmlns='urn:x' y:z='1' xmlns:y='urn:y'/></stream:features>"
        )
        client = self.listener.connect()
        client.send(CHECK_HEADER)
        server = self.listener.accept()
        server.say(SERVER_HEADER, offered)
        # That it announces registration is a reason to ask it again.
        self.listener.check(features=offered)
        (features,) = client.receive()
        text = features.toXml()
        self.assertEqual(channel_bound(features), [])
        for gone in ("starttls", "sasl-cb", "compress", "urn:xmpp:register:0"):
            self.assertNotIn(gone, text)
        for there in (">SCRAM-SHA-1<", "HT-SHA-256-NONE", "urn:xmpp:bind:0", "urn:y"):
            self.assertIn(there, text)
        names = ["mechanisms", "authentication", "new", "register", "register", "register"]
        self.assertEqual(children(features), names)


class RegistrationTests(GatewayTestCase):
    """Registration is ours before login, and the server's business after it."""

    def test_registered_here(self):
        """Token and form are answered here, and the server has not heard of them."""
        invite = self.listener.add_invite()
        client, server = self.listener.through()
        self.assertResult(client.ask(preauth()))
        self.assertResult(client.ask(GET))
        self.assertResult(client.ask(registration()))
        self.assertEqual(self.listener.invite(invite).uses, 1)
        self.assertEqual(server.received, CHECK_HEADER)
        client.send("  ", LOGIN)
        self.assertEqual(server.received, CHECK_HEADER + LOGIN)

    def test_after_hand_over(self):
        """Elements about registration go to the server once something else has."""
        self.listener.add_invite()
        client, server = self.listener.through()
        client.send(LOGIN + preauth() + registration(), GET)
        whole = CHECK_HEADER + LOGIN + preauth() + registration() + GET
        self.assertEqual(server.received, whole)
        self.assertSilent(client)
        self.assertIsNone(self.listener.account())

    def test_lookalikes(self):
        """What only looks like registration is not answered here."""
        for text in (
            GET.replace("jabber:iq:register", "jabber:iq:register2"),
            GET.replace("<iq", "<iq xmlns='jabber:server'"),
            GET.replace("type='get'", "type='result'"),
            GET.replace("</iq>", "<query xmlns='jabber:iq:register'/></iq>"),
            GET.replace("<iq", "<message").replace("</iq", "</message"),
            "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
            "</stream:stream>",
        ):
            client, server = self.listener.through()
            client.send(text)
            self.assertEqual(server.received, CHECK_HEADER + text)
            self.assertSilent(client)

    def test_other_prefixes(self):
        """A request is known by its namespace, however that is written."""
        header = CHECK_HEADER.replace("xmlns:stream=", "xmlns:c='jabber:client' xmlns:stream=")
        client, server = self.listener.through(header)
        request = "<c:iq type='get' id='g'><r:query xmlns:r='jabber:iq:register'/></c:iq>"
        self.assertResult(client.ask(request))
        self.assertEqual(server.received, header)

    def test_no_smuggling_across_starttls(self):
        """What came in clear text behind STARTTLS is seen by nobody."""
        client = self.listener.connect(Phase.CLEAR)
        client.open()
        client.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>" + CHECK_HEADER + GET)
        self.assertEqual([element.name for element in client.receive()], ["proceed"])
        self.assertEqual(self.listener.waiting, 0)
        client.finish_handshake()
        client.send(ODD_HEADER)
        self.assertEqual(self.listener.accept().received, ODD_HEADER)


class HandOverTests(GatewayTestCase):
    """From the first element that is not ours, bytes go both ways as they come."""

    def test_both_ways(self):
        """Nothing is parsed any more, in whichever direction."""
        client, server = self.listener.through(ODD_HEADER)
        client.send(ODD_LOGIN, AFTER)
        self.assertEqual(server.received, ODD_HEADER + ODD_LOGIN + AFTER)
        server.say("<succ", "ess xmlns='", AFTER)
        self.assertEqual(client.transport.value().decode(), "<success xmlns='" + AFTER)

    def test_pipelined(self):
        """All may come at once, as with SASL2: before there are features."""
        client = self.listener.connect()
        client.send(ODD_HEADER + preauth() + ODD_LOGIN + AFTER)
        server = self.listener.accept()
        self.assertEqual(server.received, ODD_HEADER)
        server.say(SERVER_HEADER, FEATURES)
        self.assertEqual(server.received, ODD_HEADER + ODD_LOGIN + AFTER)
        _features, answer = client.receive()
        self.assertError(answer, "cancel", "item-not-found")

    @settings(deadline=None)  # each example has a door of its own
    @given(cuts=st.lists(st.integers(0, 2000), max_size=20), at=st.integers(0, 30))
    def test_segments(self, cuts, at):
        """However the bytes are cut, and whenever the server answers, the same come out."""
        self.setUp()
        sent = (ODD_HEADER + GET + " \n" + preauth() + ODD_LOGIN + AFTER).encode()
        places = sorted({0, len(sent), *(cut % len(sent) for cut in cuts)})
        segments = [sent[a:b] for a, b in pairwise(places)]
        client = self.listener.connect()
        server = None
        for number, segment in enumerate(segments):
            client.send(segment)
            if number >= at and server is None and self.listener.waiting:
                server = self.listener.accept()
                server.say(SERVER_HEADER, FEATURES)
        if server is None:
            server = self.listener.accept()
            server.say(SERVER_HEADER, FEATURES)
        self.assertEqual(server.received, ODD_HEADER + ODD_LOGIN + AFTER)
        answers = [element.getAttribute("id") for element in client.receive()[1:]]
        self.assertEqual(answers, ["get", "preauth"])

    def test_malformed_before(self):
        """Before the hand-over, what is no XML ends the stream, and gets to no server."""
        client, server = self.listener.through()
        client.send(GET + "<<")
        self.assertEqual([one.name for one in client.receive()], ["iq", "error"])
        self.assertEqual(server.received, CHECK_HEADER)
        self.assertTrue(client.closed)

    def test_too_long(self):
        """The first element is bounded, as before any login."""
        client, server = self.listener.through()
        client.send("<auth>", "x" * 11_000)
        self.assertEqual([one.name for one in client.receive()], ["error"])
        self.assertEqual(server.received, CHECK_HEADER)

    def test_silence_before_login(self):
        """A client is told nothing unasked before it logs in, and nothing is lost."""
        client, server = self.listener.through()
        server.say("  ")
        self.assertEqual(client.transport.value(), b"")
        client.send(LOGIN)
        self.assertEqual(client.transport.value(), b"  ")

    def test_kept_bytes(self):
        """Someone who sends nothing but spaces, or registers for ever, fills no memory."""
        client, _server = self.listener.through()
        for _ in range(50):
            client.send(" " * 1000, GET)
        client.receive()
        self.assertLess(len(client.stream.stream.since(0)), 3000)


class SlowPeopleTests(GatewayTestCase):
    """A server waits for a login for a minute or two; a person may type for longer."""

    def test_opened_again(self):
        """The server's stream is opened again when it is needed, with the same header."""
        self.listener.add_invite()
        client, server = self.listener.through(ODD_HEADER)
        server.say("<stream:error><connection-timeout/></stream:error></stream:stream>")
        server.close()
        self.assertResult(client.ask(preauth()))
        self.assertResult(client.ask(registration(password=PASSWORD)))
        client.send(LOGIN + AFTER[:-9], AFTER[-9:])
        again = self.listener.accept()
        again.say(SERVER_HEADER, FEATURES)
        self.assertEqual(again.received, ODD_HEADER + LOGIN + AFTER)
        again.say("<success/>")
        self.assertEqual(client.transport.value(), b"<success/>")

    def test_gone_for_good(self):
        """If it cannot be opened again, the client is told."""
        client, server = self.listener.through()
        server.close()
        client.send(LOGIN)
        self.listener.refuse()
        (error,) = client.receive()
        self.assertEqual(children(error)[0], "remote-connection-failed")
        self.assertTrue(client.closed)


class EndTests(GatewayTestCase):
    """When one side goes, the other gets what was sent, and goes, too."""

    def handed_over(self):
        """A client and a server in the middle of it."""
        client, server = self.listener.through()
        client.send(LOGIN)
        return client, server

    def test_server_closes(self):
        """The client gets the server's last words before the connection closes."""
        client, server = self.handed_over()
        server.say("<message/></stream:stream>")
        server.close()
        self.assertEqual(client.transport.value(), b"<message/></stream:stream>")
        self.assertTrue(client.closed)
        self.assertIsNone(client.transport.producer)
        client.send("<presence/>")

    def test_client_that_does_not_read(self):
        """Who does not read a server's last words is dropped in the end."""
        client, server = self.handed_over()
        server.close()
        self.assertFalse(client.transport.aborted)
        self.listener.clock.advance(61)
        self.assertTrue(client.transport.aborted)

    def test_client_leaves(self):
        """The server gets the client's last words before its connection closes."""
        client, server = self.handed_over()
        client.send("<presence/>")
        server.transport.pauseProducing()
        client.lose()
        self.assertTrue(server.received.endswith("<presence/>"))
        self.assertTrue(server.transport.disconnecting)
        self.assertIsNone(server.transport.producer)
        # The end of TLS must be read.
        self.assertEqual(server.transport.producerState, "producing")
        server.close()
        self.listener.clock.advance(61)
        self.assertFalse(server.transport.aborted)

    def test_server_that_does_not_read(self):
        """A server that does not take a client's last words is dropped in the end."""
        client, server = self.handed_over()
        client.lose()
        self.listener.clock.advance(61)
        self.assertTrue(server.transport.aborted)
        server.close()

    def test_client_leaves_early(self):
        """A client that does not wait for the server leaves nothing behind, and no failure."""
        for answers in ([], [SERVER_HEADER]):
            client = self.listener.connect()
            client.send(CHECK_HEADER)
            server = self.listener.accept()
            server.say(*answers)
            client.lose()
            self.assertTrue(server.transport.aborted)
            server.close()
        self.listener.through()  # the server need not be asked again

    def test_back_pressure(self):
        """Who cannot take more stops the other one, and nobody else."""
        client, server = self.handed_over()
        for one, other in (
            (client.transport, server.transport),
            (server.transport, client.transport),
        ):
            one.producer.pauseProducing()
            states = (one.producerState, other.producerState)
            self.assertEqual(states, ("producing", "paused"))
            one.producer.resumeProducing()
            self.assertEqual(other.producerState, "producing")
            # The other end hears of it by its own connection.
            one.producer.stopProducing()
            self.assertFalse(other.disconnecting)

    def test_flood_before_login(self):
        """A server that talks to a client that does not listen yet is cut off."""
        _client, server = self.listener.through()
        server.say(*["x" * 20_000] * 4)
        self.assertTrue(server.transport.aborted)


class ProxyTests(GatewayTestCase):
    """The server is told who the client is."""

    upstream = {"proxy_protocol": "v1"}  # noqa: RUF012

    def test_address(self):
        """The header comes first, once, and tells the client's address."""
        _client, server = self.listener.through(address="192.0.2.7")
        told = "PROXY TCP4 192.0.2.7 10.0.0.1 40000 12345\r\n"
        self.assertEqual(server.received, told + CHECK_HEADER)

    def test_mixed(self):
        """An IPv6 client of a balancer that speaks IPv4 to us has its address, too."""
        _client, server = self.listener.through(address="2001:db8::7")
        told = "PROXY TCP6 2001:db8::7 ::ffff:10.0.0.1 40000 12345\r\n"
        self.assertEqual(server.received, told + CHECK_HEADER)


class EmbeddedBesideTests(GatewayTestCase):
    """Domains without an upstream server are served as ever."""

    def test_beside(self):
        """A stream for the embedded domain knows nothing of servers."""
        self.listener = GatewayListener()
        self.listener.checks["example.org"] = self.listener.checks.pop(DOMAIN)
        client = self.listener.logged_in()
        self.assertEqual(self.listener.waiting, 0)
        self.assertResult(
            client.ask("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
        )

    def test_none(self):
        """Where no domain has a server, streams are the plain ones."""
        self.listener.door.make_stream = stream_maker({})
        self.assertEqual(type(self.listener.connect().stream).__name__, "ClientStream")
