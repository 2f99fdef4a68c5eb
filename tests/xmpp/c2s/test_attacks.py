"""What somebody can do who means harm: to hold everybody up, or to fill the memory."""

import time

import pytest

from invitereg.model.accounts import SCRAM_SHA_256
from invitereg.xmpp.c2s.flow import MAX_UNREAD
from invitereg.xmpp.c2s.listener import end_all
from invitereg.xmpp.stanzas import Phase
from tests.xmpp.door import DoorTestCase
from tests.xmpp.messages import (
    BIND,
    GET,
    auth,
    children,
    header,
    registration,
)

SECONDS = 0.5
"""What takes longer, of the processor, holds everybody up: a bound, not an expectation."""
GROWING = "\ufdfa"
"""Three bytes of which preparation makes 33."""
MARKS = "\u0301\u0316"
"""Marks to be put in order, which takes a time that grows as their number squared."""


class UnreadTests(DoorTestCase):
    """The transport says when a client does not read: `IPushProducer`."""

    def choked(self, phase=Phase.SECURED):
        """A client that has not read what it was sent."""
        client = self.listener.opened(phase)
        client.transport.producer.pauseProducing()
        return client

    def test_not_answered(self):
        """A client that does not read is not answered further, and soon not read either."""
        client = self.choked()
        client.send(GET * 100)
        self.assertSilent(client)
        self.assertEqual(client.transport.producerState, "paused")
        client.transport.producer.resumeProducing()
        self.assertEqual(len(client.receive()), 100)
        self.assertEqual(client.transport.producerState, "producing")

    def test_in_the_middle(self):
        """Too much may be unread within one segment."""
        client = self.listener.opened()
        write = client.transport.write

        def write_and_pause(data):
            write(data)
            client.transport.producer.pauseProducing()

        client.transport.write = write_and_pause
        client.send(GET * 3)
        for _ in range(3):
            self.assertEqual(len(client.receive()), 1)
            client.transport.producer.resumeProducing()
        self.assertSilent(client)

    def test_session(self):
        """The same holds for a session."""
        client = self.listener.logged_in()
        client.transport.producer.pauseProducing()
        client.send("<message to='romeo@example.com'/>" * 2)
        self.assertSilent(client)
        client.transport.producer.resumeProducing()
        self.assertEqual(len(client.receive()), 2)

    def test_starttls(self):
        """TLS says anew what is unread."""
        client = self.listener.opened(Phase.CLEAR)
        client.secure()
        client.transport.producer.pauseProducing()
        client.send(GET)
        self.assertSilent(client)

    def test_ended(self):
        """A client that does not read is closed like another."""
        client = self.choked()
        client.send(GET)
        end_all(self.listener.door.streams.open, "system-shutdown")
        self.assertIsNone(client.transport.producer)
        self.assertEqual(client.transport.producerState, "producing")
        self.assertEnded(client, "system-shutdown")

    def test_idle(self):
        """Nor does it stay for ever."""
        client = self.choked()
        client.send(GET)
        self.listener.wait(seconds=119)
        self.assertFalse(client.transport.aborted)
        self.listener.wait(seconds=1)
        self.assertTrue(client.transport.aborted)

    def test_read_in_time(self):
        """Who reads on, however late, stays."""
        client = self.choked()
        self.listener.wait(seconds=119)
        client.transport.producer.resumeProducing()
        self.listener.wait(seconds=5)
        client.transport.producer.pauseProducing()
        self.listener.wait(seconds=119)
        self.assertFalse(client.transport.aborted)

    def test_filled_by_others(self):
        """What others send to a session that does not read is kept up to a bound."""
        client = self.listener.logged_in()
        client.stream.send(" " * 2 * MAX_UNREAD)
        client.transport.producer.pauseProducing()
        client.stream.send(" " * MAX_UNREAD)
        self.assertFalse(client.transport.aborted)
        client.stream.send(" ")
        self.listener.clock.advance(0)
        self.assertTrue(client.transport.aborted)
        client.stream.send(" ")
        client.lose()
        self.assertEqual(self.listener.clock.getDelayedCalls(), [])


@pytest.mark.alone
class TimeTests(DoorTestCase):
    def preauthorised(self):
        """A client with a good token."""
        self.listener.add_invite()
        return self.listener.preauthorised()

    def quickly(self, client, text):
        """What comes in answer, without holding everybody up."""
        start = time.thread_time()
        client.send(text)
        self.assertLess(time.thread_time() - start, SECONDS)
        return client.receive()

    def test_long_names(self):
        """A long name that takes long to prepare is refused unprepared, wherever it is."""
        long = "a" + MARKS * 50000
        session = self.listener.logged_in()
        for to in (f"{long}@example.com", long, f"juliet@example.com/{long}"):
            (reply,) = self.quickly(session, f"<message to='{to}'/>")
            self.assertError(reply, "modify", "jid-malformed")

    def test_long_names_before_login(self):
        """So it is before login, where a stanza is short but many may come."""
        long = "a" + MARKS * 2000
        client = self.preauthorised()
        for reply in self.quickly(client, registration(long) * 20):
            self.assertError(reply, "modify", "jid-malformed")
        stranger = self.listener.connect()
        self.quickly(stranger, header(to=long))
        self.assertTrue(stranger.closed)

    def test_long_resource(self):
        """So is a resource."""
        self.listener.add_account()
        client = self.listener.opened()
        client.log_in()
        for reply in self.quickly(client, BIND.format("a" + MARKS * 2000) * 20):
            self.assertError(reply, "modify", "bad-request")

    def test_long_scram_name(self):
        """So is the name in a SCRAM message."""
        message = auth(SCRAM_SHA_256, f"n,,n={GROWING * 2000},r=x".encode())
        for failure in self.quickly(self.listener.opened(), message * 4):
            self.assertFails(failure, "malformed-request")

    def test_long_password(self):
        """A password that no account can have is hashed as little as prepared."""
        self.listener.add_account()
        client = self.listener.opened()
        secret = auth("PLAIN", f"\0juliet\0{GROWING * 2000}".encode())
        for failure in self.quickly(client, secret * 4):
            self.assertFails(failure, "not-authorized")

    def test_many_fields(self):
        """A form with a thousand fields of its own is refused as fast as another."""
        more = "".join(f"<f{number}>1</f{number}>" for number in range(650))
        client = self.listener.opened()
        for reply in self.quickly(client, registration(more=more) * 10):
            self.assertError(reply, "auth", "forbidden")

    def test_many_lines(self):
        """A text of a quarter of a million empty lines is one text."""
        session = self.listener.logged_in()
        text = "\n" * 250000
        (reply,) = self.quickly(
            session, f"<message to='romeo@example.com'><body>{text}</body></message>"
        )
        self.assertEqual(str(reply.body), text)
        self.assertError(reply, "cancel", "service-unavailable")


class EndlessTests(DoorTestCase):
    def test_scram_starts(self):
        """To start SCRAM over and over is a failure each time, and comes to an end."""
        client = self.listener.opened()
        start = auth(SCRAM_SHA_256, b"n,,n=juliet,r=x")
        client.send(start * 100)
        answers = client.receive()
        self.assertEqual([a.name for a in answers], ["challenge"] * 6 + ["error"])
        self.assertEqual(children(answers[-1])[0], "policy-violation")
        self.assertTrue(client.closed)
