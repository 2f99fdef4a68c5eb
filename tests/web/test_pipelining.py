"""Many requests of a few: others are answered meanwhile, and nothing piles up."""

import gc
import weakref
from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from invitereg.web.channel import UNREAD_SECONDS
from invitereg.web.connections import RoundRobin, WebConnections
from invitereg.web.settings import SiteSettings
from invitereg.web.site import WebDoor
from tests.web.door import DOMAIN
from tests.web.test_connections import ANYBODY, OTHER, address_of

PAGE = 5000
BUFFER = 2**16
"""So much a transport of Twisted takes before it asks for a pause."""


class TurnClock(Clock):
    """A reactor's time, of which a test makes each turn."""

    def turn(self) -> None:
        """Do what was due before, and nothing that is asked for meanwhile."""
        self.rightNow += 0.001
        due = [call for call in self.calls if call.getTime() <= self.seconds()]
        for call in due:
            if call.active():
                self.calls.remove(call)
                call.called = 1
                call.func(*call.args, **call.kw)


class Reader(StringTransport):
    """A connection whose client reads when a test says so."""

    def write(self, data: bytes) -> None:
        super().write(data)
        if self.producer is not None and len(self.value()) > BUFFER:
            self.producer.pauseProducing()

    def writeSequence(self, data: Sequence[bytes]) -> None:
        self.write(b"".join(data))

    def read(self) -> bytes:
        data = self.value()
        self.clear()
        if self.producer is not None:
            self.producer.resumeProducing()
        return data


class Pages(Resource):
    """Answers each request at once with its path, and notes which there were."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[bytes] = []

    def render(self, request: Any) -> bytes:
        self.seen.append(request.path)
        return b"%-*d" % (PAGE, int(request.path[1:]))


class Client:
    def __init__(self, door: WebDoor, host: str) -> None:
        self.transport: Any = Reader(peerAddress=address_of(host))
        self.channel: Any = door.listener().buildProtocol(None)
        self.channel.makeConnection(self.transport)

    def ask(self, *numbers: int) -> None:
        self.channel.dataReceived(requests(*numbers))

    @property
    def reading(self) -> bool:
        """Whether the service reads more of what this client sends."""
        return bool(self.transport.producerState == "producing")

    def close(self) -> None:
        self.channel.connectionLost(Failure(ConnectionDone()))


def requests(*numbers: int, more: bytes = b"") -> bytes:
    return b"".join(
        b"GET /%d HTTP/1.1\r\nHost: x\r\n%s\r\n" % (number, more) for number in numbers
    )


class PipelineCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = TurnClock()
        self.pages: Any = Pages()
        site = SiteSettings(domain=DOMAIN, external_url="https://example.com/")
        self.door = WebDoor(
            sites={DOMAIN: site}, trusted_proxies=(), pages=self.pages, reactor=self.clock
        )
        self.door.connections = WebConnections()

    def client(self, host: str = ANYBODY) -> Client:
        return Client(self.door, host)

    def turns_until(self, path: bytes) -> int:
        """How many turns of the reactor it takes until a path is answered."""
        for turn in range(1000):
            if path in self.pages.seen:
                return turn
            self.clock.turn()
        raise AssertionError(f"{path!r} is never answered")


class TurnTests(PipelineCase):
    def test_pipelined(self) -> None:
        """Of 2,000 requests in one piece, one is answered in each turn of the reactor."""
        client = self.client()
        client.ask(*range(2000))
        for turn in range(100):
            self.assertEqual(len(self.pages.seen), turn + 1)
            self.clock.turn()
            client.transport.read()

    def test_many_connections(self) -> None:
        """From 100 connections neither, and another network is served with the next turns."""
        clients = [self.client() for _ in range(100)]
        for client in clients:
            client.ask(*range(1, 500))
        self.assertEqual(len(self.pages.seen), 1)
        self.client(OTHER).ask(1000)
        self.assertLessEqual(self.turns_until(b"/1000"), 2)
        self.assertLessEqual(len(self.pages.seen), 3)

    def test_one_after_the_other(self) -> None:
        """Nor does it help to wait for each answer, as long as there are many connections."""
        clients = [self.client() for _ in range(100)]
        for turn in range(50):
            for client in clients:
                if client.transport.read() or turn == 0:
                    client.ask(1)
            self.assertEqual(len(self.pages.seen), turn + 1)
            self.clock.turn()
        self.client(OTHER).ask(1000)
        self.assertLessEqual(self.turns_until(b"/1000"), 2)

    def test_many_networks(self) -> None:
        """Many networks of one provider have turns together, as have those of a subscriber."""
        for wide in ("10.0.0.{}", "10.0.{}.1", "2001:db8:0:{:x}::1", "2001:db8:{:x}::1"):
            self.setUp()
            for number in range(100):
                self.client(wide.format(number)).ask(*range(1, 500))
            self.client(OTHER).ask(1000)
            self.assertLessEqual(self.turns_until(b"/1000"), 2, wide)

    def test_neighbour(self) -> None:
        """Within a provider's, too, each network has its turn."""
        for _ in range(50):
            self.client("10.0.0.1").ask(*range(1, 500))
        self.client("10.0.0.2").ask(1000)
        self.assertLessEqual(self.turns_until(b"/1000"), 2)

    def test_forwarded(self) -> None:
        """Behind a proxy it is the networks of those who ask that take turns."""
        self.door.trusted_proxies = (ip_network(OTHER),)
        for _ in range(50):
            client = self.client(OTHER)
            data = requests(*range(1, 500), more=b"X-Forwarded-For: 192.0.2.1\r\n")
            client.channel.dataReceived(data)
        data = requests(1000, more=b"X-Forwarded-For: 198.51.100.9\r\n")
        self.client(OTHER).channel.dataReceived(data)
        self.assertLessEqual(self.turns_until(b"/1000"), 2)

    def test_gone(self) -> None:
        """What somebody has asked for who has hung up is not begun, and takes no turn."""
        for _ in range(50):
            client = self.client()
            client.ask(*range(1, 500))
            client.close()
        seen = len(self.pages.seen)
        self.client(ANYBODY).ask(1000)
        self.turns_until(b"/1000")
        self.assertEqual(len(self.pages.seen), seen + 1)

    def test_released(self) -> None:
        """Nothing is kept of who hangs up while requests wait."""
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        for number in range(3):
            client = self.client()
            client.ask(*range(500))
            if number == 2:
                for _ in range(20):
                    self.clock.turn()
            channel = weakref.ref(client.channel)
            client.close()
            client.transport.producer = client.channel = None
            self.clock.turn()
            self.clock.turn()
            self.assertIsNone(channel(), number)


class UnreadTests(PipelineCase):
    def test_bounded(self) -> None:
        """Who reads no answer gets a buffer full of them, and nothing more is done."""
        client = self.client()
        client.ask(*range(1000))
        for _ in range(1000):
            self.clock.turn()
        self.assertLessEqual(len(client.transport.value()), BUFFER + PAGE + 1000)
        self.assertLessEqual(len(self.pages.seen), BUFFER // PAGE + 1)

    def test_not_read(self) -> None:
        """While requests wait, no more is read."""
        client = self.client()
        client.ask(1)
        self.clock.turn()
        self.assertTrue(client.reading)
        client.ask(*range(100))
        for _ in range(100):
            self.assertFalse(client.reading)
            self.clock.turn()
        while len(self.pages.seen) < 101:
            client.transport.read()
            self.clock.turn()
        client.transport.read()
        self.assertTrue(client.reading)

    def test_not_read_behind_a_slow_answer(self) -> None:
        """Nor while one takes its time, even if the answer before is not yet read."""
        client = self.client()
        client.ask(*range(BUFFER // PAGE + 1))
        for _ in range(100):
            self.clock.turn()
        self.patch(self.pages, "render", lambda _request: NOT_DONE_YET)
        client.ask(1)
        client.ask(2)
        self.assertFalse(client.reading)
        client.transport.read()
        self.assertFalse(client.reading)

    def test_dropped(self) -> None:
        """Who does not read for a while is cut off, however much else they send."""
        for last in (b"", b"Connection: close\r\n"):
            client = self.client()
            client.ask(*range(100))
            if last:
                client = self.client()
                client.channel.dataReceived(requests(1, more=last))
            for _ in range(100):
                self.clock.turn()
            self.assertFalse(client.transport.disconnected)
            self.clock.advance(UNREAD_SECONDS)
            self.assertTrue(client.transport.disconnected)
            client.close()

    def test_slow(self) -> None:
        """Who reads slowly is not."""
        client = self.client()
        client.ask(*range(100))
        for _ in range(8):
            for _ in range(20):
                self.clock.turn()
            self.clock.advance(UNREAD_SECONDS - 1)
            client.transport.read()
        for _ in range(20):
            self.clock.turn()
        self.assertEqual(len(self.pages.seen), 100)
        self.assertFalse(client.transport.disconnected)

    @given(
        st.integers(1, 60),
        st.lists(st.tuples(st.integers(1, 400), st.booleans(), st.booleans()), max_size=30),
    )
    def test_any_order(self, count: int, steps: list[tuple[int, bool, bool]]) -> None:
        """However requests come in pieces and answers are read, all are answered in order."""
        self.setUp()
        client, received = self.client(), b""
        data = requests(*range(count))
        for size, turn, read in (*steps, (len(data), True, True)):
            client.channel.dataReceived(data[:size])
            data = data[size:]
            if turn:
                self.clock.turn()
            if read:
                received += client.transport.read()
        for _ in range(count):
            self.clock.turn()
            received += client.transport.read()
        told = [int(page[:PAGE]) for page in received.split(b"\r\n\r\n")[1:]]
        self.assertEqual(told, list(range(count)))


class RoundRobinTests(SynchronousTestCase):
    @given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"))))
    def test_fair(self, groups: list[tuple[str, str]]) -> None:
        """Of what waits, no group has more than one before every other has had one."""
        queue: RoundRobin[tuple[str, str]] = RoundRobin()
        for group in groups:
            queue.push(group, group)
        left = list(groups)
        turns: list[str] = []
        while queue:
            item = queue.pop()
            turns.append(item[0])
            left.remove(item)
            waiting = {one[0] for one in left}
            for name in waiting:
                since = turns[::-1].index(name) if name in turns else len(turns)
                last = turns[len(turns) - since :]
                self.assertEqual(len(last), len(set(last)))
        self.assertEqual(left, [])
