"""Accounts at a server in memory: what every backend is held to, over both stores."""

from functools import partial

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from invitereg.accounts.delegated import DelegatedAccounts
from invitereg.accounts.embedded import EmbeddedAccounts
from invitereg.accounts.jobs import (
    FEWEST_TRIES,
    GIVEN_UP,
    PROMPT_SECONDS,
    KeyPair,
    ServerJobs,
    seal,
)
from invitereg.accounts.remote import NoLogins, RemoteAccounts
from invitereg.config.servers import Accounts
from invitereg.errors import InvalidRequest, NotFound, Unavailable, UsernameTaken
from invitereg.interfaces.accounts import IAccounts, ILogins, IPasswords
from invitereg.interfaces.leases import Task
from invitereg.interfaces.server import IServer, ServerUnreachable
from invitereg.runtime.threads import Inline
from invitereg.service.remote import ServerChecks
from invitereg.store.database import open_database
from invitereg.store.store import Store
from invitereg.testing import START, memory_store
from tests.contracts import backend_contract
from tests.contracts.backend_contract import SERVED
from tests.contracts.servers import Fault, FaultyServer, MemoryServer
from tests.contracts.store_case import DOMAIN, StoreCase


class MemoryServerTests(backend_contract.BackendContract):
    def make_server(self):
        return MemoryServer(DOMAIN)

    async def are_contacts(self):
        return frozenset({"juliet", "romeo"}) in self.server.server.friends

    def test_interfaces(self):
        """It can be put wherever accounts are asked for."""
        verifyObject(IAccounts, self.accounts)
        verifyObject(IPasswords, self.accounts)
        verifyObject(IServer, self.server)
        verifyObject(IServer, self.server.server)

    def test_mechanisms(self):
        """No password is taken here in clear for an account that another server keeps."""
        keys = Accounts()
        embedded = EmbeddedAccounts(DOMAIN, self.store, Inline(), lambda: START, 4096)
        for logins, offered in ((NoLogins(self.accounts, keys), []), (embedded, ["PLAIN"])):
            verifyObject(ILogins, logins)
            self.assertEqual(logins.mechanisms, ("SCRAM-SHA-256", *offered))

    async def test_login(self):
        """Who logs in here all the same is not told that the password is wrong."""
        logins = NoLogins(self.accounts, Accounts())
        for asked in (
            logins.get_scram_keys("juliet", "SCRAM-SHA-256"),
            logins.check_password("juliet", "pass word"),
        ):
            refused = await self.refused(asked, Unavailable)
            self.assertIn("its accounts are at another server", refused.cause)
        self.flushLoggedErrors()


class SQLStoreTests(MemoryServerTests):
    def make_store(self):
        database = open_database(self.folder(), Inline())
        self.addCleanup(database.close)
        return Store(database)


class ContactsTests(StoreCase):
    """Somebody who registers, and whom another has invited."""

    def setUp(self):
        super().setUp()
        self.store = memory_store()
        self.server = MemoryServer(DOMAIN)
        self.server.passwords["romeo"] = "pass word"
        self.remote = RemoteAccounts(
            self.server, self.store, self.clock, lambda: self.now, lambda *_: None
        )
        checks = ServerChecks(self.server, self.remote.faults, by_component=False)
        self.jobs = ServerJobs(
            self.remote, self.store, "node", lambda: self.now, SERVED, checks
        )
        self.remote.provisioner.run_jobs = partial(self.jobs.run_briefly, self.clock)

    def redeem(self):
        asked = self.redemption("juliet", contact="romeo", credentials=None)
        return self.remote.redeem(asked, "pass word")

    def test_there_at_once(self):
        """The contact is there before the newcomer knows that the account is."""
        self.successResultOf(self.redeem())
        self.assertEqual(self.server.friends, {frozenset({"juliet", "romeo"})})
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_server_hangs(self):
        """Nobody waits long for a contact, which is made all the same in the end."""
        answer = Deferred()
        self.server.make_contacts = lambda *_: answer
        waiting = self.redeem()
        self.clock.advance(PROMPT_SECONDS / 2)
        self.assertNoResult(waiting)
        self.clock.advance(PROMPT_SECONDS / 2)
        self.successResultOf(waiting)
        answer.callback(None)
        self.assertEqual(self.flushLoggedErrors(), [])

    def unreachable(self, *_names):
        return fail(ServerUnreachable("it is away"))

    def carry_out(self, times):
        """What the service does meanwhile, a minute each time."""
        for _ in range(times):
            self.clock.advance(60)
            self.successResultOf(Deferred.fromCoroutine(self.jobs.run()))

    def test_away_for_long(self):
        """A service that was down for weeks tries again before it gives up."""
        make, self.server.make_contacts = self.server.make_contacts, self.unreachable
        self.successResultOf(self.redeem())
        self.clock.advance(GIVEN_UP.total_seconds())
        self.carry_out(2)
        self.server.make_contacts = make
        self.carry_out(1)
        self.assertEqual(self.server.friends, {frozenset({"juliet", "romeo"})})

    def test_given_up(self):
        """In the end it is given up."""
        make, self.server.make_contacts = self.server.make_contacts, self.unreachable
        self.successResultOf(self.redeem())
        self.clock.advance(GIVEN_UP.total_seconds())
        self.carry_out(FEWEST_TRIES)
        self.server.make_contacts = make
        self.carry_out(1)
        self.assertEqual(self.server.friends, set())

    def test_store_fails(self):
        """The account is there, whatever becomes of the contact at first."""
        self.store.take_jobs = lambda *_: fail(Unavailable("x"))
        waiting = self.redeem()
        self.clock.advance(PROMPT_SECONDS)
        self.successResultOf(waiting)
        self.assertEqual(self.flushLoggedErrors(), [])


class CommandCase(StoreCase):
    """A command beside a service, which works while the command waits."""

    running = True

    def setUp(self):
        super().setUp()
        self.store = memory_store()
        self.server = FaultyServer(MemoryServer(DOMAIN), DOMAIN)
        self.remote = RemoteAccounts(
            self.server, self.store, self.clock, lambda: self.now, lambda *_: None
        )
        checks = ServerChecks(self.server, self.remote.faults, by_component=False)
        self.jobs = ServerJobs(
            self.remote, self.store, "node", lambda: self.now, SERVED, checks
        )
        self.accounts = DelegatedAccounts(DOMAIN, self.store, lambda: self.now, self.sleep)
        self.slept = 0.0

    def sleep(self, seconds):
        self.slept += seconds
        self.clock.advance(seconds)
        if self.running:
            self.successResultOf(self.carry_out())

    def carry_out(self):
        return Deferred.fromCoroutine(self.jobs.run())

    def create(self, username="juliet"):
        return self.accounts.redeem(
            self.redemption(username, operator=True, roles=("r",), credentials=None),
            "pass word",
        )


class CommandTests(CommandCase):
    async def test_creates(self):
        """The operator's account is made at the server; its password is nowhere to be read."""
        seen = []
        add = self.store.add_job
        self.store.add_job = lambda job: seen.append(job) or add(job)
        await self.create()
        self.assertEqual(self.server.server.passwords, {"juliet": "pass word"})
        self.assertEqual((await self.account()).roles, ("r",))
        self.assertNotIn("pass word", repr([job.details for job in seen]))
        told = await self.store.notices_of(DOMAIN, "escalus")
        self.assertEqual([notice.use.username for notice in told], ["juliet"])
        await self.refused(self.create(), UsernameTaken)

    async def test_asks(self):
        """A command learns what the server knows, and what it does not."""
        self.server.server.passwords["romeo"] = "x"
        self.assertTrue(await self.accounts.exists("romeo"))
        self.assertIsNone(await self.account("romeo"))
        self.assertFalse(await self.accounts.exists("nobody"))
        self.assertTrue(await self.accounts.recognise("romeo"))
        self.assertIsNotNone(await self.account("romeo"))
        self.server.server.problem = "no rosters"
        self.assertEqual(await self.accounts.contacts_problem(), "no rosters")
        self.assertEqual(await self.accounts.ask(Task.CHECK, ""), [])

    async def test_warnings(self):
        """A command is told what the server warns of, and no answer is kept for long."""
        self.patch(self.server, "warnings", lambda: succeed(["invites of its own"]))
        numbers, add = [], self.store.add_job
        self.store.add_job = lambda job: add(job).addCallback(
            lambda number: numbers.append(number) or number
        )
        self.assertEqual(await self.accounts.ask(Task.WARNINGS, ""), ["invites of its own"])
        self.assertEqual(await self.accounts.ask(Task.CHECK, ""), [])
        left = [await self.store.get_job(number) for number in numbers]
        self.assertEqual(left, [None, None])

    async def test_deletes(self):
        """A command deletes at the server."""
        await self.create()
        await self.accounts.delete("juliet", self.now)
        self.assertEqual(self.server.server.passwords, {})
        await self.refused(self.accounts.delete("juliet", self.now), NotFound)

    async def test_server_is_down(self):
        """The cause is told to whoever gave the command."""
        self.server.faults["exists"] = Fault.UNREACHABLE
        error = await self.refused(self.create(), InvalidRequest)
        self.assertNotIn("try again later", str(error))
        self.server.faults["exists"] = Fault.UNREACHABLE
        fault = self.failureResultOf(self.server.exists("juliet"), ServerUnreachable).value
        self.assertEqual(str(error), fault.text)
        self.assertEqual(self.server.server.passwords, {})


class NobodyTests(CommandCase):
    running = False

    async def test_no_service(self):
        """Without a service a command ends after ten seconds, and is never done later."""
        error = await self.refused(self.accounts.delete("juliet", self.now), InvalidRequest)
        self.assertIn("none is running", str(error))
        self.assertAlmostEqual(self.slept, 10, places=3)
        taken = await self.store.take_jobs(DOMAIN, "node", self.now, self.now)
        self.assertEqual(taken, [])

    async def test_slow_service(self):
        """What has begun may still be done; the command says so."""
        sleep = self.accounts._sleep

        def slowly(seconds):
            sleep(seconds)
            self.successResultOf(self.store.take_jobs(DOMAIN, "node", self.now, self.now))

        self.accounts._sleep = slowly
        error = await self.refused(self.create(), InvalidRequest)
        self.assertIn("has begun", str(error))

    async def test_answered_at_last(self):
        """An answer that comes in the last moment is one."""
        sleep, taken = self.accounts._sleep, []

        def slowly(seconds):
            sleep(seconds)
            taken.extend(
                self.successResultOf(self.store.take_jobs(DOMAIN, "node", self.now, self.now))
            )
            if self.slept > 9.95:
                number = taken[0].number
                self.successResultOf(self.store.finish_job(number, '{"value": []}'))

        self.accounts._sleep = slowly
        self.assertEqual(await self.accounts.ask(Task.CHECK, ""), [])


class SealingTests(SynchronousTestCase):
    def test_opened_by_one(self):
        """Only who it was sealed for reads it; whoever changes it destroys it."""
        one, other = KeyPair(), KeyPair()
        sealed = seal("Grüße", one.public)
        self.assertEqual(one.open(sealed), "Grüße")
        for pair, text in ((other, sealed), (one, sealed[:-2] + "00"), (one, "00" * 40)):
            with self.assertRaises(ValueError):
                pair.open(text)
        self.assertNotEqual(seal("Grüße", one.public), sealed)
