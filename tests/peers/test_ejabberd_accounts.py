"""The accounts of a real ejabberd, by its HTTP API."""

import atexit
import contextlib
import functools
import json
import os
from http.client import HTTPConnection
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from invitereg.accounts.ejabberd import COMMANDS, Ejabberd
from invitereg.accounts.ejabberdapi import Access
from invitereg.interfaces.server import (
    AlreadyThere,
    IServer,
    MissingPrivilege,
    NotThere,
    PasswordRefused,
    ServerFault,
    ServerRefused,
    ServerUnreachable,
)
from tests.contracts import backend_contract
from tests.peers import servers
from tests.service.running import DOMAIN, SECONDS, free_ports

PASSWORD = "correct horse"
BOT = f"bot@{DOMAIN}"
OPERATOR = "127.0.0.9"


class EjabberdCase(TestCase):
    """A server that everybody on this machine may command."""

    timeout = 20

    def setUp(self) -> None:
        self.real = self.start()
        self.addCleanup(self.forget)
        self.server = self.connect()

    def start(self) -> servers.Ejabberd:
        real = servers.started(servers.Ejabberd)
        assert isinstance(real, servers.Ejabberd)
        return real

    def connect(self, domain: str = DOMAIN, **access: Any) -> Ejabberd:
        access.setdefault("url", f"http://127.0.0.1:{self.real.http_port}/api")
        server = Ejabberd(domain, Access(**access), reactor)
        self.addCleanup(server.close)
        return server

    def forget(self) -> None:
        for name in self.real.api("registered_users", host=DOMAIN):
            self.real.unregister(name)

    def may_log_in(self, username: str, password: str) -> bool:
        answer = self.real.api("check_password", user=username, host=DOMAIN, password=password)
        return bool(answer == 0)

    def roster(self, username: str) -> dict[str, tuple[str, str, set[str]]]:
        """Of each contact, the subscription, the name and the groups."""
        found: dict[str, tuple[str, str, set[str]]] = {}
        for item in self.real.api("get_roster", user=username, host=DOMAIN):
            groups = found.get(item["jid"], ("", "", set()))[2] | {item["group"]}
            found[item["jid"]] = (item["subscription"], item["nick"], groups)
        return found

    async def fault(self, work: Deferred[Any], kind: type[ServerFault]) -> str:
        try:
            await work
        except ServerFault as fault:
            self.assertIs(type(fault), kind, fault.text)
            return fault.text
        raise AssertionError("it succeeded")


class AccountTests(EjabberdCase):
    def test_interface(self) -> None:
        """It has all that is asked of a server."""
        verifyObject(IServer, self.server)

    async def test_life(self) -> None:
        """An account is made, is there, gets another password, and is deleted."""
        for name in ("juliet", "jülïet", "9.-_+x"):
            password = "pässwörd \\ \"'<>&/ €"
            self.assertFalse(await self.server.exists(name))
            await self.server.create(name, password)
            self.assertTrue(await self.server.exists(name))
            self.assertTrue(self.may_log_in(name, password))
            await self.server.set_password(name, "more correct")
            self.assertFalse(self.may_log_in(name, password))
            self.assertTrue(self.may_log_in(name, "more correct"))
            await self.server.end_sessions(name)
            await self.server.delete(name)
            self.assertFalse(await self.server.exists(name))

    async def test_taken(self) -> None:
        """An account that was there keeps its password."""
        self.real.register("juliet", PASSWORD)
        await self.fault(self.server.create("juliet", "another one"), AlreadyThere)
        self.assertTrue(self.may_log_in("juliet", PASSWORD))

    async def test_nobody(self) -> None:
        """What is asked about somebody who has no account is refused."""
        self.real.register("romeo", PASSWORD)
        await self.fault(self.server.set_password("juliet", PASSWORD), NotThere)
        await self.fault(self.server.delete("juliet"), NotThere)
        await self.fault(self.server.make_contacts("juliet", "romeo"), NotThere)
        await self.fault(self.server.make_contacts("romeo", "juliet"), NotThere)
        self.assertEqual((self.roster("romeo"), self.roster("juliet")), ({}, {}))
        await self.server.end_sessions("juliet")

    async def test_password_refused(self) -> None:
        """A password that ejabberd cannot prepare is refused, and nobody is made."""
        await self.fault(self.server.create("juliet", "a\x07b"), PasswordRefused)
        self.assertFalse(await self.server.exists("juliet"))
        self.real.register("juliet", PASSWORD)
        await self.fault(self.server.set_password("juliet", "a\x07b"), PasswordRefused)
        self.assertTrue(self.may_log_in("juliet", PASSWORD))

    async def test_other_domain(self) -> None:
        """A domain that ejabberd does not serve gets no accounts."""
        said = await self.fault(
            self.connect("example.net").create("juliet", PASSWORD), ServerRefused
        )
        self.assertIn("Unknown virtual host", said)

    async def test_down(self) -> None:
        """A server that is not there has done nothing."""
        url = f"http://127.0.0.1:{free_ports(1)[0]}/api"
        await self.fault(self.connect(url=url).create("juliet", PASSWORD), ServerUnreachable)


class RosterTests(EjabberdCase):
    def setUp(self) -> None:
        super().setUp()
        for name in ("romeo", "juliet"):
            self.real.register(name, PASSWORD)

    async def test_contacts(self) -> None:
        """Both are in each other's rosters, however often it is done."""
        for _ in range(2):
            await self.server.make_contacts("juliet", "romeo")
            self.assertEqual(self.roster("juliet"), {f"romeo@{DOMAIN}": ("both", "", {""})})
            self.assertEqual(self.roster("romeo"), {f"juliet@{DOMAIN}": ("both", "", {""})})

    async def test_kept(self) -> None:
        """Names and groups that one has given the other stay, and so do others."""
        for contact, subscription in (("romeo", "to"), ("nurse", "from")):
            self.real.api(
                "add_rosteritem",
                localuser="juliet",
                localhost=DOMAIN,
                user=contact,
                host=DOMAIN,
                nick=f"My {contact} ♥",
                group="Friends;Cäpulets",
                subs=subscription,
            )
        await self.server.make_contacts("juliet", "romeo")
        groups = {"Friends", "Cäpulets"}
        expected = {
            f"romeo@{DOMAIN}": ("both", "My romeo ♥", groups),
            f"nurse@{DOMAIN}": ("from", "My nurse ♥", groups),
        }
        self.assertEqual(self.roster("juliet"), expected)

    async def test_possible(self) -> None:
        """That it works is found out without changing anything."""
        self.assertIsNone(await self.server.contacts_problem())
        self.assertEqual((self.roster("juliet"), self.roster("romeo")), ({}, {}))


class PrivilegeTests(EjabberdCase):
    async def test_all(self) -> None:
        """Where all is allowed, there is nothing to say, and nothing stays."""
        self.assertEqual(await self.server.try_privileges(), [])
        self.assertEqual(self.real.api("registered_users", host=DOMAIN), [])

    async def test_down(self) -> None:
        """A server that cannot be reached is said so, once."""
        url = f"http://127.0.0.1:{free_ports(1)[0]}/api"
        (said,) = await self.connect(url=url).try_privileges()
        self.assertIn(url, said)


class ContractTests(backend_contract.BackendContract):
    """Every fault, at every step of a redemption, with a real server."""

    timeout = 120

    def make_server(self) -> Ejabberd:
        """See `BackendContract`."""
        self.real = servers.started(servers.Ejabberd)
        assert isinstance(self.real, servers.Ejabberd)
        for name in self.real.api("registered_users", host=DOMAIN):
            self.real.api("unregister", user=name, host=DOMAIN)
        url = f"http://127.0.0.1:{self.real.http_port}/api"
        server = Ejabberd(DOMAIN, Access(url=url), reactor)
        self.addCleanup(server.close)
        return server

    async def are_contacts(self) -> bool:
        """See `BackendContract`."""
        pairs = (("juliet", "romeo"), ("romeo", "juliet"))
        rosters = [self.real.api("get_roster", user=a, host=DOMAIN) for a, _ in pairs]
        return all(
            any(
                one["jid"] == f"{b}@{DOMAIN}" and one["subscription"] == "both"
                for one in roster
            )
            for roster, (_, b) in zip(rosters, pairs, strict=True)
        )


class Guarded(servers.Ejabberd):
    """A server that wants to know who commands it, over TLS; from one address it does not ask.

    Attributes:
        guarded_url: its API for others.
    """

    def _configure(self) -> None:
        super()._configure()
        (port,) = free_ports(1)
        self.guarded_url = f"https://localhost:{port}/api"
        handlers = {"/api": "mod_http_api"}
        listener = self._listener(port, "ejabberd_http", tls=True, request_handlers=handlers)
        self.settings["listen"].append(listener)
        self.settings["oauth_access"] = "all"
        self.settings["api_permissions"] = {
            "console": {"from": ["ejabberd_ctl"], "who": "all", "what": "*"},
            "operator": {"from": "mod_http_api", "who": {"ip": OPERATOR}, "what": "*"},
            "invitereg": {
                "from": "mod_http_api",
                "who": [{"user": BOT}, {"oauth": {"scope": "ejabberd:admin", "access": "all"}}],
                "what": [name for name in COMMANDS if name != "add_rosteritem"],
            },
        }

    def api(self, command: str, **arguments: Any) -> Any:
        """See `servers.Ejabberd`; asks as the operator."""
        address = ("127.0.0.1", self.http_port)
        connection = HTTPConnection(*address, timeout=SECONDS, source_address=(OPERATOR, 0))
        with contextlib.closing(connection):
            connection.request("POST", f"/api/{command}", json.dumps(arguments))
            response = connection.getresponse()
            return json.load(response) if response.status == 200 else None


@functools.cache
def guarded() -> Guarded:
    """One server for all tests."""
    real = Guarded()
    atexit.register(real.remove)
    real.start()
    return real


class GuardedTests(EjabberdCase):
    def start(self) -> Guarded:
        self.guarded = guarded()
        self.guarded.register("bot", PASSWORD)
        return self.guarded

    def enter(self, **access: Any) -> Ejabberd:
        url = self.guarded.guarded_url
        return self.connect(**{"url": url, "ca": self.real.certificate, **access})

    async def test_password(self) -> None:
        """Our password opens what is allowed to us."""
        server = self.enter(user=BOT, password=PASSWORD)
        await server.create("juliet", PASSWORD)
        self.assertTrue(self.may_log_in("juliet", PASSWORD))

    async def test_token(self) -> None:
        """So does a token that the server has issued."""
        issued = self.real.api("oauth_issue_token", jid=BOT, ttl=60, scopes="ejabberd:admin")
        if issued is None and os.environ.get("INVITEREG_REQUIRE_PEERS") != "1":
            self.skipTest("ejabberd issues tokens with Debian's erlang-p1-oauth2 only")
        await self.enter(token=issued["token"]).create("juliet", PASSWORD)
        self.assertTrue(self.may_log_in("juliet", PASSWORD))

    async def test_nobody(self) -> None:
        """Without credentials, or with wrong ones, nothing is done, and it is said why."""
        wrong: tuple[dict[str, str], ...] = (
            {},
            {"user": BOT, "password": "wrong"},
            {"user": "bot", "password": PASSWORD},
            {"token": "wrong"},
        )
        for access in wrong:
            server = self.enter(**access)
            await self.fault(server.exists("bot"), MissingPrivilege)
            said = await self.fault(server.create("juliet", PASSWORD), MissingPrivilege)
            self.assertIn("password_file" if access else "api_permissions", said)
        self.assertFalse(await self.enter(user=BOT, password=PASSWORD).exists("juliet"))

    async def test_missing(self) -> None:
        """What is not allowed is named, with the lines that allow it; the rest is tried."""
        server = self.enter(user=BOT, password=PASSWORD)
        problem = await server.contacts_problem()
        assert problem is not None
        self.assertIn("add_rosteritem", problem)
        self.assertIn(f'who: {{user: "{BOT}"}}', problem)
        self.assertEqual(await server.try_privileges(), [problem])
        self.assertEqual(self.real.api("registered_users", host=DOMAIN), ["bot"])

    async def test_stranger(self) -> None:
        """No password goes to a server whose certificate is not the right one."""
        for access in (
            {"ca": None},
            {"url": self.guarded.guarded_url.replace("localhost", "127.0.0.2")},
        ):
            server = self.enter(user=BOT, password=PASSWORD, **access)
            await self.fault(server.create("juliet", PASSWORD), ServerUnreachable)
