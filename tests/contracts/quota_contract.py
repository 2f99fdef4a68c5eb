"""What any store does with the invites that users make by their own account."""

from datetime import timedelta

from twisted.internet.defer import Deferred, DeferredList

from invitereg.errors import (
    InvalidRequest,
    NotFound,
    Throttled,
    TooManyOpenInvites,
    UsernameReserved,
)
from invitereg.model.invites import Kind, Status, token_digest
from invitereg.policy.counters import Counter, Quota
from invitereg.policy.values import Limit
from invitereg.testing import make_invite
from tests.contracts.store_case import DOMAIN, HOUR, WEEK, StoreCase

DAY = timedelta(days=1)


def quota(username="romeo", most_open=2, most_made=100):
    limit = Limit(max=most_made, period=DAY)
    made = Counter(name="user_invites", key=username, limit=limit)
    return Quota(username=username, max_open=most_open, made=made)


class QuotaContract(StoreCase):
    def made(
        self, bound=None, username="romeo", door="adhoc", named=None, **changes
    ) -> Deferred[None]:
        """Let a user make an invite, perhaps for one name; ``self.last`` is it."""
        self.last = make_invite(
            **{
                "kind": Kind.ACCOUNT if named else Kind.CONTACT,
                "username": named,
                "inviter": username,
                "source": f"{door}:{username}@{DOMAIN}",
                "created_at": self.now,
                "expires_at": self.now + WEEK,
            }
            | changes
        )
        bound = bound or quota(username)
        return self.store.create_invite(self.last, token_digest(self.last.id), bound)

    async def open_invites(self, username="romeo"):
        return (await self.look_up(inviter=username)).open_invites

    async def test_registered(self):
        """When somebody registered is known of those who have, and the last time counts."""
        invite = await self.invite(kind=Kind.ACCOUNT_AND_CONTACT, inviter="romeo")
        self.assertIsNone((await self.look_up(inviter="romeo")).registered_at)
        await self.redeem("romeo", invite)
        first = self.now
        reset = await self.invite(kind=Kind.RESET, username="romeo")
        self.advance(HOUR)
        await self.reset("romeo", reset)
        self.assertEqual((await self.look_up(inviter="romeo")).registered_at, first)
        self.assertIsNone((await self.look_up(inviter="juliet")).registered_at)
        await self.store.delete_account(DOMAIN, "romeo", self.now)
        await self.redeem("romeo", operator=True)
        self.assertEqual((await self.look_up(inviter="romeo")).registered_at, self.now)

    async def test_open(self):
        """A user may have so many open invites, whichever door they were made at."""
        await self.made()
        await self.made(door="web", expires_at=None)
        error = await self.refused(self.made(), TooManyOpenInvites)
        self.assertEqual(error.most, 2)
        await self.refused(self.store.get_invite(DOMAIN, self.last.id), NotFound)
        self.assertEqual(await self.open_invites(), 2)
        await self.made(username="juliet")

    async def test_unlimited_quota(self):
        """Where the number of open invites has no limit, any number may be made."""
        for _ in range(5):
            await self.made(quota(most_open=None))

    async def test_over(self):
        """What is revoked, used up or expired makes room."""
        await self.made(quota(most_open=1))
        await self.store.revoke_invite(DOMAIN, self.last.id, self.now)
        await self.made(quota(most_open=1), kind=Kind.ACCOUNT)
        await self.redeem("nurse", self.last)
        await self.made(quota(most_open=1), expires_at=self.now + HOUR)
        await self.refused(self.made(quota(most_open=1)), TooManyOpenInvites)
        self.advance(HOUR)
        self.assertEqual(await self.open_invites(), 0)
        await self.made(quota(most_open=1))

    async def test_operators(self):
        """What the operator made in somebody's name is not counted, nor listed as theirs."""
        for source in ("cli", "api:key", f"adhoc:juliet@{DOMAIN}", f"adhoc:romeo2@{DOMAIN}"):
            await self.invite(inviter="romeo", source=source)
        await self.invite(inviter="juliet", source=f"adhoc:romeo@{DOMAIN}")
        await self.made(quota(most_open=1))
        own = await self.store.list_invites(DOMAIN, self.now, made_by="romeo")
        self.assertEqual(own, [self.last])

    async def test_other_domain(self):
        """A namesake at another domain has a quota of their own."""
        await self.made(quota(most_open=1, most_made=1))
        source = "adhoc:romeo@example.org"
        await self.made(quota(most_open=1, most_made=1), domain="example.org", source=source)

    async def test_period(self):
        """So many may be made in any period, whatever becomes of them."""
        for _ in range(2):
            await self.made(quota(most_made=2))
            await self.store.revoke_invite(DOMAIN, self.last.id, self.now)
            self.advance(HOUR)
        error = await self.refused(self.made(quota(most_made=2)), Throttled)
        self.assertEqual(error.retry_after, (DAY - 2 * HOUR).total_seconds())
        await self.refused(self.store.get_invite(DOMAIN, self.last.id), NotFound)
        self.advance(DAY - 2 * HOUR)
        await self.made(quota(most_made=2))

    async def test_refused_costs_nothing(self):
        """An invite that is refused for its name, id or token is not counted as made."""
        bound = quota(most_open=2, most_made=2)
        await self.made(bound, id="one")
        await self.invite(username="nurse")
        for _ in range(3):
            await self.refused(self.made(bound, named="nurse"), UsernameReserved)
            await self.refused(self.made(bound, id="one"), InvalidRequest)
        await self.made(bound)

    async def test_deleted(self):
        """Whose account is deleted makes no invite any more, not even at the same moment."""
        await self.redeem("romeo")
        await self.store.delete_account(DOMAIN, "romeo", self.now)
        await self.refused(self.made(), NotFound)
        self.assertEqual(await self.store.list_invites(DOMAIN, self.now), [])

    async def test_at_once(self):
        """Fifty that are asked for at the same moment are no more than may be."""
        for bound, error in (
            (quota(most_open=3), TooManyOpenInvites),
            (quota("juliet", most_open=None, most_made=4), Throttled),
        ):
            asked = [self.made(bound, username=bound.username) for _ in range(50)]
            results = await DeferredList(asked, consumeErrors=True)
            errors = {type(result.value) for success, result in results if not success}
            self.assertEqual(errors, {error})
            most = bound.max_open or bound.made.limit.max
            self.assertEqual(sum(success for success, _ in results), most)
            self.assertEqual(await self.open_invites(bound.username), most)

    async def test_listed(self):
        """One's own invites are listed in pages, and by status."""
        await self.invite()
        mine = []
        for _ in range(3):
            await self.made(quota(most_open=None))
            mine.append(self.last)
            await self.made(quota("juliet", most_open=None), username="juliet")
        revoked = await self.store.revoke_invite(DOMAIN, mine[0].id, self.now)
        listed = self.store.list_invites

        page = await listed(DOMAIN, self.now, limit=2, made_by="romeo")
        self.assertEqual(page, [revoked, mine[1]])
        rest = await listed(DOMAIN, self.now, after=page[-1].id, made_by="romeo")
        self.assertEqual(rest, mine[2:])
        pending = await listed(DOMAIN, self.now, Status.PENDING, made_by="romeo")
        self.assertEqual(pending, mine[1:])
        self.assertEqual(await listed(DOMAIN, self.now, made_by="nobody"), [])
