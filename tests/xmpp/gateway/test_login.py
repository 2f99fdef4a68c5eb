"""A client is a stranger until the upstream server has said that it has logged in."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.logger import formatEvent, globalLogPublisher

from tests.xmpp.gateway.door import CHECK_HEADER, LOGIN, GatewayListener, GatewayTestCase
from tests.xmpp.messages import NS_SASL

NS_SASL2 = "urn:xmpp:sasl:2"
FAILURE = f"<failure xmlns='{NS_SASL}'><not-authorized/></failure>"
ABORTED = f"<failure xmlns='{NS_SASL}'><aborted/></failure>"
FAILURE2 = f"<failure xmlns='{NS_SASL2}'><not-authorized xmlns='{NS_SASL}'/></failure>"
CHALLENGE = f"<challenge xmlns='{NS_SASL}'>cj0=</challenge>"
SUCCESS = f"<success xmlns='{NS_SASL}'>dj0=</success>"
SUCCESSES = (
    SUCCESS,
    f'<success xmlns="{NS_SASL}"/>',
    f"<sasl:success xmlns:sasl='{NS_SASL}'></sasl:success >",
    f"<success xmlns='{NS_SASL2}'><authorization-identifier>juliet@example.com/é"
    "</authorization-identifier></success>",
)
LOOKALIKES = (
    f"<challenge xmlns='{NS_SASL}'><![CDATA[{SUCCESS}]]></challenge>",
    f"<iq type='error' id=\"{SUCCESS.replace('<', '&lt;')}\">{SUCCESS}</iq>",
    "<success/>",
    f"<success xmlns='{NS_SASL}.'/>",
    f"<continue xmlns='{NS_SASL2}'/>",
    SUCCESS[:-1],
)
UNREADABLE = ("<a><!-- --></a>", "<?x?>", "x", "<a></b>", "<é:a/>", "<a <", "<!DOCTYPE a>")


class LoginCase(GatewayTestCase):
    """Tests of a login at the upstream server."""

    def trying(self, **where):
        """A client that tries to log in, and the server."""
        client, server = self.listener.through(**where)
        client.send(LOGIN)
        return client, server

    @property
    def strangers(self):
        """How many streams are limited."""
        return len(self.listener.door.streams._unauthenticated)

    def assertPassedOn(self, client, *texts):
        """The client has got this, and nothing else."""
        self.assertEqual(client.transport.value().decode(), "".join(texts))
        client.transport.clear()

    def assertSaid(self, client, passed, condition):
        """After what was passed on, it has got this stream error, and the end."""
        text = client.transport.value().decode()
        self.assertTrue(text.startswith(passed), text)
        rest = text.removeprefix(passed)
        self.assertRegex(rest, rf"\A<stream:error[^>]*><{condition} .*</stream:stream>\Z")
        self.assertTrue(client.closed)


class CountTests(LoginCase):
    """Strangers are limited in number (limits.streams)."""

    def test_failures_free_no_place(self):
        """Whoever lets a login fail keeps the place, and takes it from nobody else's count."""
        self.listener = GatewayListener(streams=(5, 50))
        self.listener.checked()
        clients = [self.trying() for _ in range(5)]
        for text in (CHALLENGE, FAILURE, ABORTED, FAILURE2, *LOOKALIKES):
            for client, server in clients:
                server.say(text)
                self.assertPassedOn(client, text)
        self.assertEqual(self.strangers, 5)
        refused = self.listener.connect()
        self.assertTrue(refused.closed)
        clients[0][0].lose()
        self.assertEqual(self.strangers, 4)

    def test_success(self):
        """A success frees it, however the server writes it and wherever it is cut."""
        for text in SUCCESSES:
            data = (CHALLENGE + FAILURE + text).encode()
            for cut in range(0, len(data), 3):
                client, server = self.trying()
                server.say(data[:cut])
                self.assertEqual(self.strangers, 1)
                server.say(data[cut:])
                self.assertEqual(self.strangers, 0, text)
                self.assertPassedOn(client, data.decode())
                client.lose()
                server.close()

    def test_success_while_held(self):
        """So does one that a server has said before it was asked."""
        client, server = self.listener.through()
        server.say(SUCCESS)
        client.send(LOGIN)
        self.assertPassedOn(client, SUCCESS)
        self.assertEqual(self.strangers, 0)

    def test_nothing_read_afterwards(self):
        """After a success nothing is read: each side says to the other what it likes."""
        client, server = self.trying()
        server.say(SUCCESS + UNREADABLE[0])
        for text in (*UNREADABLE, CHECK_HEADER, FAILURE * 20):
            server.say(text)
            client.send(text)
        self.assertPassedOn(client, SUCCESS, UNREADABLE[0], *UNREADABLE, CHECK_HEADER,
                            FAILURE * 20)  # fmt: skip
        self.assertTrue(server.received.endswith(CHECK_HEADER + FAILURE * 20))
        self.assertFalse(client.closed)

    @settings(deadline=None)
    @given(
        st.lists(st.sampled_from([CHALLENGE, ABORTED, " \n", *LOOKALIKES[:-1]]), max_size=4),
        st.sampled_from([*SUCCESSES, "", *UNREADABLE]),
        st.lists(st.integers(0, 1000), max_size=8),
    )
    def test_unchanged(self, texts, last, cuts):
        """Whatever a server says, and in whatever pieces, comes as it was."""
        self.setUp()
        data = ("".join(texts) + last).encode()
        places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
        client, server = self.trying()
        for start, end in pairwise(places):
            if not client.closed:
                server.say(data[start:end])
        passed = client.transport.value()
        self.assertTrue(data.startswith(passed[: len(data)]))
        self.assertEqual(self.strangers, 0 if last in SUCCESSES else 1)
        if last in SUCCESSES or not last:
            self.assertEqual(passed[: len(data)], data)


class TimeTests(LoginCase):
    """Strangers are limited in time."""

    def test_login(self):
        """Half an hour after its beginning a stream that has not logged in ends."""
        client, server = self.trying()
        server.say(FAILURE)
        for _ in range(29):
            self.listener.clock.advance(60)
            client.send(" ")
        self.assertPassedOn(client, FAILURE)
        self.listener.clock.advance(60)
        self.assertSaid(client, "", "connection-timeout")
        client.lose()
        self.assertTrue(server.transport.disconnecting)

    def test_idle(self):
        """So does one from which nothing comes for ten minutes, even before an answer."""
        client, _server = self.trying()
        self.listener.clock.advance(599)
        self.assertFalse(client.closed)
        self.listener.clock.advance(1)
        self.assertSaid(client, "", "connection-timeout")

    def test_within_an_element(self):
        """In the middle of what the server says nothing is said, as nobody would understand."""
        client, server = self.trying()
        server.say(FAILURE + CHALLENGE[:20])
        self.listener.clock.advance(600)
        self.assertPassedOn(client, FAILURE, CHALLENGE[:20])
        self.assertTrue(client.closed)

    def test_success(self):
        """After a success no time is limited."""
        client, server = self.trying()
        server.say(SUCCESS)
        self.listener.clock.advance(7200)
        self.assertPassedOn(client, SUCCESS)
        self.assertFalse(client.closed)


class RefusalTests(LoginCase):
    """Strangers are limited in their tries."""

    def test_too_many(self):
        """A stream ends with the fifth login that fails, as it does without a gateway."""
        for kinds in ([FAILURE] * 5, [FAILURE2] * 5, [FAILURE, ABORTED, FAILURE2] * 2):
            for together in (False, True):
                client, server = self.trying()
                texts = kinds[:5]
                for text in ["".join(texts)] if together else texts:
                    self.assertFalse(client.closed, client.transport.value())
                    server.say(text)
                self.assertSaid(client, "".join(texts), "policy-violation")
                client.send(LOGIN)
                self.assertFalse(server.received.endswith(LOGIN * 2))
                client.lose()
                self.assertTrue(server.transport.disconnecting)
                server.close()

    def test_too_many_while_held(self):
        """Nothing is sent to a server that has said so before it was asked."""
        client, server = self.listener.through()
        server.say(FAILURE * 5)
        client.send(LOGIN)
        self.assertSaid(client, FAILURE * 5, "policy-violation")
        self.assertNotIn("<auth", server.received)

    def test_in_time(self):
        """Who gets it right at the fifth try is in."""
        client, server = self.trying()
        server.say(FAILURE * 4 + SUCCESS)
        self.assertPassedOn(client, FAILURE * 4, SUCCESS)
        self.assertEqual(self.strangers, 0)


class UnreadableTests(LoginCase):
    """A server that says what is no XMPP keeps no stranger's stream open for ever."""

    def setUp(self):
        super().setUp()
        self.log = []
        globalLogPublisher.addObserver(self.keep)
        self.addCleanup(globalLogPublisher.removeObserver, self.keep)

    def keep(self, event):
        """Note what the log is told from a warning on."""
        if event["log_level"].name in ("warn", "error", "critical"):
            self.log.append(formatEvent(event))

    def test_unreadable(self):
        """The client gets it, and the end; the log says it once, and uses the server on."""
        for _ in range(3):
            for text in UNREADABLE:
                client, server = self.trying()
                server.say(CHALLENGE + text)
                self.assertPassedOn(client, CHALLENGE, text)
                self.assertTrue(client.closed)
                client.lose()
                server.close()
        conditions = ("restricted-xml", "bad-format", "not-well-formed")
        self.assertEqual(len(self.log), len(conditions), self.log)
        for condition in conditions:
            found = [line for line in self.log if f"before a login ({condition})" in line]
            self.assertEqual(len(found), 1, self.log)

    def test_too_long(self):
        """A tag without an end fills no memory."""
        client, server = self.trying()
        sent = 0
        while not client.closed:
            server.say(b"<a x='" if not sent else b"x" * 1000)
            sent += 1000
        self.assertLess(sent, 70_000)


class FeatureTests(LoginCase):
    def test_legacy(self):
        """The login of old (XEP-0078), of which the gateway would not hear, is not offered."""
        client = self.listener.connect()
        client.send(CHECK_HEADER)
        mechanisms = f"<mechanisms xmlns='{NS_SASL}'><mechanism>PLAIN</mechanism></mechanisms>"
        legacy = "<auth xmlns='http://jabber.org/features/iq-auth'/>"
        server = self.listener.accept()
        server.say(
            "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' "
            "xmlns='jabber:client' version='1.0'>",
            f"<stream:features>{legacy}{mechanisms}</stream:features>",
        )
        text = client.transport.value().decode()
        self.assertIn("PLAIN", text)
        self.assertNotIn("iq-auth", text)
