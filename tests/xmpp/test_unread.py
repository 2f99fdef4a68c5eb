"""A client that does not read what others send it."""

from invitereg.xmpp.backlog import MAX_UNREAD
from tests.xmpp.people import JULIET, NURSE, ROMEO, PeopleTestCase, bodies, told

BIG = 100_000


class UnreadTests(PeopleTestCase):
    def setUp(self):
        super().setUp()
        self.book.befriend(JULIET, ROMEO)
        self.juliet, self.romeo = self.session(JULIET), self.session(ROMEO)
        self.juliet.receive()

    def write(self, to=ROMEO, times=1):
        """Juliet writes long messages."""
        body = "x" * BIG
        self.juliet.send(f"<message to='{to}'><body>{body}</body></message>" * times)

    def stop_reading(self):
        """The transport says that it has taken all that it can."""
        self.romeo.stream.transport.producer.pauseProducing()

    def go_on_reading(self):
        """The transport says that all has been read."""
        self.romeo.stream.transport.producer.resumeProducing()

    def test_closed(self):
        """What waits for a client has a limit; past it the connection is dropped."""
        self.stop_reading()
        self.write(times=MAX_UNREAD // BIG)
        self.listener.wait(seconds=0)
        self.assertFalse(self.romeo.transport.aborted)
        self.write()
        self.listener.wait(seconds=0)
        self.assertTrue(self.romeo.transport.aborted)
        self.assertEqual(told(self.juliet), [(f"{ROMEO}/r", "unavailable", "")])
        self.write()
        self.assertUnavailable(self.juliet.receive()[0])
        self.romeo.lose()
        self.assertSilent(self.juliet)

    def test_read_in_time(self):
        """Who reads on, however slowly, may be sent any amount."""
        for _ in range(5):
            self.stop_reading()
            self.write(times=MAX_UNREAD // BIG)
            self.go_on_reading()
            self.assertEqual(len(bodies(self.romeo)), MAX_UNREAD // BIG)
        self.assertFalse(self.romeo.closed)

    def test_much_at_once(self):
        """Nor is it any matter how much comes at once while it is taken."""
        self.write(times=3 * MAX_UNREAD // BIG)
        self.listener.wait(seconds=0)
        self.assertSilent(self.juliet)
        self.assertFalse(self.romeo.closed)

    def test_others(self):
        """Nobody else is slowed: the writer is heard, and so is everybody else."""
        nurse = self.session(NURSE)
        self.stop_reading()
        self.write(times=2)
        self.juliet.send(f"<message to='{NURSE}'><body>1</body></message>")
        self.assertEqual(bodies(nurse), ["1"])

    def test_many(self):
        """Hundreds of contacts who do not read end one by one, not within each other."""
        everybody = [f"guest{number}@example.com" for number in range(300)]
        for number, name in enumerate(everybody):
            self.book.befriend(name, everybody[number - 1])
        clients = [self.session(name) for name in everybody]
        for client in clients:
            client.stream.transport.producer.pauseProducing()
            client.stream.send("x" * MAX_UNREAD)
        clients[0].stream.send("x" * 1000)
        for _ in clients:
            self.listener.wait(seconds=0)
        self.assertTrue(all(client.transport.aborted for client in clients))
