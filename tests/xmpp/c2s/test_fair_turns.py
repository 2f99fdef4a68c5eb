"""A client that makes much work waits for its turn, and the others do not wait for it."""

from unittest import mock

from invitereg.runtime.fairness import BURST, SHARE
from invitereg.xmpp.c2s.flow import READ_PIECE
from invitereg.xmpp.parser import BoundedElementStream
from tests.xmpp.door import DoorTestCase, Listener
from tests.xmpp.messages import DOMAIN, GET, preauth
from tests.xmpp.people import JULIET, ROMEO, PeopleTestCase
from tests.xmpp.slowstore import SlowStore

PING = f"<iq type='get' id='p' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>"
COST = 0.05
DENSE = f"<message to='nobody@{DOMAIN}'>{'<a/>' * 1000}</message>"


class TurnTests(PeopleTestCase):
    """To parse a piece that has a dense message in it takes a while."""

    def setUp(self):
        super().setUp()
        self.parsed = []
        parse = BoundedElementStream.parse

        def parse_slowly(parser, data):
            self.parsed.append(data)
            if b"<a/>" in data:
                self.listener.clock.rightNow += COST
            parse(parser, data)

        patched = mock.patch.object(BoundedElementStream, "parse", parse_slowly)
        self.addCleanup(patched.stop)
        patched.start()

    def flood(self, client):
        for _ in range(20):
            if client.transport.producerState == "producing":
                client.send(DENSE * 16)  # 64 KiB, as one read has

    def pieces(self):
        return sum(b"<a/>" in data for data in self.parsed)

    def test_one(self):
        """One session that sends too much is read no more, but for its share."""
        juliet, romeo = self.session(f"{JULIET}/1"), self.session(ROMEO)
        self.flood(juliet)
        most = BURST / COST + 2
        self.assertLessEqual(self.pieces(), most)
        self.assertEqual(juliet.transport.producerState, "paused")
        self.assertEqual(romeo.ask(PING)["type"], "result")
        for _ in range(100):
            self.listener.clock.advance(0.1)
        # The time that passes is what the flood takes, too.
        self.assertLessEqual(self.pieces(), most + self.listener.clock.seconds() * SHARE / COST)

    def test_sessions_together(self):
        """So many sessions of an account have no more than one, not even in the same turn."""
        sessions = [self.session(f"{JULIET}/{number}") for number in range(10)]
        for session in sessions:
            session.send(DENSE * 16)
        self.assertLessEqual(self.pieces(), BURST / COST + 2)
        for session in sessions:
            self.assertEqual(session.transport.producerState, "paused")

    def test_nothing_is_lost(self):
        """All that was sent is answered in the end, in its order."""
        juliet = self.session(f"{JULIET}/1")
        text = "".join(DENSE.replace("<message", f"<message id='{n}'") for n in range(30))
        juliet.send(text + PING)
        self.assertLess(self.pieces(), 10)
        for _ in range(400):
            self.listener.clock.advance(0.1)
        received = juliet.receive()
        self.assertEqual([one["id"] for one in received], [*map(str, range(30)), "p"])
        self.assertEqual(juliet.transport.producerState, "producing")

    def test_gone_meanwhile(self):
        """A client that leaves while it waits leaves nothing behind."""
        for end in (
            lambda client: client.lose(),
            lambda client: client.stream.abort(),
            lambda client: client.stream.end("undefined-condition"),
        ):
            juliet = self.session(f"{JULIET}/1")
            juliet.send(DENSE * 16)
            pieces = self.pieces()
            end(juliet)
            for _ in range(100):
                self.listener.clock.advance(0.1)
            self.assertEqual(self.pieces(), pieces)
            self.listener.clock.advance(1000)

    def test_before_login(self):
        """So have all streams of a network together, before they have logged in."""
        request = PING.replace("<ping", f"<x>{'<a/>' * 1000}</x><ping")
        clients = [self.listener.opened() for _ in range(10)]
        stranger = self.listener.opened(address="198.51.100.7")
        for client in clients:
            client.send(request * 3)
        self.assertLessEqual(self.pieces(), BURST / COST + 2)
        self.assertEqual(clients[-1].transport.producerState, "paused")
        self.assertEqual(stranger.ask(GET).name, "iq")

    def test_pieces(self):
        """What is parsed at once is little, so that others come in between."""
        juliet = self.session(f"{JULIET}/1")
        juliet.send("x".join(["<presence/>"]).ljust(100_000))
        self.assertLessEqual(max(map(len, self.parsed)), READ_PIECE)


class WaitingTests(DoorTestCase):
    def setUp(self):
        self.listener = Listener(wrap_store=self.wrap)

    def wrap(self, store):
        self.store = SlowStore(store)
        return self.store

    def test_read_when_nothing_waits(self):
        """A client is not read while anything waits that it has sent, answered or not."""
        self.listener.add_invite()
        client = self.listener.opened()
        self.store.slow = True
        requests = preauth() * 50
        client.send(requests)
        for number in range(50):
            self.assertEqual(client.transport.producerState, "paused", number)
            self.assertLess(len(client.stream._inbox), 50)
            while len(client.receive()) == 0:
                self.store.answer()
        self.assertEqual(client.transport.producerState, "producing")
