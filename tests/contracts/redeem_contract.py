"""What any store does when an invite is redeemed, and how it counts."""

from datetime import timedelta

from invitereg.errors import InvalidInvite, Throttled, UsernameReserved, UsernameTaken
from invitereg.interfaces.queries import Findings, SessionEnd
from invitereg.model.invites import Kind
from tests.contracts.store_case import DOMAIN, HOUR, StoreCase, counter


class RedeemContract(StoreCase):
    async def test_makes_the_account(self):
        """Redeeming makes the account just as it was asked for, and writes history."""
        invite = await self.invite()
        redemption = self.redemption(
            "romeo", invite, roles=("b", "a"), groups=("Montagues",), details={"nick": "R"}
        )
        await self.store.redeem(redemption)
        self.assertEqual(await self.account("romeo"), redemption.account)
        self.assertEqual(await self.store.list_uses(DOMAIN), [redemption.use])
        self.assertEqual((await self.get(invite)).uses, 1)

    async def test_without_invite(self):
        """Open registration needs no invite, and is part of the history."""
        await self.redeem("romeo", credentials=None)
        self.assertIsNone((await self.account("romeo")).credentials)
        self.assertEqual(await self.store.list_uses(DOMAIN), [self.use("romeo")])

    async def test_addresses_are_forgotten(self):
        """Old addresses leave the history, a few at a time; the rest of it stays."""
        for username in ("a", "b", "c"):
            await self.redeem(username)
            self.advance(HOUR)
        before = self.now - 2 * HOUR
        forgotten = [await self.store.forget_addresses(DOMAIN, before, 1) for _ in range(3)]
        self.assertEqual(forgotten, [1, 1, 0])
        uses = await self.store.list_uses(DOMAIN)
        self.assertEqual([use.username for use in uses], ["a", "b", "c"])
        self.assertEqual([use.address for use in uses], [None, None, "192.0.2.1"])

    async def test_only_as_often_as_allowed(self):
        """An invite for two makes two accounts, not three."""
        invite = await self.invite(uses_allowed=2)
        for username in ("a", "b"):
            await self.redeem(username, invite)
        await self.refused(self.redeem("c", invite), InvalidInvite)
        self.assertEqual(await self.usernames(), ["a", "b"])

    async def test_not_for_accounts(self):
        """Neither a contact invite, a reset nor one for another name makes an account."""
        await self.redeem("romeo")
        contact = await self.invite(kind=Kind.CONTACT, inviter="romeo")
        reset = await self.invite(kind=Kind.RESET, username="romeo")
        fixed = await self.invite(username="mercutio")
        for invite in (contact, reset, fixed):
            await self.refused(self.redeem("juliet", invite), InvalidInvite)
        elsewhere = await self.invite(domain="example.org")
        await self.refused(self.redeem("juliet", elsewhere), InvalidInvite)

    async def test_expiry_is_not_asked_again(self):
        """Who was let in before the invite expired may take their time, and get their name."""
        invite = await self.invite(username="romeo", expires_at=self.now + HOUR)
        self.advance(HOUR)
        await self.redeem("romeo", invite)
        self.assertEqual(await self.usernames(), ["romeo"])

    async def test_name_lost_after_expiry(self):
        """A name that went to somebody else after the expiry is not given twice."""
        invite = await self.invite(username="romeo", expires_at=self.now + HOUR)
        self.advance(HOUR)
        await self.invite(username="romeo")
        await self.refused(self.redeem("romeo", invite), UsernameReserved)

    async def test_refusal_costs_nothing(self):
        """A registration refused for its name leaves the invite's use and the counter."""
        invite = await self.invite()
        await self.redeem("romeo")
        single = counter(most=1)
        await self.refused(self.redeem("romeo", invite, single), UsernameTaken)
        await self.redeem("juliet", invite, single)
        self.assertEqual(len(await self.store.list_uses(DOMAIN)), 2)

    async def test_throttled(self):
        """The counter's limit holds, says how long to wait, and leaves the invite's use."""
        invite = await self.invite(uses_allowed=None)
        await self.redeem("a", invite, counter())
        self.advance(HOUR / 4)
        await self.redeem("b", invite, counter())
        self.advance(HOUR / 4)
        error = await self.refused(self.redeem("c", invite, counter()), Throttled)
        self.assertEqual(error.retry_after, 1800)
        self.assertEqual((await self.get(invite)).uses, 2)
        await self.redeem("c", invite, counter("192.0.2.2/32"))
        self.advance(HOUR / 2)
        await self.redeem("d", invite, counter())

    async def test_deleted_name_is_the_operators(self):
        """Only the operator gives away the name of an account that was deleted."""
        await self.redeem("romeo")
        await self.store.delete_account(DOMAIN, "romeo", self.now)
        self.assertEqual(await self.look_up(username="romeo"), Findings(deleted=True))
        await self.refused(self.redeem("romeo"), UsernameReserved)
        await self.redeem("romeo", operator=True)
        self.assertEqual(await self.look_up(username="romeo"), Findings(account_exists=True))
        await self.refused(self.redeem("romeo", operator=True), UsernameTaken)

    async def test_uses_of_an_invite(self):
        """History tells which accounts an invite made, oldest first, also deleted ones."""
        invite = await self.invite(uses_allowed=None)
        for username in ("b", "a"):
            await self.redeem(username, invite)
        await self.redeem("c")
        await self.store.delete_account(DOMAIN, "b", self.now)
        await self.store.revoke_invite(DOMAIN, invite.id, self.now)
        expected = [self.use(username, invite) for username in ("b", "a")]
        self.assertEqual(await self.store.list_uses(DOMAIN, invite.id), expected)
        self.assertEqual(len(await self.store.list_uses(DOMAIN)), 3)
        self.assertEqual(await self.store.list_uses("example.org"), [])

    async def test_reset(self):
        """A reset sets the password once, and ends the sessions of the old one."""
        await self.redeem("romeo")
        invite = await self.invite(kind=Kind.RESET, username="romeo")
        self.advance(HOUR)
        await self.reset("romeo", invite)
        self.assertEqual((await self.account("romeo")).credentials, self.credentials())
        ends = [SessionEnd(number=1, domain=DOMAIN, username="romeo", at=self.now)]
        self.assertEqual(await self.store.session_ends(0), ends)
        uses = await self.store.list_uses(DOMAIN, invite.id)
        self.assertEqual(uses, [self.use("romeo", invite)])
        await self.refused(self.reset("romeo", invite), InvalidInvite)

    async def test_reset_refused(self):
        """A password is set by a reset of that very account that is not over."""
        for username in ("romeo", "juliet"):
            await self.redeem(username)
        account = await self.invite()
        reset = await self.invite(kind=Kind.RESET, username="romeo")
        await self.refused(self.reset("romeo", account), InvalidInvite)
        await self.refused(self.reset("juliet", reset), InvalidInvite)
        await self.store.revoke_invite(DOMAIN, reset.id, self.now)
        await self.refused(self.reset("romeo", reset), InvalidInvite)
        self.assertEqual(await self.store.session_ends(0), [])

    async def test_exactly_the_limit_in_any_period(self):
        """However the hits are spread, any period holds as many as the limit, no more."""
        limit = counter(most=3)
        allowed = []
        for _ in range(40):
            if await self.store.hit(DOMAIN, (limit,), self.now) is not None:
                allowed.append(self.now)
            self.advance(timedelta(minutes=9))
        for earlier, later in zip(allowed, allowed[3:], strict=False):
            self.assertGreaterEqual(later - earlier, HOUR)
        self.assertEqual(len(allowed), 18)

    async def test_period_is_half_open(self):
        """A hit counts until its period is over, to the microsecond."""
        one = counter(most=1)
        await self.store.hit(DOMAIN, (one,), self.now)
        self.advance(HOUR - timedelta(microseconds=1))
        self.assertIsNone(await self.store.hit(DOMAIN, (one,), self.now))
        self.advance(timedelta(microseconds=1))
        self.assertIsNotNone(await self.store.hit(DOMAIN, (one,), self.now))

    async def test_hits_all_or_nothing(self):
        """When one of several counters is at its limit, none of them counts."""
        wide, broad, narrow = counter("wide", 9), counter("broad", 9), counter("narrow", 1)
        all_of_them = (wide, broad, narrow)
        await self.store.hit(DOMAIN, all_of_them, self.now)
        for counters in (all_of_them, (narrow, wide, broad), (wide, narrow, broad)):
            self.assertIsNone(await self.store.hit(DOMAIN, counters, self.now))
        tallies = (await self.look_up(counters=all_of_them)).tallies
        self.assertEqual([tally.count for tally in tallies], [1, 1, 1])

    async def test_hits_of_a_clock_that_was_ahead(self):
        """After the clock was set back by more than a period, its hits hold nobody up."""
        for ahead, counted in ((2 * HOUR, 0), (HOUR, 1)):
            one = counter(f"{ahead}", most=1)
            await self.store.hit(DOMAIN, (one,), self.now + ahead)
            self.assertEqual((await self.look_up(counters=(one,))).tallies[0].count, counted)
            found = await self.store.hit(DOMAIN, (one,), self.now)
            self.assertEqual(found is not None, counted == 0)

    async def test_take_back(self):
        """A hit taken back has never happened, on each of its counters."""
        wide, narrow = counter("wide", 9), counter("narrow", 1)
        first = await self.store.hit(DOMAIN, (wide,), self.now)
        numbers = await self.store.hit(DOMAIN, (wide, narrow), self.now)
        await self.take_back(numbers)
        tallies = (await self.look_up(counters=(wide, narrow))).tallies
        self.assertEqual([tally.count for tally in tallies], [1, 0])
        self.assertTrue(first)

    async def test_counters_are_apart(self):
        """Name, key and domain each make another counter; no counter at all limits nothing."""
        one = counter(most=1)
        others = (counter("other", 1), counter(name="logins", most=1))
        await self.store.hit(DOMAIN, (one,), self.now)
        self.assertIsNotNone(await self.store.hit(DOMAIN, others, self.now))
        self.assertIsNotNone(await self.store.hit("example.org", (one,), self.now))
        self.assertEqual(await self.store.hit(DOMAIN, (), self.now), ())
