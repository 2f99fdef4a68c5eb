"""What is known after a call of the HTTP API failed, whatever way it failed."""

import json
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as real_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase
from twisted.web._newclient import HTTPParser

from invitereg.accounts import ejabberdapi, servercalls
from invitereg.accounts.ejabberd import Ejabberd
from invitereg.accounts.ejabberdapi import (
    MAX_BODY_BYTES,
    MAX_LINES,
    MAX_ROSTER_BYTES,
    MAX_VALUES,
    Access,
)
from invitereg.interfaces.server import (
    PATIENCE_SECONDS,
    AlreadyThere,
    MissingPrivilege,
    OutcomeUnknown,
    PasswordRefused,
    ServerFault,
    ServerRefused,
    ServerUnreachable,
)
from invitereg.runtime.deferreds import Deadline
from tests.accounts.faultyapi import FaultyAPI, response
from tests.service.running import free_ports

reactor: Any = real_reactor

HANG, CUT = FaultyAPI.HANG, FaultyAPI.CUT
CHANGES: tuple[tuple[str, Callable[[Ejabberd], Deferred[Any]]], ...] = (
    ("register", lambda server: server.create("juliet", "correct horse")),
    ("change_password", lambda server: server.set_password("juliet", "correct horse")),
    ("unregister", lambda server: server.delete("juliet")),
    ("kick_user", lambda server: server.end_sessions("juliet")),
    ("add_rosteritem", lambda server: server.make_contacts("juliet", "romeo")),
)
BOTH = {"nick": "", "group": "", "subscription": "both", "ask": "none"}
QUESTIONS: tuple[tuple[str, Callable[[Ejabberd], Deferred[Any]]], ...] = (
    ("check_account", lambda server: server.exists("juliet")),
    ("check_account", lambda server: server.delete("juliet")),
    ("get_roster", lambda server: server.make_contacts("juliet", "romeo")),
)


FORBIDDEN = response(
    '{"code":32,"message":"AccessRules: Account does not have the right to perform the '
    'operation.","status":"error"}',
    403,
)
"""Of 24.12 and 26.07, whatever is missing."""
RUNNING_BEFORE_26_07 = (
    "The node ejabberd@localhost is started. Status: startedejabberd 23.01-1 is running in "
    "that node",
    "The node ejabberd@localhost is started. Status: started  ejabberd 24.12-3+deb13u2 is "
    "running in that node",
)
RUNNING_26_07 = (
    "The node ejabberd@localhost is started. Status: started\nejabberd 26.07 is running in "
    "that node"
)


def well(command: str) -> bytes:
    """What a server with all accounts and empty rosters answers."""
    return response("[]" if command == "get_roster" else "0")


class WellServer:
    """As `well`, and rosters have what is added to them.

    Attributes:
        contacts: what rosters have from the beginning.
    """

    def __init__(self) -> None:
        self.contacts: list[dict[str, str]] = []
        self._added = False

    def __call__(self, command: str) -> bytes:
        self._added |= command == "add_rosteritem"
        if command != "get_roster":
            return well(command)
        mine = [{"jid": f"{one}@localhost", **BOTH} for one in ("juliet", "romeo")]
        return response(json.dumps(self.contacts + (mine if self._added else [])))


class FaultCase(TestCase):
    """There is an API whose answers a test chooses."""

    def setUp(self) -> None:
        self.api = FaultyAPI(well)
        self.port = reactor.listenTCP(0, self.api, interface="127.0.0.1")
        self.server = self.connect(self.port.getHost().port)

    def connect(self, port: int, scheme: str = "http", **access: Any) -> Ejabberd:
        url = f"{scheme}://127.0.0.1:{port}/api"
        server = Ejabberd("localhost", Access(url=url, **access), reactor)
        self.addCleanup(server.close)
        return server

    async def tearDown(self) -> None:  # type: ignore[override]
        await self.server.close()
        await self.port.stopListening()
        for protocol in self.api.open:
            protocol.transport.abortConnection()  # type: ignore[union-attr]
        while self.api.open:
            turned: Deferred[None] = Deferred()
            reactor.callLater(0.01, turned.callback, None)
            await turned

    def answer_with(self, which: str, how: bytes | str) -> None:
        self.api.answer = lambda command: how if command == which else well(command)

    async def fault_of(self, work: Deferred[Any]) -> type[ServerFault]:
        try:
            await work
        except ServerFault as fault:
            self.said = fault.text
            return type(fault)
        raise AssertionError("it succeeded")


class OutcomeTests(FaultCase):
    async def test_well(self) -> None:
        """Nothing fails at a server that answers as it should."""
        self.api.answer = WellServer()
        for _command, work in (*CHANGES, *QUESTIONS):
            await work(self.server)

    async def test_host(self) -> None:
        """A request to a bare address names the domain: ejabberd's log has a line otherwise."""
        port = self.port.getHost().port
        for name, host, expected in (
            ("127.0.0.1", "example.com", "example.com"),
            ("localhost", "m\u00fcnchen.example", "xn--mnchen-3ya.example"),
        ):
            self.api.hosts.clear()
            access = Access(url=f"http://{name}:{port}/api")
            server = Ejabberd(host, access, reactor)
            self.addCleanup(server.close)
            self.assertTrue(await server.exists("juliet"))
            self.assertEqual(self.api.hosts, [expected])
        named = Access(url="http://ejabberd.example:5280/api").headers("example.com")
        self.assertFalse(named.hasHeader("Host"), "its own name is the one to send")

    async def test_spelling(self) -> None:
        """Each command has the domain as ejabberd spells it, and knows it."""
        for host in ("m\u00fcnchen.example", "xn--mnchen-3ya.example"):
            url = f"http://127.0.0.1:{self.port.getHost().port}/api"
            server = Ejabberd(host, Access(url=url), reactor)
            self.addCleanup(server.close)
            self.api.arguments.clear()
            self.assertTrue(await server.exists("juliet"))
            await server.create("romeo", "pass word")
            await server.end_sessions("juliet")
            self.assertEqual(len(self.api.arguments), 3)
            self.assertEqual({one["host"] for one in self.api.arguments}, {host})

    async def test_not_kept(self) -> None:
        """A contact of which nothing is read back was not made, whatever the server says."""
        making = self.server.make_contacts("juliet", "romeo")
        self.assertIs(await self.fault_of(making), ServerRefused)
        self.assertIn('subscription "none"', self.said)
        rosters = [response("[]"), response("[]"), CUT, CUT]
        self.api.answer = lambda c: rosters.pop(0) if c == "get_roster" else well(c)
        making = self.server.make_contacts("juliet", "romeo")
        self.assertIs(await self.fault_of(making), OutcomeUnknown)

    async def test_cut(self) -> None:
        """A line that is cut after a change was asked for leaves it unknown."""
        for command, work in CHANGES:
            self.answer_with(command, CUT)
            self.assertIs(await self.fault_of(work(self.server)), OutcomeUnknown, command)
            self.assertEqual(self.api.commands.count(command), 1, "it was asked twice")

    async def test_question_cut(self) -> None:
        """A line that is cut while something is asked changes nothing; it is asked again."""
        for command, work in QUESTIONS:
            self.answer_with(command, CUT)
            self.assertIs(await self.fault_of(work(self.server)), ServerUnreachable, command)

    async def test_page_of_a_proxy(self) -> None:
        """Of what answers 200 in the server's place nobody knows what it has done."""
        for page in ("<html>We are back soon</html>", ""):
            for command, work in CHANGES:
                self.answer_with(command, response(page))
                self.assertIs(await self.fault_of(work(self.server)), OutcomeUnknown, command)
            for command, work in QUESTIONS:
                self.answer_with(command, response(page))
                fault = await self.fault_of(work(self.server))
                self.assertIs(fault, ServerUnreachable, command)
        self.assertIn("answered 200 with no JSON", self.said)

    async def test_nonsense(self) -> None:
        """What cannot be understood says nothing about a change, and nothing about a name."""
        for nonsense in ("[1", "<html>", "", "nine", "7", "true", '{"status": "x"}'):
            for command, work in CHANGES[:2]:
                self.answer_with(command, response(nonsense, 502))
                self.assertIs(await self.fault_of(work(self.server)), OutcomeUnknown, nonsense)
            self.answer_with("check_account", response(nonsense))
            fault = await self.fault_of(self.server.exists("juliet"))
            self.assertIs(fault, ServerUnreachable, nonsense)

    async def test_page_with_a_status(self) -> None:
        """Of a page that is no answer of the API, only the status is told."""
        page = "<html><body>Not Found</body></html>"
        hints = {
            401: "does not take our credentials (status 401): ",
            403: "does not let us call {} (status 403): ",
            404: "ejabberd answered {} with status 404: does url end in /api?",
            502: "ejabberd answered {} with status 502",
        }
        for status, hint in hints.items():
            for command, work in (*CHANGES, *QUESTIONS):
                for body in (page, ""):
                    self.answer_with(command, response(body, status))
                    await self.fault_of(work(self.server))
                    self.assertIn(hint.format(command), self.said)
                    self.assertNotIn("<html>", self.said)
                    self.assertFalse(self.said.endswith((":", " ")), self.said)

    async def test_no_http(self) -> None:
        """A server that speaks something else is not taken for one that has done nothing."""
        self.answer_with("register", b"SSH-2.0-OpenSSH\r\n" + b"x" * 99999)
        fault = await self.fault_of(self.server.create("juliet", "correct horse"))
        self.assertIs(fault, OutcomeUnknown)

    async def refused_to_read(self, which: str, answer: bytes, said: str) -> None:
        """Whatever is asked ends at once, is asked once, and its fault says so."""
        for question, how in ((True, ServerUnreachable), (False, OutcomeUnknown)):
            for command, work in QUESTIONS if question else CHANGES:
                if command == which:
                    self.answer_with(command, answer)
                    self.api.commands.clear()
                    self.assertIs(await self.fault_of(work(self.server)), how, command)
                    self.assertIn(said, self.said)
                    self.assertEqual(self.api.commands.count(command), 1)

    async def test_too_long(self) -> None:
        """An answer is not read without end, a roster's somewhat further."""
        for command in ("check_account", "register", "get_roster"):
            most = MAX_ROSTER_BYTES if command == "get_roster" else MAX_BODY_BYTES
            answer = response(" " * most + "0", length=10**9)
            await self.refused_to_read(command, answer, f"longer than {most} bytes")

    async def test_endless_lines(self) -> None:
        """Nor are headers, chunks, trailers or answers before the answer."""
        ok = b"HTTP/1.1 200 X\r\n"
        chunked = ok + b"Transfer-Encoding: chunked\r\n\r\n"
        many = 2 * MAX_LINES
        for endless in (
            ok + b"a:\r\n" * many,
            b"HTTP/1.1 100 X\r\n\r\n" + ok + b"a:\n" * many,
            b"HTTP/1.1 1_00 X\r\n\r\n" * many,
            ok + b"a: b\r\n" + b" \r\n" * many,
            chunked + b"1\r\n \r\n" * many,
        ):
            for command in ("check_account", "register", "get_roster"):
                await self.refused_to_read(command, endless, "")

    async def test_parsed_lines(self) -> None:
        """Of endless headers only so many are parsed, whatever comes before them."""
        parsed = []
        real = HTTPParser.lineReceived

        def count(parser: HTTPParser, line: bytes) -> None:
            parsed.append(line)
            real(parser, line)

        self.patch(HTTPParser, "lineReceived", count)
        for before in (b"", b"HTTP/1.1 100 X\r\n\r\n"):
            endless = before + b"HTTP/1.1 200 X\r\n" + b"a:\r\n" * 10 * MAX_LINES
            await self.refused_to_read("check_account", endless, f"{MAX_LINES} lines")
        self.assertLess(len(parsed), 5 * MAX_LINES)

    async def test_many_values(self) -> None:
        """An answer of so many values that reading it would hold up everybody is not read."""
        body = "[" + "[]," * (MAX_VALUES // 2) + "[]]"
        await self.refused_to_read("get_roster", response(body), f"than {MAX_VALUES} values")
        self.patch(ejabberdapi, "MAX_VALUES", 100)
        for value in ("[", '{"":', "0,", "[[],"):
            await self.refused_to_read("register", response(value * 101), "than 100 values")

    async def test_long_errors(self) -> None:
        """Of what an error says, only the beginning is looked at."""
        for body in ('"' + "x " * 30_000 + '"', '{"message": ' + "[" * 99 + "]" * 99 + "}"):
            self.answer_with("register", response(body, 500))
            await self.fault_of(self.server.create("juliet", "correct horse"))
            self.assertLess(len(self.said), 400)

    async def test_big_roster(self) -> None:
        """The roster of somebody with very many contacts is read."""
        contacts = [
            {"jid": f"friend{number}@example.org", "nick": "x", "group": "Friends, and more"}
            | {"subscription": "both", "ask": "none"}
            for number in range(20_000)
        ]
        self.api.answer = server = WellServer()
        server.contacts = contacts
        await self.server.make_contacts("juliet", "romeo")

    async def test_one_of_two(self) -> None:
        """If only one roster was changed, something was done."""
        ends = [response("0"), CUT]
        self.api.answer = lambda c: ends.pop(0) if c == "add_rosteritem" else well(c)
        fault = await self.fault_of(self.server.make_contacts("juliet", "romeo"))
        self.assertIs(fault, OutcomeUnknown)

    async def test_nobody_listens(self) -> None:
        """Without a connection, nothing was done."""
        server = self.connect(free_ports(1)[0])
        for _command, work in (*CHANGES, *QUESTIONS):
            self.assertIs(await self.fault_of(work(server)), ServerUnreachable)

    async def test_hangs(self) -> None:
        """A server that does not answer is given up, as is one that stops in the middle."""
        self.patch(servercalls, "PATIENCE_SECONDS", 0.2)
        for half in (HANG, response("0", length=9)):
            for command, work in CHANGES:
                self.answer_with(command, half)
                self.assertIs(await self.fault_of(work(self.server)), OutcomeUnknown, command)
                self.assertIn("in time", self.said)
            for command, work in QUESTIONS:
                self.answer_with(command, half)
                fault = await self.fault_of(work(self.server))
                self.assertIs(fault, ServerUnreachable, command)
                self.assertIn("in time", self.said)


class PatienceTests(FaultCase):
    def test_bounded(self) -> None:
        """No method takes longer than it may."""
        clock = Clock()
        self.assertEqual(clock.seconds(), 0)
        left: list[float] = []
        server = self.server

        async def query(_command: str, _arguments: Any, deadline: Deadline) -> Any:
            left.append(deadline.left())
            raise ServerUnreachable("no")

        self.patch(server, "clock", clock)
        self.patch(server._api, "query", query)
        self.failureResultOf(server.exists("juliet"), ServerUnreachable)
        self.assertEqual(left, [PATIENCE_SECONDS])


class JudgementTests(FaultCase):
    async def answered(self, body: str, status: int) -> type[ServerFault]:
        self.answer_with("register", response(body, status))
        return await self.fault_of(self.server.create("juliet", "correct horse"))

    async def test_register(self) -> None:
        """A refusal is one, a taken name is one, and anything else is not known."""
        error = '{"status":"error","code":%d,"message":"%s"}'
        taken = error % (10090, "User juliet@localhost already registered")
        cases = (
            (taken, 409, AlreadyThere),
            (taken, 500, AlreadyThere),
            (error % (10001, "…: The password contains …"), 500, PasswordRefused),
            (error % (10001, "…: Malformed username"), 500, ServerRefused),
            (error % (10001, "Unknown virtual host"), 500, ServerRefused),
            (error % (10001, "…: Database failure"), 500, OutcomeUnknown),
            (error % (32, "AccessRules: …"), 403, MissingPrivilege),
            (error % (10, "You are not authorized …"), 401, MissingPrivilege),
            (error % (40, "Endpoint not found."), 404, MissingPrivilege),
            ("moved", 301, ServerRefused),
            ("1", 200, OutcomeUnknown),
        )
        for body, status, fault in cases:
            self.assertIs(await self.answered(body, status), fault, body)

    def refuse(self, running: str | None) -> None:
        """Refuse each command but ``status``, and that, too, where nothing is said to run."""
        told = FORBIDDEN if running is None else response(json.dumps(running))
        self.api.answer = lambda command: told if command == "status" else FORBIDDEN

    async def said_to(self, running: str | None, **access: Any) -> str:
        self.refuse(running)
        server = self.connect(self.port.getHost().port, **access)
        self.assertIs(await self.fault_of(server.exists("juliet")), MissingPrivilege)
        return self.said

    async def test_rights_by_version(self) -> None:
        """A refusal names the lines that the version at hand needs, and no others."""
        user = {"user": "bot@localhost", "password": "x"}
        for running in RUNNING_BEFORE_26_07:
            said = await self.said_to(running, **user)
            self.assertIn('who: {user: "bot@localhost"}', said)
            self.assertIn("status]", said)
            self.assertNotIn("configure", said, running)
        for access in (user, {"token": "t"}):
            said = await self.said_to(RUNNING_26_07, **access)
            self.assertIn("\nacl:\n", said)
            self.assertIn("configure: [{allow: admin}, {allow: invitereg}]", said)
            self.assertNotIn("26.07 or later", said)
            self.assertIn(
                "if it is ejabberd 26.07 or later", await self.said_to(None, **access)
            )
        # By the address alone nobody is asked for rights at a host (seen with 26.07).
        self.assertNotIn("configure", await self.said_to(RUNNING_26_07))

    async def test_own_invites(self) -> None:
        """That the server makes invitations of its own is seen by a command that it has."""
        missing = response('{"status":"error","code":40,"message":"Endpoint not found."}', 404)
        for answer, number in ((FORBIDDEN, 1), (response("[]"), 1), (missing, 0)):
            self.api.answer = lambda _command, answer=answer: answer  # type: ignore[misc]
            found = await self.server.warnings()
            self.assertEqual(len(found), number)
            self.assertTrue(all("mod_invites" in one for one in found))

    async def test_groups(self) -> None:
        """Where groups are to be a list, they are given as one from then on."""
        first = response('"Request have unknown arguments: [group]"', 400)
        answers = [first]
        for _ in range(2):
            kind = WellServer()
            self.api.answer = lambda c, well=kind: (  # type: ignore[misc]
                answers.pop() if c == "add_rosteritem" and answers else well(c)
            )
            await self.server.make_contacts("juliet", "romeo")
        self.assertEqual(self.api.commands.count("add_rosteritem"), 5)
