"""What the log says about requests, and what it does not."""

import signal
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from invitereg.web.monitoring import (
    LINES,
    LINES_PER_NETWORK,
    NETWORKS_NAMED,
    AccessLog,
    logged_path,
)
from tests.web.api.case import ApiCase

TOKEN = "aB3" * 8
ORIGIN = "invitereg.web.accesslog.AccessLog"


class PathTests(SynchronousTestCase):
    def test_paths(self):
        """Tokens and keys are left out wherever they are, and whatever was typed."""
        for uri, logged in (
            (f"/invite/{TOKEN}", "/invite/*"),
            (f"/invite/{TOKEN}/register", "/invite/*/register"),
            ("/invite/short", "/invite/*"),
            (f"/chat/invite/{TOKEN}?x={TOKEN}", "/chat/invite/*"),
            (f"/invit/{TOKEN}", "/invit/*"),
            (f"/{TOKEN}", "/*"),
            (f"/invites_api?key={TOKEN}", "/invites_api"),
            ("/api/v1/invites/abcdefghij", "/api/v1/invites/abcdefghij"),
            (f"/x#{TOKEN}", "/x"),
            ("/invite/" + "".join(f"%{ord(one):02x}" for one in TOKEN), "/invite/*"),
            (f"/%69nvite/short%41/{TOKEN[:-1]}%{ord(TOKEN[-1]):x}", "/invite/*/*"),
            ("/" + "".join(f"%25{ord(one):02x}" for one in TOKEN) + "/x", "/*/x"),
            ("/\x1b[31m\n\xff ", "/?[31m???"),
            ("/" + "x/" * 500, "/" + "x/" * 99 + "x…"),
        ):
            self.assertEqual(logged_path(uri.encode("latin-1")), logged)

    def test_a_long_path(self):
        """A path takes no longer for its length than each of its parts would."""

        def give_up(_signal, _frame):
            raise AssertionError("one path holds up everybody")

        self.addCleanup(signal.signal, signal.SIGALRM, signal.signal(signal.SIGALRM, give_up))
        self.addCleanup(signal.alarm, 0)
        signal.alarm(60)
        for part in (b"!", b"a!", b"%2", b"/!", b"%", b"aB3%"):
            self.assertLessEqual(len(logged_path(b"/" + part * (2**20 // len(part)))), 201)


class BoundTests(SynchronousTestCase):
    """Requests without end."""

    def setUp(self):
        self.log = AccessLog()
        self.events = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def ask(self, network, count=1):
        request = SimpleNamespace(
            method=b"GET", uri=b"/", code=200, sentLength=1, route="x", network=network
        )
        for _ in range(count):
            self.log(request)

    def lines(self):
        events = [event for event in self.events if event["log_namespace"] == ORIGIN]
        self.events.clear()
        return [(event.get("network", "request"), event.get("count", 1)) for event in events]

    def test_one_network(self):
        """Of one network a minute has so many lines, and one that tells how many more."""
        for _minute in range(2):
            self.ask("192.0.2.1/32", 1000)
            self.ask("198.51.100.1/32")
            self.assertEqual(len(self.lines()), LINES_PER_NETWORK + 1)
            self.log.sum_up()
            self.assertEqual(self.lines(), [("192.0.2.1/32", 1000 - LINES_PER_NETWORK)])
        self.log.sum_up()
        self.assertEqual(self.lines(), [])

    @given(st.lists(st.integers(1, 3 * LINES_PER_NETWORK), max_size=60))
    def test_sums(self, counts):
        """However many of however many networks, each is a line or in a sum."""
        self.setUp()
        for number, count in enumerate(counts):
            self.ask(f"10.0.0.{number}/32", count)
        written = len(self.lines())
        self.assertLessEqual(written, LINES)
        self.log.sum_up()
        sums = self.lines()
        self.assertLessEqual(len(sums), NETWORKS_NAMED + 1)
        self.assertEqual(written + sum(count for _network, count in sums), sum(counts))

    def test_many_networks(self):
        """Many networks fill neither the log nor the memory."""
        for number in range(5 * LINES):
            self.ask(f"2001:db8:{number:x}::/48", 2)
        self.assertEqual(len(self.lines()), LINES)
        self.assertLessEqual(len(self.log._lines) + len(self.log._left_out), 2 * LINES + 2)
        self.log.sum_up()
        sums = self.lines()
        self.assertEqual(sums[-1][0], "other networks")
        self.assertEqual(sum(count for _network, count in sums), 9 * LINES)


class LogTests(ApiCase):
    def make_door(self):
        door = super().make_door()
        self.answered = []
        self.meter = type("Seen", (), {"answered": lambda _s, *a: self.answered.append(a)})()
        door.access_log = AccessLog(self.meter)
        self.events = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)
        return door

    async def test_line(self):
        """A request is one line; metrics are told its route."""
        made = await self.made()
        await self.get(f"/invites_api?key={self.secret}")
        await self.call("POST", "/previews", {"token": made["token"]}, status=200)
        await self.call("GET", f"/invites/{made['id']}", status=200)
        lines = [event for event in self.events if "size" in event]
        self.assertEqual(
            [(line["method"], line["path"], line["status"]) for line in lines],
            [
                ("POST", "/api/v1/invites", 201),
                ("GET", "/invites_api", 201),
                ("POST", "/api/v1/previews", 200),
                ("GET", f"/api/v1/invites/{made['id']}", 200),
            ],
        )
        self.assertEqual({line["address"] for line in lines}, {"127.0.0.1"})
        self.assertIn(("api/v1/invites/{id}", "GET", 200), self.answered)
        for secret in (self.secret, made["token"]):
            self.assertNotIn(secret, repr(self.events))
