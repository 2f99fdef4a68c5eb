"""What the fuzz tests share: conversations, after which all must be as it should."""

from contextlib import contextmanager

from hypothesis import HealthCheck, settings
from twisted.logger import formatEvent, globalLogPublisher

from invitereg.xmpp.stanzas import Phase
from tests.xmpp.door import DoorTestCase, Listener

FUZZ = settings(
    max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


class FuzzCase(DoorTestCase):
    def make_listener(self):
        """A door with an account and an invite."""
        listener = Listener()
        listener.add_account()
        listener.add_invite()
        return listener

    @contextmanager
    def listening(self):
        """The lines that are logged meanwhile."""
        lines = []

        def keep(event):
            lines.append(formatEvent(event))

        globalLogPublisher.addObserver(keep)
        try:
            yield lines
        finally:
            globalLogPublisher.removeObserver(keep)

    def converse(self, segments, phase):
        """Send the segments, and look whether everything is as it should be.

        Returns:
            The client, all elements that it has received, and the lines of the log.
        """
        listener = self.make_listener()
        client = listener.connect(phase)
        with self.listening() as log:
            for segment in segments:
                if client.transport.tls is None or client.stream.phase is not Phase.CLEAR:
                    client.send(segment)
        received = client.receive()
        errors = [element for element in received if element.name == "error"]
        self.assertEqual(self.flushLoggedErrors(), [])
        if client.closed:
            self.assertTrue(client.raw.endswith("</stream:stream>"))
            self.assertLessEqual(len(errors), 1)
        else:
            self.assertEqual(errors, [])
            self.assertFalse(client.ended)
            self.assertEqual(client.transport.producerState, "producing")
        client.lose()
        self.assertEqual(listener.clock.getDelayedCalls(), [])
        self.assertEqual(listener.door.streams.open, set())
        return client, received, log


def escaped(text):
    """Text that is well-formed between tags and in quotes."""
    allowed = (c for c in text if c >= " " and not "\ud800" <= c <= "\udfff")
    return "".join(f"&#{ord(c)};" if c in "&<>'\"" else c for c in allowed)
