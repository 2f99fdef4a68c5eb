"""How long a stream may take for what."""

from invitereg.xmpp.stanzas import Phase
from tests.xmpp.door import DoorTestCase
from tests.xmpp.messages import BIND, GET, STARTTLS, header, plain


class TlsTests(DoorTestCase):
    def test_idle_in_clear(self):
        """A connection that does not ask for TLS ends after 30 seconds."""
        for opened in (False, True):
            client = self.listener.connect(Phase.CLEAR)
            if opened:
                client.open()
            self.listener.wait(seconds=29)
            self.assertSilent(client)
            self.listener.wait(seconds=1)
            self.assertEnded(client, "connection-timeout")

    def test_busy_in_clear(self):
        """Sending something else meanwhile does not help."""
        client = self.listener.opened(Phase.CLEAR)
        for _ in range(29):
            self.listener.wait(seconds=1)
            client.ask(GET)
        self.listener.wait(seconds=1)
        self.assertEnded(client, "connection-timeout")

    def test_hanging_in_the_handshake(self):
        """A handshake that does not end is aborted, without a word in clear."""
        client = self.listener.opened(Phase.CLEAR)
        self.listener.wait(seconds=20)
        client.ask(STARTTLS)
        direct = self.listener.connect()
        self.listener.wait(seconds=10)
        self.assertTrue(client.transport.aborted)
        self.assertFalse(direct.transport.aborted)
        self.listener.wait(seconds=20)
        self.assertTrue(direct.transport.aborted)
        self.assertEqual(client.receive() + direct.receive(), [])

    def test_no_header(self):
        """Once there is TLS, a program has a minute to open its stream."""
        direct = self.listener.connect()
        direct.finish_handshake()
        clear = self.listener.opened(Phase.CLEAR)
        self.listener.wait(seconds=20)
        clear.ask(STARTTLS)
        clear.finish_handshake()
        direct.send("<?xml version='1.0'?>")
        self.listener.wait(seconds=40)
        self.assertEnded(direct, "connection-timeout")
        self.listener.wait(seconds=19)
        self.assertSilent(clear)
        self.listener.wait(seconds=1)
        self.assertEnded(clear, "connection-timeout")

    def test_handshake_without_a_report(self):
        """Where the transport does not report the handshake's end, the first bytes do."""
        client = self.listener.opened()
        self.listener.wait(minutes=9)
        self.assertSilent(client)


class PatienceTests(DoorTestCase):
    def test_idle(self):
        """Ten minutes without a byte are too many."""
        client = self.listener.opened()
        self.listener.wait(minutes=9, seconds=59)
        client.send(" ")
        self.listener.wait(minutes=9, seconds=59)
        self.assertSilent(client)
        self.listener.wait(seconds=1)
        self.assertEnded(client, "connection-timeout")

    def test_altogether(self):
        """Thirty minutes are the end, whatever is sent."""
        client = self.listener.opened()
        for _ in range(29):
            self.listener.wait(minutes=1)
            self.assertResult(client.ask(GET))
        self.listener.wait(minutes=1)
        self.assertEnded(client, "connection-timeout")

    def test_login_without_binding(self):
        """Whoever logs in and binds nothing is not waited for any longer."""
        self.listener.add_account()
        client = self.listener.opened()
        client.log_in()
        self.listener.wait(minutes=29)
        self.assertSilent(client)
        self.listener.wait(minutes=1)
        self.assertEnded(client, "connection-timeout")

    def test_login_without_new_header(self):
        """Nor is whoever logs in and says nothing."""
        self.listener.add_account()
        client = self.listener.opened()
        client.ask(plain())
        self.listener.wait(seconds=59)
        self.assertSilent(client)
        self.listener.wait(seconds=1)
        self.assertEnded(client, "connection-timeout")


class SilenceTests(DoorTestCase):
    def setUp(self):
        super().setUp()
        self.client = self.listener.logged_in()

    def test_ping(self):
        """A session that is silent for 5 minutes is asked whether it is still there."""
        self.listener.wait(minutes=4, seconds=59)
        self.assertSilent(self.client)
        self.listener.wait(seconds=1)
        (ping,) = self.client.receive()
        self.assertEqual((ping["type"], ping["from"]), ("get", "example.com"))
        self.assertEqual(ping["to"], "juliet@example.com/balcony")
        self.assertEqual(ping.firstChildElement().uri, "urn:xmpp:ping")

    def test_answered(self):
        """Any answer will do, for another 5 minutes."""
        for answer in ("<iq type='result' id='{}' to='example.com'/>", "<message/>", " "):
            self.listener.wait(minutes=5)
            (ping,) = self.client.receive()
            self.listener.wait(seconds=59)
            self.client.send(answer.format(ping["id"]))
            self.client.receive()
            self.listener.wait(minutes=4, seconds=59)
            self.assertSilent(self.client)
            self.listener.wait(seconds=1)
            self.assertEqual(self.client.receive()[0].name, "iq")
            self.client.send(" ")

    def test_unanswered(self):
        """A session that does not answer for a minute is closed."""
        self.listener.wait(minutes=5)
        self.client.receive()
        self.listener.wait(minutes=1)
        self.assertEnded(self.client, "connection-timeout")
        self.assertEqual(self.listener.sessions.of("juliet@example.com"), [])

    def test_talking(self):
        """A session that sends something every few minutes is never asked."""
        for _ in range(20):
            self.listener.wait(minutes=4)
            self.client.send(" ")
        self.assertSilent(self.client)

    def test_forgotten(self):
        """No clock runs for a session that is gone."""
        for minutes in (0, 5):
            client = self.listener.logged_in(resource=f"after {minutes}")
            self.listener.wait(minutes=minutes)
            client.lose()
        self.client.lose()
        self.assertEqual(self.listener.clock.getDelayedCalls(), [])


class ClosingTests(DoorTestCase):
    def test_unresponsive_peer(self):
        """A peer that does not close its side after ours is dropped after 5 seconds."""
        client = self.listener.opened()
        client.send("<message/>")
        self.assertEnded(client, "not-authorized")
        self.listener.wait(seconds=5)
        self.assertTrue(client.transport.aborted)

    def test_peer_closes(self):
        """A peer that does is forgotten; no clock runs any more."""
        for text in (header() + "</stream:stream>", header() + "<x/>"):
            client = self.listener.connect()
            client.send(text)
            self.listener.wait(seconds=1)
            client.lose()
        self.assertEqual(self.listener.clock.getDelayedCalls(), [])

    def test_session_that_was_closed(self):
        """The same holds for a session."""
        client = self.listener.logged_in()
        client.send("</stream:stream>")
        self.listener.wait(seconds=5)
        self.assertTrue(client.transport.aborted)

    def test_time_outs_follow_each_other_harmlessly(self):
        """A stream that is ended once stays so, whatever else is due."""
        client = self.listener.opened()
        self.listener.wait(minutes=10)
        self.assertEnded(client, "connection-timeout")
        self.listener.wait(hours=1)
        self.assertEqual(client.receive(), [])

    def test_bind_in_time(self):
        """A login in the last second is in time."""
        self.listener.add_account()
        client = self.listener.opened()
        for _ in range(29):
            self.listener.wait(minutes=1)
            client.send(" ")
        client.log_in()
        self.assertResult(client.ask(BIND.format("x")))
        self.listener.wait(minutes=4)
        self.assertSilent(client)
