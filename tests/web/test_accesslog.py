"""What the log says about requests, and what it does not."""

import signal

from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from invitereg.web.accesslog import AccessLog, logged_path
from tests.web.api.case import ApiCase

TOKEN = "aB3" * 8


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
