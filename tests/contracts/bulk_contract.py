"""What any store does with many invites at once: makes them, and removes what is over."""

from datetime import timedelta

from invitereg.errors import InvalidRequest, NotFound, UsernameReserved
from invitereg.interfaces.queries import Findings, LoginAttempt, Redemption
from invitereg.model.invites import Kind, Status, token_digest
from invitereg.testing import make_account, make_invite
from tests.contracts.store_case import DOMAIN, HOUR, WEEK, StoreCase, counter

ENOUGH = 100


class BulkContract(StoreCase):
    def issued(self, *invites):
        return [(invite, token_digest(invite.id)) for invite in invites]

    def made_now(self, **values):
        return make_invite(created_at=self.now, expires_at=self.now + WEEK, **values)

    async def listed(self):
        return await self.store.list_invites(DOMAIN, self.now)

    async def purge(self, before=None, at_most=ENOUGH):
        before = before or self.now
        return await self.store.purge_invites(DOMAIN, before, at_most)

    async def test_domains(self):
        """Each domain is named of which anything is kept that goes in the end, once."""
        self.assertEqual(await self.store.list_domains(), [])
        await self.invite(domain="invite.example")
        use = self.use("juliet", domain="use.example")
        account = make_account(domain="use.example", username="juliet")
        await self.store.redeem(Redemption(account=account, use=use))
        await self.store.hit("hit.example", (counter(),), self.now)
        attempt = LoginAttempt(
            domain="network.example",
            username="juliet",
            network="192.0.2.0/24",
            counters=(counter(),),
            elsewhere=counter(),
        )
        numbers = await self.store.count_login(attempt, self.now)
        await self.store.login_succeeded(attempt, numbers, self.now)
        await self.store.learn(make_account(domain="name.example", username="romeo"))
        for domain in ("hit.example", "invite.example"):
            await self.invite(f"{domain} again", id="again", domain=domain)
        self.assertEqual(
            await self.store.list_domains(),
            [f"{kept}.example" for kept in ("hit", "invite", "name", "network", "use")],
        )

    async def test_count(self):
        """Invites are counted by state, those of one domain."""
        self.assertEqual(sum((await self.store.count_invites(DOMAIN, self.now)).values()), 0)
        await self.redeem("juliet", await self.invite())
        revoked = await self.invite()
        await self.store.revoke_invite(DOMAIN, revoked.id, self.now)
        await self.invite(expires_at=self.now + HOUR)
        for _ in range(3):
            await self.invite(uses_allowed=None)
        await self.invite(domain="example.org")
        self.advance(HOUR)
        counts = await self.store.count_invites(DOMAIN, self.now)
        found = {status.value: counts.get(status, 0) for status in Status}
        self.assertEqual(found, {"pending": 3, "used": 1, "expired": 1, "revoked": 1})

    async def test_create_many(self):
        """Many invites are stored at once, in their order, each with its token and name."""
        await self.redeem("nurse")
        invites = [
            self.made_now(username="romeo"),
            self.made_now(kind=Kind.RESET, username="nurse"),
            *(self.made_now() for _ in range(5)),
        ]
        await self.store.create_invites(self.issued(*invites))
        self.assertEqual(await self.listed(), invites)
        found = await self.look_up(digest=token_digest(invites[6].id), username="romeo")
        self.assertEqual((found.invite, found.reserved_for), (invites[6], invites[0].id))
        await self.store.create_invites([])

    async def test_create_many_or_none(self):
        """If one of many is refused, none is there."""
        first = await self.invite("token", id="one")
        for error, spoiler in (
            (InvalidRequest, self.made_now(id="one")),
            (InvalidRequest, self.made_now(id="twice")),
            (UsernameReserved, self.made_now(username="romeo")),
            (NotFound, self.made_now(kind=Kind.RESET, username="nobody")),
        ):
            others = (self.made_now(username="romeo"), self.made_now(id="twice"))
            issued = self.issued(*others, spoiler)
            await self.refused(self.store.create_invites(issued), error)
            self.assertEqual(await self.listed(), [first])
        self.assertEqual(await self.look_up(username="romeo"), Findings())

    async def test_purge(self):
        """What was over by then is removed, and nothing else."""
        expired = await self.invite(expires_at=self.now + HOUR)
        used, revoked = await self.invite(), await self.invite(expires_at=None)
        half_used = await self.invite(uses_allowed=2)
        pending = await self.invite(expires_at=None, uses_allowed=None)
        later = await self.invite()
        elsewhere = await self.invite(domain="example.org", expires_at=self.now + HOUR)
        for name, invite in (("a", used), ("b", half_used), ("c", pending)):
            await self.redeem(name, invite)
        await self.store.revoke_invite(DOMAIN, revoked.id, self.now)
        self.advance(HOUR)
        before = self.now
        self.advance(HOUR)
        await self.redeem("d", half_used)
        await self.store.revoke_invite(DOMAIN, later.id, self.now)
        self.assertEqual(await self.purge(before), 3)
        left = [invite.id for invite in await self.listed()]
        self.assertEqual(left, [half_used.id, pending.id, later.id])
        for invite in (expired, used, revoked):
            await self.refused(self.store.get_invite(DOMAIN, invite.id), NotFound)
            found = await self.look_up(digest=token_digest(invite.id))
            self.assertIsNone(found.invite)
        kept = await self.store.get_invite("example.org", elsewhere.id)
        self.assertEqual(kept, elsewhere)
        self.assertEqual(await self.purge(self.now - timedelta(seconds=1)), 0)
        self.assertEqual(await self.purge(), 2)

    async def test_purge_keeps_history(self):
        """Who came by which invite can be told when the invite itself is gone."""
        invite = await self.invite()
        await self.redeem("juliet", invite)
        history = await self.store.list_uses(DOMAIN, invite.id)
        self.assertEqual(await self.purge(), 1)
        self.assertEqual(len(history), 1)
        self.assertEqual(await self.store.list_uses(DOMAIN, invite.id), history)
        self.assertIsNotNone(await self.account("juliet"))

    async def test_purge_in_steps(self):
        """No step removes more than it was told to."""
        for kind in (Kind.ACCOUNT, Kind.CONTACT, Kind.ACCOUNT):
            await self.invite(kind=kind, expires_at=self.now)
        revoked = await self.invite()
        await self.store.revoke_invite(DOMAIN, revoked.id, self.now)
        steps = [await self.purge(at_most=2) for _ in range(3)]
        self.assertEqual(steps, [2, 2, 0])

    async def test_purge_reservations(self):
        """Reservations that have lapsed go; those that hold, and deleted names, stay."""
        await self.redeem("nurse")
        await self.store.delete_account(DOMAIN, "nurse", self.now)
        await self.redeem("tybalt")
        for name, expiry in (("a", HOUR), ("b", HOUR), ("c", 2 * HOUR)):
            await self.invite(username=name, expires_at=self.now + expiry)
        forever = await self.invite(username="d", expires_at=None)
        purge = self.store.purge_names
        self.assertEqual(await purge(DOMAIN, self.now, ENOUGH), 0)
        self.advance(HOUR)
        steps = [await purge(DOMAIN, self.now, 1) for _ in range(3)]
        self.assertEqual(steps, [1, 1, 0])
        self.assertEqual((await self.look_up(username="d")).reserved_for, forever.id)
        self.assertIsNotNone((await self.look_up(username="c")).reserved_for)
        self.assertTrue((await self.look_up(username="nurse")).deleted)
        self.assertTrue((await self.look_up(username="tybalt")).account_exists)

    async def test_purge_names(self):
        """Of the deleted accounts' names, those that are kept no longer become free."""
        for name, until in (("a", HOUR), ("b", 2 * HOUR), ("c", None)):
            await self.redeem(name)
            until = until and self.now + until
            await self.store.delete_account(DOMAIN, name, self.now, until=until)
        self.advance(HOUR - timedelta(seconds=1))
        self.assertEqual(await self.store.purge_names(DOMAIN, self.now, ENOUGH), 0)
        await self.refused(self.redeem("a"), UsernameReserved)
        self.advance(timedelta(seconds=1))
        self.assertEqual(await self.store.purge_names(DOMAIN, self.now, ENOUGH), 1)
        await self.redeem("a")
        self.assertTrue((await self.look_up(username="b")).deleted)
        self.advance(timedelta(days=36500))
        self.assertEqual(await self.store.purge_names(DOMAIN, self.now, ENOUGH), 1)
        self.assertTrue((await self.look_up(username="c")).deleted)
        self.assertTrue((await self.look_up(username="a")).account_exists)

    async def test_clock_was_ahead(self):
        """What was counted while the clock was years ahead does not count for years."""
        await self.store.hit(DOMAIN, (counter(),), self.now + timedelta(days=3650))
        self.assertEqual((await self.look_up(counters=(counter(),))).tallies[0].count, 0)
        soon = self.now + timedelta(minutes=1)
        await self.store.hit(DOMAIN, (counter(),), soon)
        self.assertEqual((await self.look_up(counters=(counter(),))).tallies[0].count, 1)

    async def test_purge_hits(self):
        """Hits of one name up to a moment are removed, whatever their key."""
        for key in ("a", "b", "c"):
            await self.store.hit(DOMAIN, (counter(key), counter(key, name="logins")), self.now)
        old = self.now
        self.advance(timedelta(minutes=1))
        await self.store.hit(DOMAIN, (counter("a"),), self.now)
        purge = self.store.purge_hits
        steps = [await purge(DOMAIN, "registration", old, 2) for _ in range(3)]
        self.assertEqual(steps, [2, 1, 0])
        counters = (counter("a"), counter("b"), counter("b", name="logins"))
        tallies = (await self.look_up(counters=counters)).tallies
        self.assertEqual([tally.count for tally in tallies], [1, 0, 1])
