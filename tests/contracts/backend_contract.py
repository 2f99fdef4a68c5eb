"""What every backend at another server holds to, whatever fails between which steps."""

from datetime import timedelta
from typing import Any

from twisted.internet.defer import Deferred

from invitereg.accounts.jobs import ServerJobs
from invitereg.accounts.remote import RemoteAccounts
from invitereg.errors import (
    InvalidInvite,
    NotFound,
    Unavailable,
    UsernameReserved,
    UsernameTaken,
)
from invitereg.interfaces.queries import Findings
from invitereg.model.invites import Kind
from invitereg.policy.values import Domain, Policy
from invitereg.service.remote import ServerChecks
from invitereg.testing import memory_store
from tests.contracts.servers import KILLS, UNKNOWN, Fault, FaultyServer
from tests.contracts.store_case import DOMAIN, StoreCase, counter

PASSWORD = "wherefore art thou"
SERVED = {DOMAIN: Domain(name=DOMAIN, policy=Policy(), watchers=((DOMAIN, "escalus"),))}


class BackendContract(StoreCase):
    """The server of the domain has no accounts of the names that are used here at first."""

    def make_server(self) -> Any:
        """The server of the domain."""
        raise NotImplementedError

    def make_store(self) -> Any:
        return memory_store()

    def setUp(self) -> None:
        super().setUp()
        self.server = FaultyServer(self.make_server(), DOMAIN)
        self.store = self.make_store()
        self.start()

    def start(self) -> None:
        """A process that has just begun; what another knew is gone."""
        self.accounts = RemoteAccounts(
            self.server, self.store, self.clock, lambda: self.now, lambda *_: Deferred()
        )
        checks = ServerChecks(self.server, self.accounts.faults, by_component=False)
        self.jobs = ServerJobs(
            self.accounts, self.store, "node", lambda: self.now, SERVED, checks
        )

    async def settle(self, seconds: int = 30) -> None:
        """What the service does in that time."""
        for _ in range(seconds):
            self.clock.advance(1)
            for work in (self.accounts.provisioner.settle, self.jobs.run):
                try:
                    await work()
                except Unavailable:
                    continue

    def redeem(self, *args: Any, **changes: Any) -> Deferred[None]:
        redemption = self.redemption(*args, credentials=None, **changes)
        return self.accounts.redeem(redemption, PASSWORD)

    def reset(self, username: str, invite: Any) -> Deferred[None]:
        return self.accounts.reset(self.use(username, invite), PASSWORD)

    async def attempt(self, fault: Fault, doing: Deferred[None]) -> None:
        """Do something that fails; a process that was killed is another one afterwards."""
        if fault in KILLS:
            self.assertIs(await self.server.killed.get(), fault)
            self.start()
        else:
            await self.refused(doing, Unavailable)

    async def assert_registered(self, made: bool, invite: Any, username="juliet") -> None:
        """Account, use and count are all there, or none of them."""
        self.assertEqual(await self.server.exists(username), made)
        self.assertEqual((await self.account(username)) is not None, made)
        self.assertEqual((await self.get(invite)).uses, int(made))
        self.assertEqual(len(await self.store.list_uses(DOMAIN, invite.id)), int(made))
        found = await self.look_up(username=username, counters=(counter(),))
        self.assertEqual(found.account_exists, made)
        self.assertEqual(found.tallies[0].count, int(made))
        self.assertEqual(await self.store.open_leases(DOMAIN, self.now), [])

    async def test_registers(self) -> None:
        """An account is made there, and its use is written down here."""
        invite = await self.invite()
        await self.redeem("juliet", invite, counter(), roles=("r",))
        await self.assert_registered(True, invite)
        self.assertEqual((await self.account()).roles, ("r",))
        await self.refused(self.redeem("nurse", invite), InvalidInvite)
        self.assertFalse(await self.server.exists("nurse"))

    async def test_never_adopts(self) -> None:
        """An account that was there before stays as it is, and the invite unused."""
        await self.server.create("juliet", "before")
        invite = await self.invite()
        await self.refused(self.redeem("juliet", invite, counter()), UsernameTaken)
        self.assertEqual((await self.get(invite)).uses, 0)
        await self.settle()
        self.assertIsNone(await self.account())

    async def test_never_adopts_a_moment_before(self) -> None:
        """Nor one that somebody makes there between question and making."""
        invite = await self.invite()
        reserve = self.store.reserve

        async def overtaken(*args: Any) -> Any:
            await self.server.create("juliet", "before")
            return await reserve(*args)

        self.store.reserve = lambda *args: Deferred.fromCoroutine(overtaken(*args))
        await self.refused(self.redeem("juliet", invite, counter()), UsernameTaken)
        await self.settle()
        self.assertEqual((await self.get(invite)).uses, 0)
        self.assertIsNone(await self.account())

    async def test_all_faults(self) -> None:
        """Whatever fails as the account is made: it is there with its use, or neither is."""
        for fault in Fault:
            invite = await self.invite()
            self.server.faults["create"] = fault
            doing = self.redeem("juliet", invite, counter())
            await self.attempt(fault, doing)
            if fault in (*UNKNOWN, *KILLS):
                await self.refused(self.redeem("juliet", await self.invite()), UsernameTaken)
            await self.act_late()
            await self.settle()
            made = fault in (Fault.CUT_AFTER, Fault.LATE, Fault.KILLED_AFTER)
            await self.assert_registered(made, invite)
            if made:
                await self.accounts.delete("juliet", self.now, until=self.now)
                await self.store.purge_names(DOMAIN, self.now, 9)
                self.advance(timedelta(hours=2))
            else:
                await self.redeem("juliet", invite, counter())
                await self.accounts.delete("juliet", self.now, until=self.now)
                await self.store.purge_names(DOMAIN, self.now, 9)
                self.advance(timedelta(hours=2))

    async def test_clock_set_back(self) -> None:
        """What was begun by a clock that was ahead does not wait for that time to come."""
        await self.server.create("romeo", PASSWORD)
        right = self._clock_now
        for fault, name in ((Fault.KILLED_AFTER, "nurse"), (Fault.CUT_AFTER, "juliet")):
            self._clock_now = lambda: right() + timedelta(hours=3)
            invite = await self.invite(expires_at=self.now + timedelta(days=1))
            self.server.faults["create"] = fault
            self.server.faults["make_contacts"] = Fault.UNREACHABLE
            await self.attempt(fault, self.redeem(name, invite, contact="romeo"))
            await self.settle(1)
            self._clock_now = right
            await self.settle()
            self.assertIsNotNone(await self.account(name))
            later = self.now + timedelta(days=1)
            self.assertEqual(await self.store.open_leases(DOMAIN, later), [])
        self.assertTrue(await self.are_contacts())

    async def act_late(self) -> None:
        for act in self.server.late:
            await act()
        self.server.late.clear()

    async def test_down_for_long(self) -> None:
        """What was open when the server went is settled within 30 s of its return."""
        for fault, made in ((Fault.CUT_BEFORE, False), (Fault.CUT_AFTER, True)):
            invite, username = await self.invite(), f"u{int(made)}"
            self.server.faults["create"] = fault
            await self.attempt(fault, self.redeem(username, invite))
            self.server.down = True
            await self.settle(600)
            self.assertEqual(len(await self.store.open_leases(DOMAIN, self.now)), 1)
            self.start()
            self.server.down = False
            await self.settle(30)
            self.assertEqual(await self.store.open_leases(DOMAIN, self.now), [])
            self.assertEqual((await self.get(invite)).uses, int(made))

    async def test_acts_after_it_has_hung(self) -> None:
        """A server that goes on after a while, and answers before it acts, is asked again."""
        invite = await self.invite()
        self.server.faults["create"] = Fault.LATE
        await self.attempt(Fault.LATE, self.redeem("juliet", invite, counter()))
        self.server.down = True
        await self.settle(20)
        self.server.down = False
        await self.settle(1)
        await self.act_late()
        await self.settle()
        await self.assert_registered(True, invite)

    async def test_hangs_again(self) -> None:
        """What it has said before does not count after it has hung."""
        invites = [await self.invite(), await self.invite()]
        for name, invite in zip(("romeo", "juliet"), invites, strict=True):
            self.server.faults["create"] = Fault.LATE
            await self.attempt(Fault.LATE, self.redeem(name, invite))
        await self.settle(1)
        self.server.down = True
        await self.settle(20)
        self.server.down = False
        await self.settle(1)
        await self.act_late()
        await self.settle()
        for invite in invites:
            self.assertEqual((await self.get(invite)).uses, 1)

    async def test_server_down(self) -> None:
        """While the server is away nobody registers, and nothing is lost."""
        invite = await self.invite()
        self.server.down = True
        await self.refused(self.redeem("juliet", invite, counter()), Unavailable)
        self.assertEqual((await self.get(invite)).uses, 0)
        self.assertEqual(await self.store.open_leases(DOMAIN, self.now), [])

    async def test_others_are_left_alone(self) -> None:
        """A registration under way in another process is not settled under its hands."""
        invite = await self.invite()
        lease = await self.store.reserve(self.redemption("juliet", invite), self.now)
        await self.settle(15)
        self.assertEqual(await self.store.open_leases(DOMAIN, self.now), [lease])
        await self.settle(15)
        self.assertEqual(await self.store.open_leases(DOMAIN, self.now), [])

    async def test_settled_by_another_too_early(self) -> None:
        """An account that is made after its lease was given up is removed again."""
        invite = await self.invite()
        create = self.server.server.create

        async def slowly(*args: Any) -> None:
            [lease] = await self.store.open_leases(DOMAIN, self.now)
            await self.store.release(lease.number)
            await create(*args)

        self.server.server.create = lambda *args: Deferred.fromCoroutine(slowly(*args))
        await self.refused(self.redeem("juliet", invite, counter()), Unavailable)
        self.server.server.create = create
        await self.assert_registered(False, invite)

    async def test_contacts_in_the_end(self) -> None:
        """Who was invited becomes a contact of the inviter, however often that fails."""
        await self.server.create("romeo", PASSWORD)
        invite = await self.invite(kind=Kind.ACCOUNT_AND_CONTACT, inviter="romeo")
        for fault in (Fault.UNREACHABLE, Fault.CUT_BEFORE, Fault.CUT_AFTER, Fault.LATE):
            self.server.faults["make_contacts"] = fault
            await self.settle(1)
        self.server.faults["make_contacts"] = Fault.UNREACHABLE
        await self.redeem("juliet", invite, contact="romeo")
        await self.settle(1)
        self.assertFalse(await self.are_contacts())
        self.start()
        await self.settle(30)
        self.assertTrue(await self.are_contacts())

    async def are_contacts(self) -> bool:
        """Whether juliet and romeo are, at the server."""
        raise NotImplementedError

    async def test_inviter_is_gone(self) -> None:
        """There is nothing to be done for ever if the inviter has no account any more."""
        await self.redeem("juliet", contact="romeo")
        await self.settle(3)
        self.assertEqual(await self.pending(), [])

    async def pending(self) -> Any:
        later = self.now + timedelta(days=1)
        return await self.store.take_jobs(DOMAIN, "node", later, later)

    async def test_resets(self) -> None:
        """A reset sets the password there once; with unknown outcome it may be repeated."""
        await self.server.create("juliet", "before")
        self.assertTrue(await self.accounts.recognise("juliet"))
        invite = await self.invite(kind=Kind.RESET, username="juliet")
        for fault in Fault:
            self.server.faults["set_password"] = fault
            await self.attempt(fault, self.reset("juliet", invite))
            await self.settle()
            self.assertEqual((await self.get(invite)).uses, 0)
        await self.reset("juliet", invite)
        self.assertEqual(len(await self.store.list_uses(DOMAIN, invite.id)), 1)
        await self.refused(self.reset("juliet", invite), InvalidInvite)

    async def test_reset_of_nobody(self) -> None:
        """A reset whose account was removed at the server costs nothing."""
        await self.server.create("juliet", "before")
        await self.accounts.recognise("juliet")
        invite = await self.invite(kind=Kind.RESET, username="juliet")
        await self.server.delete("juliet")
        await self.refused(self.reset("juliet", invite), InvalidInvite)
        self.assertEqual((await self.get(invite)).uses, 0)

    async def test_deletes(self) -> None:
        """A deleted account is gone there, and its name is kept here; also one made there."""
        await self.redeem("juliet")
        await self.server.create("nurse", "before")
        for username in ("juliet", "nurse"):
            await self.accounts.delete(username, self.now)
            self.assertFalse(await self.server.exists(username))
            self.assertEqual(await self.look_up(username=username), Findings(deleted=True))
            await self.refused(self.redeem(username), UsernameReserved)
        await self.refused(self.accounts.delete("nurse", self.now), NotFound)

    async def test_deletes_although_it_fails(self) -> None:
        """A deletion that failed half-way can be done again until it is done."""
        await self.server.create("nurse", "before")
        self.assertTrue(await self.accounts.exists("nurse"))
        for fault in (Fault.REFUSED, Fault.UNREACHABLE, *UNKNOWN):
            await self.redeem("juliet")
            self.server.faults["delete"] = fault
            await self.refused(self.accounts.delete("juliet", self.now), Unavailable)
            await self.act_late()
            await self.accounts.delete("juliet", self.now, until=self.now)
            self.assertIsNone(await self.account())
            await self.store.purge_names(DOMAIN, self.now, 9)
