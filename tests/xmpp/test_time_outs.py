"""How long a stream may take for what."""

from invitereg.xmpp.phases import Phase
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

    def test_session(self):
        """A session may be silent for ever."""
        client = self.listener.logged_in()
        self.assertEqual(self.listener.clock.getDelayedCalls(), [])
        self.listener.wait(days=30)
        self.assertSilent(client)


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
        self.listener.wait(minutes=5)
        self.assertSilent(client)
