"""What any store does for a registration whose account another server makes."""

from dataclasses import replace
from datetime import timedelta

from invitereg.errors import InvalidInvite, Throttled, UsernameReserved, UsernameTaken
from invitereg.interfaces.leases import Job, Task
from invitereg.interfaces.queries import Findings
from invitereg.model.invites import Kind
from tests.contracts.store_case import DOMAIN, HOUR, StoreCase, counter

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


class LeaseContract(StoreCase):
    async def reserve(self, *args, **changes):
        return await self.store.reserve(self.redemption(*args, **changes), self.now)

    async def test_completed(self):
        """What was reserved becomes account and history, as if redeemed at once."""
        invite = await self.invite(inviter="romeo", kind=Kind.ACCOUNT_AND_CONTACT)
        lease = await self.reserve(
            "juliet", invite, counter(), contact="romeo", roles=("b",), details={"nick": "J"}
        )
        self.assertIsNone(await self.account())
        self.assertEqual(await self.store.list_uses(DOMAIN), [])
        self.assertTrue(await self.store.complete(lease.number))
        expected = self.redemption(
            "juliet", invite, roles=("b",), details={"nick": "J"}, credentials=None
        )
        self.assertEqual(await self.account(), expected.account)
        self.assertEqual(await self.store.list_uses(DOMAIN), [expected.use])
        self.assertEqual((await self.get(invite)).uses, 1)
        job = (await self.store.take_jobs(DOMAIN, "n", self.now, self.now))[0]
        said = (job.task, job.username, job.details)
        self.assertEqual(said, (Task.CONTACTS, "juliet", {"contact": "romeo"}))

    async def test_settled_once(self):
        """Of all who settle a lease one does; nothing is given back twice."""
        invite = await self.invite(uses_allowed=3)
        await self.redeem("romeo", invite)
        first, second = await self.reserve("a", invite), await self.reserve("b", invite)
        self.assertTrue(await self.store.release(first.number))
        self.assertTrue(await self.store.complete(second.number))
        for lease in (first, second):
            self.assertFalse(await self.store.release(lease.number))
            self.assertFalse(await self.store.complete(lease.number))
        self.assertEqual((await self.get(invite)).uses, 2)
        self.assertEqual(await self.usernames(), ["b", "romeo"])

    async def test_taken_meanwhile(self):
        """Use, count and name are gone for everybody else until it is settled."""
        invite, other = await self.invite(), await self.invite(uses_allowed=None)
        lease = await self.reserve("juliet", invite, counter(most=1))
        await self.refused(self.redeem("nurse", invite), InvalidInvite)
        await self.refused(self.redeem("nurse", other, counter(most=1)), Throttled)
        await self.refused(self.redeem("juliet", other), UsernameTaken)
        await self.refused(self.redeem("juliet", other, operator=True), UsernameTaken)
        again = self.store.reserve(self.redemption("juliet", other), self.now)
        await self.refused(again, UsernameTaken)
        self.assertEqual(await self.look_up(username="juliet"), Findings(account_exists=True))
        with self.assertRaises(UsernameTaken):
            await self.invite(username="juliet")
        self.assertEqual(await self.store.purge_names(DOMAIN, self.now + 999 * HOUR, 9), 0)
        self.assertTrue(await self.store.release(lease.number))
        await self.redeem("juliet", invite, counter(most=1))
        self.assertEqual(await self.usernames(), ["juliet"])

    async def test_gives_a_reservation_back(self):
        """A name that an invite reserves is reserved again after a release."""
        invite = await self.invite(username="juliet")
        lease = await self.reserve("juliet", invite)
        await self.store.release(lease.number)
        self.assertEqual((await self.look_up(username="juliet")).reserved_for, invite.id)
        await self.refused(self.redeem("juliet"), UsernameReserved)
        await self.store.revoke_invite(DOMAIN, invite.id, self.now)
        self.assertEqual(await self.look_up(username="juliet"), Findings())

    async def test_revoked_meanwhile(self):
        """An invite whose use is undecided can be revoked, and no release opens it again."""
        for revoke in ("one", "branch"):
            invite = await self.invite(username="juliet", inviter="romeo")
            lease = await self.reserve("juliet", invite)
            if revoke == "one":
                await self.store.revoke_invite(DOMAIN, invite.id, self.now)
            else:
                await self.redeem("romeo")
                revoked = await self.store.revoke_branch(DOMAIN, "romeo", self.now)
                self.assertEqual([one.id for one in revoked], [invite.id])
            self.assertEqual((await self.get(invite)).revoked_at, self.now)
            self.assertTrue(await self.store.release(lease.number))
            await self.refused(self.redeem("juliet", invite), InvalidInvite)
            self.assertEqual(await self.look_up(username="juliet"), Findings())

    async def test_revoked_and_completed(self):
        """An account that is made although its invite was revoked meanwhile is one."""
        invite = await self.invite(username="juliet")
        lease = await self.reserve("juliet", invite)
        await self.store.revoke_invite(DOMAIN, invite.id, self.now)
        self.assertTrue(await self.store.complete(lease.number))
        self.assertEqual(await self.usernames(), ["juliet"])
        self.assertEqual((await self.get(invite)).uses, 1)

    async def test_purged_meanwhile(self):
        """An invite whose use is undecided is kept: a release is to find it."""
        used = await self.invite(username="juliet", expires_at=None)
        revoked = await self.invite(uses_allowed=2, expires_at=self.now)
        leases = [await self.reserve("juliet", used), await self.reserve("romeo", revoked)]
        await self.store.revoke_invite(DOMAIN, revoked.id, self.now)
        self.advance(HOUR)
        self.assertEqual(await self.store.purge_invites(DOMAIN, self.now, 9), 0)
        for lease in leases:
            await self.store.release(lease.number)
        self.assertEqual(await self.store.purge_invites(DOMAIN, self.now, 9), 1)
        self.assertEqual((await self.look_up(username="juliet")).reserved_for, used.id)
        await self.redeem("juliet", used)

    async def test_contacts_of_the_deleted(self):
        """Whoever gets a deleted account's name gets none of its contacts."""
        invite = await self.invite(inviter="romeo", kind=Kind.ACCOUNT_AND_CONTACT)
        other = await self.invite(inviter="nurse", kind=Kind.ACCOUNT_AND_CONTACT)
        await self.redeem("romeo")
        for name, made, contact in (("juliet", invite, "romeo"), ("tybalt", other, "nurse")):
            lease = await self.reserve(name, made, contact=contact)
            await self.store.complete(lease.number)
        await self.store.delete_account(DOMAIN, "romeo", self.now)
        await self.store.delete_account(DOMAIN, "tybalt", self.now)
        self.assertEqual(await self.store.take_jobs(DOMAIN, "n", self.now, self.now), [])

    async def test_gives_back_for_its_time_only(self):
        """What was reserved lapses as it would have, also if it was leased by then."""
        invite = await self.invite(username="juliet", expires_at=self.now + HOUR)
        lease = await self.reserve("juliet", invite)
        self.advance(HOUR)
        await self.store.release(lease.number)
        self.assertEqual(await self.look_up(username="juliet"), Findings())
        self.assertEqual(await self.store.purge_names(DOMAIN, self.now, 9), 1)

    async def test_gives_a_deleted_name_back(self):
        """The name of a deleted account stays one if the operator's new account fails."""
        await self.redeem("romeo")
        until = self.now + HOUR
        await self.store.delete_account(DOMAIN, "romeo", self.now, until=until)
        await self.refused(
            self.store.reserve(self.redemption("romeo"), self.now), UsernameReserved
        )
        lease = await self.reserve("romeo", operator=True)
        await self.store.release(lease.number)
        self.assertEqual(await self.look_up(username="romeo"), Findings(deleted=True))
        self.assertEqual(await self.store.purge_names(DOMAIN, until, 9), 1)

    async def test_open_leases(self):
        """What has been open for long can be found, with all that it needs."""
        invite = await self.invite(uses_allowed=2)
        first = await self.reserve("a", invite, counter(), roles=("x",))
        self.advance(SECOND)
        second = await self.reserve("b", invite)
        found = await self.store.open_leases(DOMAIN, self.now - SECOND)
        self.assertEqual(found, [first])
        account = replace(self.redemption("a", roles=("x",)).account, credentials=None)
        self.assertEqual(first.redemption.account, replace(account, created_at=first.at))
        self.assertEqual(first.redemption.counters, ())
        self.assertEqual(await self.store.open_leases(DOMAIN, self.now), [first, second])
        self.assertEqual(await self.store.open_leases("example.org", self.now), [])
        await self.store.release(first.number)
        self.assertEqual(await self.store.open_leases(DOMAIN, self.now), [second])

    async def test_leased_reset(self):
        """A reset takes its use, and gives it back or writes it down."""
        await self.redeem("romeo", credentials=None)
        invite = await self.invite(kind=Kind.RESET, username="romeo")
        for settle, uses in ((self.store.release, 0), (self.store.complete, 1)):
            lease = await self.store.reserve(self.redemption("romeo", invite), self.now)
            again = self.store.reserve(self.redemption("romeo", invite), self.now)
            await self.refused(again, InvalidInvite)
            self.assertTrue(await settle(lease.number))
            self.assertEqual((await self.get(invite)).uses, uses)
            self.assertEqual(len(await self.store.session_ends(0)), uses)
            found = await self.store.take_jobs(DOMAIN, "n", self.now, self.now + HOUR)
            ended = [e.username for e in found if e.task is Task.END_SESSIONS]
            self.assertEqual(ended, ["romeo"] * uses)
        self.assertEqual(
            await self.store.list_uses(DOMAIN, invite.id), [self.use("romeo", invite)]
        )

    async def test_reset_of_a_deleted_account(self):
        """A reset that was under way while its account was deleted opens no later one."""
        await self.redeem("romeo", credentials=None)
        invite = await self.invite(kind=Kind.RESET, username="romeo")
        lease = await self.store.reserve(self.redemption("romeo", invite), self.now)
        self.advance(SECOND)
        await self.store.delete_account(DOMAIN, "romeo", self.now)
        await self.redeem("romeo", operator=True)
        await self.store.release(lease.number)
        await self.refused(self.reset("romeo", invite), InvalidInvite)

    async def test_learns_of_an_account(self):
        """An account that the server had before can be known of, once, and be reset."""
        account = self.redemption("romeo", credentials=None).account
        self.assertTrue(await self.store.learn(account))
        self.assertFalse(await self.store.learn(account))
        self.assertEqual(await self.account("romeo"), account)
        await self.invite(kind=Kind.RESET, username="romeo")
        await self.invite(username="mercutio")
        reserved = self.redemption("mercutio", credentials=None).account
        await self.refused(self.store.learn(reserved), UsernameReserved)
        await self.store.delete_account(DOMAIN, "romeo", self.now)
        await self.refused(self.store.learn(account), UsernameReserved)
        self.assertIsNone(await self.account("romeo"))


class JobContract(StoreCase):
    def job(self, **changes):
        values = {"domain": DOMAIN, "username": "juliet", "task": Task.DELETE, "at": self.now}
        return Job(**(values | changes))

    async def take(self, node="n"):
        found = await self.store.take_jobs(DOMAIN, node, self.now, self.now + HOUR)
        return [job.number for job in found]

    async def test_taken_by_one(self):
        """A job is given to one; to the next when that had its time."""
        number = await self.store.add_job(self.job(details={"until": ""}))
        other = await self.store.add_job(self.job(domain="example.org"))
        self.assertEqual(await self.take(), [number])
        self.assertEqual(await self.take("m"), [])
        self.advance(HOUR)
        found = await self.store.take_jobs(DOMAIN, "m", self.now, self.now + HOUR)
        self.assertEqual(
            found,
            [self.job(number=number, tries=2, details={"until": ""}, at=self.now - HOUR)],
        )
        await self.store.finish_job(number)
        self.assertIsNone(await self.store.get_job(number))
        self.assertIsNotNone(await self.store.get_job(other))

    async def test_put_off(self):
        """What could not be done is tried again when it was said."""
        number = await self.store.add_job(self.job())
        await self.take()
        await self.store.postpone_job(number, self.now + SECOND)
        self.assertEqual(await self.take(), [])
        self.advance(SECOND)
        self.assertEqual(await self.take(), [number])

    async def test_clock_set_back(self):
        """What is due in a time that nobody puts anything off to is due now."""
        number = await self.store.add_job(self.job())
        await self.store.postpone_job(number, self.now + HOUR + 2 * MINUTE)
        self.assertEqual(await self.take(), [])
        await self.store.postpone_job(number, self.now + HOUR + 2 * MINUTE + SECOND)
        self.assertEqual(await self.take(), [number])
        self.assertEqual(await self.take(), [])

    async def test_answered(self):
        """An answer waits for who asked; secrets do not wait with it."""
        number = await self.store.add_job(
            self.job(expires=self.now + SECOND, details={"password": "x"})
        )
        await self.take()
        await self.store.finish_job(number, "done")
        found = await self.store.get_job(number)
        self.assertEqual((found.answer, found.details), ("done", {}))
        self.advance(HOUR)
        self.assertEqual(await self.take(), [])
        self.assertEqual(await self.store.purge_jobs(self.now, 9), 0)
        self.assertEqual((await self.store.get_job(number)).answer, "done")
        self.advance(SECOND)
        self.assertEqual(await self.store.purge_jobs(self.now, 9), 1)
        self.assertIsNone(await self.store.get_job(number))

    async def test_of_the_deleted(self):
        """Who is deleted becomes nobody's contact any more; what else is asked for is done."""
        kept = [
            await self.store.add_job(self.job(username=name, task=task, details=details))
            for name, task, details in (
                ("juliet", Task.DELETE, {}),
                ("nurse", Task.CONTACTS, {"contact": "mercutio"}),
                ("nurse", Task.CREATE, {"contact": "juliet"}),
            )
        ]
        for name, contact in (("juliet", "romeo"), ("nurse", "juliet")):
            asked = self.job(username=name, task=Task.CONTACTS, details={"contact": contact})
            await self.store.add_job(asked)
        await self.redeem("juliet")
        await self.store.delete_account(DOMAIN, "juliet", self.now)
        self.assertEqual(await self.take(), kept)

    async def test_for_one_node(self):
        """What is for one process is done by no other."""
        number = await self.store.add_job(self.job(node="m"))
        self.assertEqual(await self.take(), [])
        self.assertEqual(await self.take("m"), [number])

    async def test_withdrawn(self):
        """Who no longer waits can take back what nobody has begun."""
        first = await self.store.add_job(self.job())
        self.assertTrue(await self.store.withdraw_job(first))
        self.assertFalse(await self.store.withdraw_job(first))
        second = await self.store.add_job(self.job())
        self.assertEqual(await self.take(), [second])
        self.assertFalse(await self.store.withdraw_job(second))

    async def test_expired(self):
        """A command's job is not begun when nobody waits for it any more."""
        await self.store.add_job(self.job(expires=self.now + SECOND))
        self.advance(SECOND)
        self.assertEqual(await self.take(), [])

    async def test_a_few_at_a_time(self):
        """The oldest come first, and never too many at once."""
        numbers = [await self.store.add_job(self.job()) for _ in range(25)]
        self.assertEqual(await self.take(), numbers[:20])
        self.assertEqual(await self.take(), numbers[20:])
