"""What any store of keys does, and what the HTTP API needs of the invites besides."""

from dataclasses import replace
from datetime import timedelta

from twisted.internet.defer import gatherResults

from invitereg.errors import InvalidRequest, NotFound, OtherRequest, UsernameReserved
from invitereg.interfaces.apikeys import REPEATABLE, ApiKey, IdempotencyKey, Scope
from invitereg.model.invites import Kind, Status, generate_invite_id, token_digest
from invitereg.testing import make_invite
from tests.contracts.store_case import DOMAIN, HOUR, WEEK, StoreCase

ONCE = IdempotencyKey(key_id="portal", name=b"n" * 32, request=b"r" * 32)


class KeyContract(StoreCase):
    def key(self, **changes):
        values = {
            "id": generate_invite_id(),
            "name": "portal",
            "scopes": (Scope.INVITES_CREATE, Scope.INVITES_READ),
            "created_at": self.now,
        }
        return ApiKey(**(values | changes))

    async def create(self, secret="secret", **changes):
        key = self.key(**changes)
        await self.store.create_key(key, token_digest(secret))
        return key

    def new(self, **changes):
        made = {"created_at": self.now, "expires_at": self.now + WEEK}
        return make_invite(**(made | changes))

    async def once(self, token, once=ONCE, **changes):
        invite = self.new(**changes)
        return await self.store.create_invite(invite, token_digest(token), key=once)

    async def opens(self, token):
        """The id of the invite that a token opens, if any."""
        found = await self.look_up(digest=token_digest(token))
        return found.invite and found.invite.id

    async def test_key(self):
        """A key is found by its secret, as it was made."""
        plain = await self.create()
        full = await self.create("other", domain=DOMAIN, expires_at=self.now + HOUR)
        self.assertEqual(await self.store.find_key(token_digest("secret")), plain)
        self.assertEqual(await self.store.find_key(token_digest("other")), full)
        self.assertIsNone(await self.store.find_key(token_digest("third")))
        self.assertEqual(list(await self.store.list_keys()), [plain, full])

    async def test_key_twice(self):
        """Neither an id nor a secret is given away twice."""
        key = await self.create()
        for secret, again in (("other", key), ("secret", self.key())):
            await self.refused(
                self.store.create_key(again, token_digest(secret)), InvalidRequest
            )
        self.assertEqual(list(await self.store.list_keys()), [key])

    async def test_revoke_key(self):
        """A key is revoked once; when that was stays known."""
        key, revoked_at = await self.create(), self.now
        self.assertTrue(key.valid(self.now))
        revoked, ended = await self.store.revoke_key(key.id, revoked_at)
        self.assertEqual(list(ended), [])
        self.assertEqual(revoked, replace(key, revoked_at=revoked_at))
        self.assertFalse(revoked.valid(self.now))
        self.advance(HOUR)
        self.assertEqual((await self.store.revoke_key(key.id, self.now))[0], revoked)
        self.assertEqual(await self.store.find_key(token_digest("secret")), revoked)
        await self.refused(self.store.revoke_key("nobody", self.now), NotFound)

    async def test_once(self):
        """A repeated request makes nothing, and its new token replaces the old one."""
        first = await self.once("one")
        repeated = await self.once("two")
        self.assertEqual(repeated, first)
        self.assertEqual([await self.opens("one"), await self.opens("two")], [None, first.id])
        self.assertEqual(len(await self.store.list_invites(DOMAIN, self.now)), 1)

    async def test_once_each(self):
        """Another name, and the same name of another key, is another request."""
        first = await self.once("one")
        others = [
            await self.once("two", replace(ONCE, name=b"o" * 32)),
            await self.once("three", replace(ONCE, key_id="other")),
        ]
        self.assertNotIn(first.id, [other.id for other in others])

    async def test_find_request(self):
        """A request is known for a day, with what it has made, and for its key alone."""
        self.assertIsNone(await self.store.find_request(ONCE, self.now))
        first = await self.once("one")
        self.advance(REPEATABLE - timedelta(seconds=1))
        found = await self.store.find_request(ONCE, self.now)
        self.assertEqual(found, (DOMAIN, first.id))
        for other in (replace(ONCE, name=b"o" * 32), replace(ONCE, key_id="other")):
            self.assertIsNone(await self.store.find_request(other, self.now))
        other = replace(ONCE, request=b"s" * 32)
        await self.refused(self.store.find_request(other, self.now), OtherRequest)
        self.advance(timedelta(seconds=1))
        for one in (ONCE, other):
            self.assertIsNone(await self.store.find_request(one, self.now))

    async def test_once_other_request(self):
        """The same name for something else is refused, and changes nothing."""
        first = await self.once("one")
        other = replace(ONCE, request=b"s" * 32)
        await self.refused(
            self.store.create_invite(self.new(), token_digest("two"), key=other), OtherRequest
        )
        self.assertEqual(await self.opens("one"), first.id)
        self.assertEqual(len(await self.store.list_invites(DOMAIN, self.now)), 1)

    async def test_once_refused(self):
        """A request that was refused left no trace: it can be made again and succeed."""
        holder = await self.invite(username="juliet")
        invite = self.new(username="juliet")
        await self.refused(
            self.store.create_invite(invite, token_digest("one"), key=ONCE), UsernameReserved
        )
        await self.store.revoke_invite(DOMAIN, holder.id, self.now)
        made = await self.once("two", username="juliet")
        self.assertEqual(await self.opens("two"), made.id)

    async def test_once_reset(self):
        """So are links that set a new password."""
        await self.redeem("juliet")
        first = await self.once("one", kind=Kind.RESET, username="juliet")
        again = await self.once("two", kind=Kind.RESET, username="juliet")
        self.assertEqual(first, again)
        missing = self.new(kind=Kind.RESET, username="nobody")
        other = replace(ONCE, name=b"o" * 32)
        await self.refused(
            self.store.create_invite(missing, token_digest("three"), key=other), NotFound
        )

    async def test_once_over(self):
        """The invite of a repeated request is not brought back to life."""
        first = await self.once("one")
        await self.store.revoke_invite(DOMAIN, first.id, self.now)
        again = self.store.create_invite(self.new(), token_digest("two"), key=ONCE)
        await self.refused(again, InvalidRequest)
        self.assertIsNone(await self.opens("two"))

    async def test_once_for_a_day(self):
        """After a day the name is free for another request."""
        first = await self.once("one")
        self.advance(REPEATABLE - timedelta(seconds=1))
        self.assertEqual((await self.once("two")).id, first.id)
        self.advance(timedelta(seconds=1))
        later = await self.once("three", replace(ONCE, request=b"s" * 32))
        self.assertNotEqual(later.id, first.id)
        self.assertEqual(await self.opens("two"), first.id)

    async def test_once_at_once(self):
        """Of repeats that race each other, one makes the invite."""
        racing = [
            self.store.create_invite(self.new(), token_digest(str(number)), key=ONCE)
            for number in range(20)
        ]
        invites = await gatherResults(racing, consumeErrors=True)
        self.assertEqual(len({invite.id for invite in invites}), 1)
        opening = [await self.opens(str(number)) for number in range(20)]
        self.assertEqual([found for found in opening if found], [invites[0].id])

    async def test_purge_requests(self):
        """Requests are forgotten, the oldest first, a few at a time."""
        for number in range(3):
            await self.once(str(number), replace(ONCE, name=bytes([number]) * 32))
        before = self.now
        self.advance(HOUR)
        kept = await self.once("kept", replace(ONCE, name=b"k" * 32))
        removed = [await self.store.purge_requests(before, 2) for _ in range(3)]
        self.assertEqual(removed, [2, 1, 0])
        self.assertEqual((await self.once("k2", replace(ONCE, name=b"k" * 32))).id, kept.id)
        self.assertEqual(len(await self.store.list_invites(DOMAIN, self.now)), 4)

    async def test_list_by_inviter(self):
        """The invites of one inviter are listed alone, also by state and page by page."""
        mine = [await self.invite(inviter="romeo") for _ in range(3)]
        await self.invite(inviter="nurse")
        await self.invite()
        await self.store.revoke_invite(DOMAIN, mine[0].id, self.now)
        listed = await self.store.list_invites(DOMAIN, self.now, inviter="romeo")
        self.assertEqual([invite.id for invite in listed], [invite.id for invite in mine])
        pending = await self.store.list_invites(
            DOMAIN, self.now, Status.PENDING, 1, mine[1].id, inviter="romeo"
        )
        self.assertEqual([invite.id for invite in pending], [mine[2].id])
        nobody = await self.store.list_invites(DOMAIN, self.now, inviter="nobody")
        self.assertEqual(list(nobody), [])
