"""Passwords of accounts at another server, as whoever needs one checked is answered."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet import reactor as real_reactor
from twisted.logger import LogLevel

from invitereg.accounts.remote import RemoteAccounts
from invitereg.config import Backend
from invitereg.config.servers import Accounts, Component, UpstreamKeys
from invitereg.errors import LoginThrottled, Unavailable
from invitereg.interfaces.server import MissingPrivilege
from invitereg.policy.values import Domain, Limit, Limits, Policy
from invitereg.runtime.threads import Inline
from invitereg.service.remote import RemoteServers
from invitereg.testing import memory_store
from invitereg.usecases.throttles import LoginThrottle
from tests.accounts.faultyapi import FaultyAPI, response
from tests.accounts.test_ejabberd_faults import FORBIDDEN, FaultCase, WellServer
from tests.contracts.store_case import DOMAIN
from tests.spying import logged

reactor: Any = real_reactor
RIGHT, WRONG = response("0"), response("1")
FAILURES = 3
"""How many failures are let through."""


class PasswordCase(FaultCase):
    """A domain whose accounts an ejabberd keeps, as the service has them."""

    def setUp(self) -> None:
        super().setUp()
        self.store = memory_store()
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.said = logged(self, LogLevel.error)

    def accounts(self, **upstreams: UpstreamKeys) -> RemoteAccounts:
        """The accounts; without upstreams, clients connect to the server and we do not."""
        url = f"http://127.0.0.1:{self.port.getHost().port}/api"
        return self.accounts_at(
            Backend(Accounts(backend="ejabberd", url=url), None, DOMAIN), **upstreams
        )

    def accounts_at(self, backend: Backend, **upstreams: UpstreamKeys) -> RemoteAccounts:
        parts = {}, self.store, reactor, lambda: self.now, Inline()
        servers = RemoteServers({DOMAIN: backend}, dict(upstreams.items()), *parts)
        self.addCleanup(servers.stopService)
        return servers.accounts[DOMAIN]


class APITests(PasswordCase):
    async def test_verdicts(self) -> None:
        """The API's word counts where no upstream is named, and is asked for each time."""
        check = self.accounts().check_password
        for answer, right in ((RIGHT, True), (WRONG, False), (RIGHT, True)):
            self.answer_with("check_password", answer)
            self.assertIs(await check("juliet", "pass word") is not None, right)
        self.assertEqual(self.api.commands, ["check_password"] * 3)

    async def test_no_verdict(self) -> None:
        """What is neither yes nor no is no wrong password: nobody is told that it is."""
        check = self.accounts().check_password
        strange = ("true", "false", "2", '"0"', "[]", "null", "{}")
        failing: list[bytes | str] = [response(body) for body in strange]
        failing += [response("0", 500), response("0", 404), FORBIDDEN, FaultyAPI.CUT]
        for answer in failing:
            self.answer_with("check_password", answer)
            await self.assertFailure(check("juliet", "pass word"), Unavailable)

    async def test_rights(self) -> None:
        """What is missing is told with the command, if it is by the API that passwords are."""
        self.api.answer = lambda _command: FORBIDDEN
        keys = UpstreamKeys.model_construct(connect="tcp:127.0.0.1:5222")
        for upstreams, named in (({}, True), ({DOMAIN: keys}, False)):
            server = self.accounts(**upstreams).server
            refused = await self.assertFailure(server.exists("juliet"), MissingPrivilege)
            self.assertIs("check_password" in refused.text, named)

    async def test_tried(self) -> None:
        """The check finds a right that is missing, and asks for none that is not needed."""
        keys = UpstreamKeys.model_construct(connect="tcp:127.0.0.1:5222")
        for upstreams, found in (({}, 1), ({DOMAIN: keys}, 0)):
            served = WellServer()
            self.api.answer = lambda command, served=served: (
                FORBIDDEN if command == "check_password" else served(command)
            )
            told = await self.accounts(**upstreams).server.try_privileges()
            hits = [text for text in told if "let us call check_password" in text]
            self.assertEqual(len(hits), found, told)

    async def test_neither(self) -> None:
        """With a component alone, the log says which way is missing."""
        with TemporaryDirectory() as folder:
            secret = Path(folder, "secret")
            secret.write_text("secret")
            component = Component.model_construct(
                connect="tcp:127.0.0.1:9",
                jid=f"invites.{DOMAIN}",
                secret_file=secret,
                register_from=(),
            )
            accounts = self.accounts_at(Backend(Accounts(backend="xmpp"), component, DOMAIN))
        check = accounts.check_password("juliet", "pass word")
        await self.assertFailure(check, Unavailable)
        self.assertIn("the way to which is c2s.upstream: configure it", self.said[-1])


class ThrottleTests(PasswordCase):
    """Tries that fail are counted by us, whoever it is that asks for them."""

    def setUp(self) -> None:
        super().setUp()
        limits = replace(Limits(), logins=Limit(max=FAILURES, period=timedelta(minutes=10)))
        domain = Domain(name=DOMAIN, policy=Policy(limits=limits))
        self.throttle = LoginThrottle({DOMAIN: domain}, self.store, lambda: self.now)
        self.backend = self.accounts()

    async def attempt(self, address: str = "192.0.2.1") -> bool:
        found = await self.throttle.attempt(
            DOMAIN,
            ip_address(address),
            "juliet",
            lambda: self.backend.check_password("juliet", "pass word"),
        )
        return found is not None

    async def test_too_many(self) -> None:
        """The server is not asked again once there were too many; others go on."""
        self.answer_with("check_password", WRONG)
        for _ in range(FAILURES):
            self.assertFalse(await self.attempt())
        for _ in range(FAILURES):
            with self.assertRaises(LoginThrottled):
                await self.attempt()
        self.assertEqual(len(self.api.commands), FAILURES)
        self.answer_with("check_password", RIGHT)
        self.assertTrue(await self.attempt("198.51.100.1"))
        self.now += timedelta(minutes=11)
        self.assertTrue(await self.attempt())

    async def test_right(self) -> None:
        """Who knows the password is never counted."""
        self.answer_with("check_password", RIGHT)
        for _ in range(3 * FAILURES):
            self.assertTrue(await self.attempt())
        self.assertEqual(len(self.api.commands), 3 * FAILURES)
