"""A server that lets a component in, and answers none of its requests."""

import re

from twisted.internet.defer import Deferred
from twisted.logger import formatEvent, globalLogPublisher

from invitereg.interfaces.server import PATIENCE_SECONDS
from invitereg.xmpp.component.hostping import HostPing
from tests.xmpp.component.test_connection import JID, ComponentStreamCase

DOMAIN = "example.com"


class HostPingTests(ComponentStreamCase):
    def setUp(self):
        super().setUp()
        self.answered = 0
        self.ping = HostPing(self.line, self.on_answer, self.reactor.seconds)
        self.ping.setHandlerParent(self.line)
        self.said = []
        globalLogPublisher.addObserver(self.said.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.said.append)

    async def on_answer(self):
        self.answered += 1

    def texts(self):
        found = map(formatEvent, self.said)
        return [text for text in found if text.startswith("requests of component")]

    def answer(self, kind):
        (stanza_id,) = re.findall(
            rf"<iq[^>]* to='{DOMAIN}'[^>]* id='(\w+)'", self.transport.value().decode()
        ) or re.findall(r"id='(\w+)'[^>]*>", self.transport.value().decode())
        self.protocol.dataReceived(
            f"<iq type='{kind}' id='{stanza_id}' from='{DOMAIN}'/>".encode()
        )

    def test_answered(self):
        """Any answer will do, also that the server knows no pings."""
        for kind in ("result", "error"):
            self.ready()
            self.answer(kind)
            self.lose()
            self.reactor.advance(5)
        self.assertEqual((self.answered, self.texts()), (2, []))

    def test_unanswered(self):
        """What must be removed is in the log, once, however often it connects again."""
        for _ in range(3):
            self.ready()
            self.reactor.advance(PATIENCE_SECONDS)
            self.lose()
            self.reactor.advance(5)
        (text,) = self.texts()
        self.assertIn(JID, text)
        self.assertIn("mod_privilege", text)
        self.assertEqual(self.answered, 0)
        self.ready()
        self.answer("result")
        self.assertEqual(self.answered, 1)
        self.assertEqual(len(self.texts()), 2)

    def test_no_connection(self):
        """Without a connection, that is what is said."""
        said = self.successResultOf(Deferred.fromCoroutine(self.ping.problem()))
        self.assertIn("no component connection", said)
