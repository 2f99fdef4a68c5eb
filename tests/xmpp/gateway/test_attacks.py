"""Who means harm, on either side of the gateway: nothing runs twice, or on the wrong side."""

import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from invitereg.xmpp.stanzas import Phase
from tests.xmpp.c2s.test_fuzz import CONVERSATIONS, WORDS, conversations
from tests.xmpp.gateway.door import (
    CHECK_HEADER,
    FEATURES,
    LOGIN,
    SERVER_HEADER,
    AnsweringListener,
    GatewayListener,
    GatewayTestCase,
)
from tests.xmpp.messages import (
    GET,
    STARTTLS,
    children,
    form_registration,
    registration,
)

ODD_AUTH = "<auth xmlns='urn:é' é='>' x=\"'&#x1F600;>\"><![CDATA[</auth>é]]>😀</auth  >"
PADDED_GET = "\t<![CDATA[ \n]]>" + GET.replace("'get' to", '"\'g>" to')
# What a client sends after its header, and how much of its end is the server's.
STREAMS = {
    GET + ODD_AUTH + GET: ODD_AUTH + GET,
    PADDED_GET + " \r\n" + LOGIN + "\n": LOGIN + "\n",
    registration() + "<iqx/>" + registration(): "<iqx/>" + registration(),
    "<iq type='get' id='é'><query xmlns='jabber:iq:register'/></iq></stream:stream>\n": (
        "</stream:stream>\n"
    ),
    LOGIN + CHECK_HEADER + "<?xml version='1.0'?><!-- -->": (
        LOGIN + CHECK_HEADER + "<?xml version='1.0'?><!-- -->"
    ),
}
UNWELCOME = {
    "<!-- x -->": "restricted-xml",
    "<?x y?>": "restricted-xml",
    "<?xml version='1.0'?>": "not-well-formed",
    CHECK_HEADER: "not-well-formed",
    "<!DOCTYPE x>": "not-well-formed",
    "<![CDATA[x]]>": "bad-format",
    "&#32;x": "bad-format",
    "<auth><!-- -->": "restricted-xml",
    "<auth>" + "<a>" * 40: "policy-violation",
    "<auth x='" + "é" * 5200: "policy-violation",
    "<auth>\xff".encode("latin-1"): "not-well-formed",
    "\0": "not-well-formed",
}


# A door and a server for each example take their time.
FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


class CutTests(GatewayTestCase):
    """Where segments end means nothing."""

    def answers(self, client):
        """The ids of what has been answered."""
        return [element.getAttribute("id") for element in client.receive()[1:]]

    def test_everywhere(self):
        """Each stream is cut at every third byte, before or after the server answers."""
        for text, passed in STREAMS.items():
            data, header = text.encode(), CHECK_HEADER.encode()
            answered = None
            for early in (False, True):
                for cut in range(early, len(data) + 1, 3):
                    client = self.listener.connect()
                    client.send(header + data[:cut])
                    server = self.listener.accept()
                    if early:
                        server.say(SERVER_HEADER, FEATURES)
                    client.send(data[cut:])
                    if not early:
                        server.say(SERVER_HEADER, FEATURES)
                    self.assertEqual(server.received, CHECK_HEADER + passed)
                    answers = self.answers(client)
                    self.assertIn(answered, (None, answers))
                    answered = answers
                    client.lose()
                    server.close()

    def test_byte_by_byte(self):
        """Each byte may come by itself, the header's too."""
        for text, passed in STREAMS.items():
            client = self.listener.connect()
            for byte in (CHECK_HEADER + text).encode():
                client.send(bytes([byte]))
                if self.listener.waiting:
                    server = self.listener.accept()
                    server.say(SERVER_HEADER, FEATURES)
            self.assertEqual(server.received, CHECK_HEADER + passed)

    def test_server_byte_by_byte(self):
        """The server's bytes may come by themselves, too."""
        rest = "<é/> é"
        client = self.listener.connect()
        client.send(CHECK_HEADER)
        server = self.listener.accept()
        for byte in (SERVER_HEADER + FEATURES + rest).encode():
            server.say(bytes([byte]))
        written = client.transport.value().decode()
        self.assertTrue(written.startswith(SERVER_HEADER))
        self.assertTrue(written.endswith("</stream:features>"))
        client.transport.clear()
        client.send(LOGIN)
        self.assertEqual(client.transport.value().decode(), rest)


class UnwelcomeTests(GatewayTestCase):
    """What has no place in a stream gets to nobody, unless it is the server's to say so."""

    def test_before(self):
        """Before the hand-over it ends the stream, and none of it reaches the server."""
        for unwelcome, condition in UNWELCOME.items():
            for first in ("", " ", GET):
                client, server = self.listener.through()
                client.send(first, unwelcome)
                *_answers, error = client.receive()
                self.assertEqual(children(error)[0], condition, unwelcome)
                self.assertTrue(client.closed)
                client.send(LOGIN, registration())
                self.assertEqual(server.received, CHECK_HEADER)

    def test_before_the_server_answers(self):
        """So it is while the server is being reached; its answer changes nothing."""
        for unwelcome, condition in UNWELCOME.items():
            client = self.listener.connect()
            client.send(CHECK_HEADER, unwelcome)
            server = self.listener.accept()
            server.say(SERVER_HEADER, FEATURES)
            client.send(LOGIN)
            *_features, error = client.receive()
            self.assertEqual(children(error)[0], condition, unwelcome)
            self.assertEqual(server.received, CHECK_HEADER)
            client.lose()

    def test_after(self):
        """Behind the first element of the server's, it goes there as it is."""
        for unwelcome in UNWELCOME:
            data = unwelcome.encode() if isinstance(unwelcome, str) else unwelcome
            for segments in ([LOGIN.encode() + data], [LOGIN, data]):
                client, server = self.listener.through()
                client.send(*segments)
                received = server.transport.value()
                self.assertEqual(received, (CHECK_HEADER + LOGIN).encode() + data)

    def test_unfinished(self):
        """An element is nobody's before it is complete."""
        for text in (LOGIN, GET, registration(), form_registration()):
            client, server = self.listener.through()
            client.send(text[:-1])
            self.assertSilent(client)
            client.lose()
            self.assertEqual(server.received, CHECK_HEADER)
        self.assertIsNone(self.listener.account())

    def test_clear_text(self):
        """What came before TLS is no part of what comes through it, wherever it was cut."""
        text = STARTTLS + CHECK_HEADER + LOGIN
        for cut in range(len(STARTTLS), len(text)):
            client = self.listener.connect(Phase.CLEAR)
            client.open()
            client.send(text[:cut])
            client.finish_handshake()
            client.send(CHECK_HEADER)
            server = self.listener.accept()
            server.say(SERVER_HEADER, FEATURES)
            self.assertEqual(server.received, CHECK_HEADER)
            client.lose()


class PressureTests(GatewayTestCase):
    """Whoever does not read fills no memory of ours."""

    def test_paused_by_the_first_bytes(self):
        """A server that cannot take even the first bytes stops the client until it can."""
        for reopened in (False, True):
            client = self.listener.connect()
            client.send(CHECK_HEADER)
            if reopened:
                server = self.listener.accept()
                server.say(SERVER_HEADER, FEATURES)
                server.close()
            client.send(LOGIN, "<message/>" * 100)
            server = self.listener.accept()
            self.fill(server.transport)
            server.say(SERVER_HEADER, FEATURES)
            self.assertTrue(server.received.endswith("<message/>"))
            self.assertEqual(client.transport.producerState, "paused")
            server.transport.producer.resumeProducing()
            self.assertEqual(client.transport.producerState, "producing")

    def fill(self, transport):
        """Let a transport be full after each write."""
        write = transport.write

        def full(data):
            write(data)
            if transport.producer is not None:
                transport.producer.pauseProducing()

        transport.write = full

    def test_waiting_for_the_server(self):
        """While the server is being reached a client is stopped, too."""
        client = self.listener.connect()
        client.send(CHECK_HEADER, LOGIN)
        self.assertEqual(client.transport.producerState, "paused")
        self.listener.accept().say(SERVER_HEADER, FEATURES)
        self.assertEqual(client.transport.producerState, "producing")


class FuzzTests(GatewayTestCase):
    """Whatever a client sends, the server gets its header and an end of what followed."""

    def converse(self, segments):
        """Send it all, and look what has become of it."""
        listener = AnsweringListener()
        listener.add_invite()
        known = len(listener.clock.servers)
        client = listener.connect()
        for segment in segments:
            client.send(segment)
        for server in listener.clock.servers[known:]:
            self.assertPassed(server.transport.value(), b"".join(segments))
            server.close()
        self.assertEqual(self.flushLoggedErrors(), [])
        client.lose()
        listener.clock.advance(61)
        self.assertEqual(listener.clock.getDelayedCalls(), [])
        self.assertEqual(listener.door.streams.open, set())

    def assertPassed(self, received, sent):
        """It is the beginning of what was sent, up to some ``>``, and an end of the rest."""
        places = (match.end() for match in re.finditer(b">", received))
        self.assertTrue(
            any(
                sent.startswith(received[:place]) and sent[place:].endswith(received[place:])
                for place in places
            ),
            (received, sent),
        )

    @FUZZ
    @given(conversations())
    def test_mutations(self, segments):
        """Conversations with mistakes in them, cut anywhere."""
        self.converse(segments)

    @FUZZ
    @given(st.lists(st.sampled_from([*WORDS, *STREAMS, *CONVERSATIONS[0]]), max_size=6))
    def test_any_order(self, texts):
        """The words of the protocol in any order."""
        self.converse([CHECK_HEADER.encode(), *(text.encode() for text in texts)])


class StepTests(GatewayTestCase):
    """At each step the server may hang or close."""

    clear_features = (
        "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>"
    )
    proceed = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
    steps = {  # noqa: RUF012
        "none": (SERVER_HEADER[:60], SERVER_HEADER[60:], FEATURES[:40], FEATURES[40:-1]),
        "direct": (None, SERVER_HEADER, FEATURES[:-1]),
        "starttls": (
            SERVER_HEADER,
            clear_features,
            proceed,
            None,
            SERVER_HEADER,
            FEATURES[:-1],
        ),
    }

    def reached(self, tls):
        """A client and a server at each step, one after the other."""
        for number in range(len(self.steps[tls]) + 1):
            client = self.listener.connect()
            client.send(CHECK_HEADER, LOGIN)
            if self.listener.waiting and self.listener.upstream_check._logged is not None:
                self.checked(tls)
            server = self.listener.accept()
            self.go(server, self.steps[tls][:number])
            yield client, server

    def go(self, server, steps):
        """The server does this."""
        for said in steps:
            if said is None:
                server.shake_hands()
            else:
                server.say(said)

    def checked(self, tls):
        """The server is asked again, and is as it should be."""
        server = self.listener.accept()
        self.go(server, self.steps[tls])
        server.say(">")
        server.say("<iq type='error' id='r'/>")

    def test_hangs(self):
        """A server that hangs is given up after 15 seconds, wherever it has got to."""
        for tls in self.steps:
            self.listener = GatewayListener({"tls": tls})
            self.listener.upstream_check.start()
            self.checked(tls)
            for client, server in self.reached(tls):
                self.listener.clock.advance(14)
                self.assertFalse(client.closed)
                self.listener.clock.advance(1)
                self.assertTrue(server.transport.aborted)
                for ours in self.asked():
                    self.listener.clock.advance(15)
                    self.assertTrue(ours.transport.aborted)
                self.assertTurnedAway(client)
                self.assertNotIn("<auth", server.received)

    def asked(self):
        """The connection by which we ask whether it is the server's fault, if there is one."""
        while self.listener.waiting:
            yield self.listener.accept()

    def test_closes(self):
        """One that closes is given up at once."""
        for tls in self.steps:
            self.listener = GatewayListener({"tls": tls})
            self.listener.upstream_check.start()
            self.checked(tls)
            for client, server in self.reached(tls):
                server.close()
                for ours in self.asked():
                    ours.close()
                self.assertTurnedAway(client)
                self.assertNotIn("<auth", server.received)

    def test_unreachable(self):
        """A connection that is not even refused is given up, too."""
        client = self.listener.connect()
        client.send(CHECK_HEADER, LOGIN)
        self.listener.clock.advance(15)
        self.assertTurnedAway(client)
        self.assertTrue(self.listener.clock.connectors[-1].stoppedConnecting)

    def test_header_in_clear(self):
        """Nothing of a client goes out before TLS, and nothing counts that came before it."""
        self.listener = GatewayListener({"tls": "starttls"})
        self.listener.upstream_check.start()
        self.checked("starttls")
        client = self.listener.connect()
        client.send(CHECK_HEADER.replace(" to=", " from='juliet@example.com' to="), LOGIN)
        server = self.listener.accept()
        server.say(SERVER_HEADER, self.clear_features)
        server.say(self.proceed + SERVER_HEADER + FEATURES)
        self.assertNotIn("juliet", server.transport.value().decode())
        self.assertSilent(client)
        server.shake_hands()
        self.assertIn("juliet", server.received)
        self.assertNotIn("<auth", server.received)
        server.say(SERVER_HEADER, FEATURES)
        self.assertTrue(server.received.endswith(LOGIN))

    def test_early_in_handshake(self):
        """A server that speaks before its certificate is verified is given up at once."""
        for tls, before in {"direct": 0, "starttls": 3}.items():
            self.listener = GatewayListener({"tls": tls})
            self.listener.upstream_check.start()
            self.checked(tls)
            client = self.listener.connect()
            client.send(CHECK_HEADER, LOGIN)
            server = self.listener.accept()
            self.go(server, self.steps[tls][:before])
            server.say(SERVER_HEADER + FEATURES)
            self.assertTrue(server.transport.aborted)
            self.assertTurnedAway(client)

    def test_from_missing(self):
        """A header without its sender is the domain's."""
        client = self.listener.connect()
        client.send(CHECK_HEADER)
        header = SERVER_HEADER.replace(" from='example.com'", "")
        self.listener.accept().say(header, FEATURES)
        self.assertEqual(client.receive()[0].name, "features")

    def assertTurnedAway(self, client):
        """It is told in a proper way."""
        (error,) = client.receive()
        self.assertEqual(children(error), ["remote-connection-failed", "text"])
        self.assertTrue(client.closed)
        client.lose()
