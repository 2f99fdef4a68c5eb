"""What any store does with invites, short of redeeming them."""

from dataclasses import replace
from datetime import timedelta
from itertools import product

from twisted.internet.defer import Deferred

from invitereg.errors import (
    InvalidInvite,
    InvalidRequest,
    NotFound,
    UsernameReserved,
    UsernameTaken,
)
from invitereg.interfaces.queries import Findings, InviteChanges
from invitereg.model.invites import Kind, Status, token_digest
from invitereg.policy.values import Tally
from tests.contracts.store_case import DOMAIN, HOUR, WEEK, StoreCase, counter

TICK = timedelta(microseconds=1)


def changes(**values) -> InviteChanges:
    return InviteChanges(values=values)


class InviteContract(StoreCase):
    async def test_keeps_every_field(self):
        """An invite comes back as it was made, to the microsecond."""
        self.advance(timedelta(microseconds=7))
        invite = await self.invite(
            kind=Kind.ACCOUNT_AND_CONTACT,
            inviter="romeo",
            source="adhoc:romeo@example.com",
            username="jülïet",
            roles=("b", "a"),
            groups=("Capulets",),
            note="two\nlines",
        )
        self.assertEqual(await self.get(invite), invite)

    async def test_unlimited(self):
        """An invite may be good for ever, and for any number of accounts."""
        invite = await self.invite(uses_allowed=None, expires_at=None)
        for username in ("romeo", "juliet"):
            await self.redeem(username, invite)
        self.advance(1000 * WEEK)
        stored = await self.get(invite)
        self.assertEqual((stored.uses, stored.status(self.now)), (2, Status.PENDING))

    async def test_unknown(self):
        """Asking for an invite that is not there, or is another domain's, is refused."""
        invite = await self.invite()
        await self.refused(self.store.get_invite(DOMAIN, "nothing"), NotFound)
        await self.refused(self.store.get_invite("example.org", invite.id), NotFound)

    async def test_same_id_or_token(self):
        """No two invites of a domain have the same id or token; those of two domains may."""
        first = await self.invite("token", id="one")
        await self.refused(self.invite_deferred("other", id="one"), InvalidRequest)
        await self.refused(
            self.invite_deferred("token", id="two", username="romeo"), InvalidRequest
        )
        await self.invite("token", id="one", domain="example.org")
        self.assertEqual(await self.get(first), first)
        self.assertEqual(await self.look_up(username="romeo"), Findings())

    def invite_deferred(self, token=None, **values):
        return Deferred.fromCoroutine(self.invite(token, **values))

    async def test_username_is_reserved(self):
        """A username fixed on an invite is kept from open registration and other invites."""
        invite = await self.invite(username="romeo")
        other = await self.invite()
        self.assertEqual(await self.look_up(username="romeo"), Findings(reserved_for=invite.id))
        refusal = await self.refused(self.redeem("romeo"), UsernameReserved)
        self.assertEqual(refusal.reserved_for, invite.id)
        self.assertNotIn(invite.id, refusal.text)
        await self.refused(self.redeem("romeo", other), UsernameReserved)
        await self.refused(self.redeem("romeo", operator=True), UsernameReserved)
        await self.refused(self.invite_deferred(username="romeo"), UsernameReserved)
        self.assertEqual((await self.get(other)).uses, 0)
        await self.redeem("romeo", invite)
        self.assertEqual(await self.look_up(username="romeo"), Findings(account_exists=True))

    async def test_username_is_free_after_expiry(self):
        """An invite that has expired reserves nothing."""
        await self.invite(username="romeo", expires_at=self.now + HOUR)
        self.advance(HOUR)
        self.assertEqual(await self.look_up(username="romeo"), Findings())
        second = await self.invite(username="romeo")
        self.assertEqual((await self.look_up(username="romeo")).reserved_for, second.id)

    async def test_username_is_free_after_revocation(self):
        """A revoked invite reserves nothing."""
        invite = await self.invite(username="romeo", expires_at=None)
        self.advance(HOUR)
        revoked = await self.store.revoke_invite(DOMAIN, invite.id, self.now)
        self.assertEqual(revoked.revoked_at, self.now)
        await self.redeem("romeo")

    async def test_username_of_an_account(self):
        """No invite is made for a name that an account has or had."""
        await self.redeem("romeo")
        await self.refused(self.invite_deferred(username="romeo"), UsernameTaken)
        await self.store.delete_account(DOMAIN, "romeo", self.now)
        await self.refused(self.invite_deferred(username="romeo"), UsernameReserved)
        self.assertEqual(await self.store.list_invites(DOMAIN, self.now), [])

    async def test_reservations_of_domains_are_apart(self):
        """A name reserved at one domain is free at another."""
        await self.invite(username="romeo", domain="example.org")
        await self.redeem("romeo")

    async def test_reset_needs_its_account(self):
        """A reset is made for an account that exists, and reserves no name."""
        await self.refused(self.invite_deferred(kind=Kind.RESET, username="romeo"), NotFound)
        await self.redeem("romeo")
        await self.invite(kind=Kind.RESET, username="romeo")
        await self.invite(kind=Kind.RESET, username="romeo")
        self.assertEqual(await self.look_up(username="romeo"), Findings(account_exists=True))

    async def test_look_up_finds_all_at_once(self):
        """One question tells the invite, the state of the name, and the counts, in order."""
        invite = await self.invite("token")
        reserving = await self.invite(username="romeo")
        one, two = counter("one"), counter("two")
        await self.store.hit(DOMAIN, (two,), self.now)
        first = self.now
        self.advance(HOUR / 2)
        await self.store.hit(DOMAIN, (two,), self.now)
        found = await self.look_up(
            digest=token_digest("token"), username="romeo", counters=(one, two)
        )
        self.assertEqual(
            found,
            Findings(
                invite=invite,
                reserved_for=reserving.id,
                tallies=(Tally(), Tally(count=2, oldest=first)),
            ),
        )

    async def test_look_up_of_parts(self):
        """An invite is found by its token, and what is not there is no error."""
        invite = await self.invite("token")
        self.assertEqual(
            await self.look_up(digest=token_digest("token")), Findings(invite=invite)
        )
        self.assertEqual(await self.look_up(digest=token_digest("other")), Findings())
        self.assertEqual(await self.look_up(username="x"), Findings())
        self.assertEqual(await self.look_up(), Findings())

    async def test_list(self):
        """Invites are listed page by page in the order of their making."""
        made = [await self.invite(id=name) for name in ("c", "a", "d", "b")]
        await self.invite(domain="example.org")
        self.assertEqual(await self.store.list_invites(DOMAIN, self.now), made)
        page = await self.store.list_invites(DOMAIN, self.now, limit=2, after="c")
        self.assertEqual(page, made[1:3])
        self.assertEqual(await self.store.list_invites(DOMAIN, self.now, after="b"), [])
        await self.refused(self.store.list_invites(DOMAIN, self.now, after="x"), NotFound)

    async def test_list_by_status(self):
        """Each invite is listed under the one status that it has at that time."""
        used = await self.invite()
        await self.redeem("romeo", used)
        revoked = await self.invite(uses_allowed=3)
        await self.redeem("juliet", revoked)
        await self.store.revoke_invite(DOMAIN, revoked.id, self.now)
        short = await self.invite(expires_at=self.now + HOUR)
        endless = await self.invite(uses_allowed=None, expires_at=None)
        expected = {
            Status.USED: [used.id],
            Status.REVOKED: [revoked.id],
            Status.PENDING: [short.id, endless.id],
            Status.EXPIRED: [],
        }
        self.assertEqual(await self._ids_by_status(), expected)
        self.advance(HOUR)
        expected |= {Status.PENDING: [endless.id], Status.EXPIRED: [short.id]}
        self.assertEqual(await self._ids_by_status(), expected)

    async def _ids_by_status(self):
        return {
            status: [i.id for i in await self.store.list_invites(DOMAIN, self.now, status)]
            for status in Status
        }

    async def test_edit(self):
        """What is named is changed, the rest stays."""
        invite = await self.invite(roles=("a",))
        edited = await self.store.edit_invite(
            DOMAIN,
            invite.id,
            changes(uses_allowed=None, expires_at=None, note="n"),
            self.now,
            "cli",
        )
        self.assertEqual(
            (edited.uses_allowed, edited.expires_at, edited.note, edited.roles),
            (None, None, "n", ("a",)),
        )
        self.assertEqual(await self.get(invite), edited)
        self.assertEqual(
            await self.store.edit_invite(DOMAIN, invite.id, changes(), self.now, "cli"), edited
        )

    async def test_edit_refused(self):
        """An invite that is over is not edited, nor below the uses that it has had."""
        edit = self.store.edit_invite
        await self.refused(edit(DOMAIN, "x", changes(note="n"), self.now, "cli"), NotFound)
        shared = await self.invite(uses_allowed=3)
        await self.redeem("romeo", shared)
        for uses in (0, 1):
            change = changes(uses_allowed=uses, note="n")
            await self.refused(edit(DOMAIN, shared.id, change, self.now, "cli"), InvalidRequest)
        self.assertEqual((await self.get(shared)).note, "")
        await self.store.revoke_invite(DOMAIN, shared.id, self.now)
        used = await self.invite()
        await self.redeem("juliet", used)
        for over in (shared, used):
            for change in (changes(note="n"), changes()):
                await self.refused(
                    edit(DOMAIN, over.id, change, self.now, "cli"), InvalidRequest
                )

    async def test_fixed_username_has_one_use(self):
        """An invite that fixes a username stays good for one use."""
        invite = await self.invite(username="romeo")
        for uses in (2, None):
            change = changes(uses_allowed=uses)
            await self.refused(
                self.store.edit_invite(DOMAIN, invite.id, change, self.now, "cli"),
                InvalidRequest,
            )
        await self.store.edit_invite(
            DOMAIN, invite.id, changes(uses_allowed=1), self.now, "cli"
        )

    async def test_edited_expiry_moves_the_reservation(self):
        """The name is reserved exactly as long as the edited invite lives."""
        invite = await self.invite(username="romeo", expires_at=self.now + HOUR)
        later = changes(expires_at=self.now + 3 * HOUR)
        await self.store.edit_invite(DOMAIN, invite.id, later, self.now, "cli")
        self.advance(2 * HOUR)
        await self.refused(self.redeem("romeo"), UsernameReserved)
        await self.store.edit_invite(
            DOMAIN, invite.id, changes(expires_at=self.now), self.now, "cli"
        )
        self.assertEqual(await self.look_up(username="romeo"), Findings())
        endless = changes(expires_at=None)
        await self.store.edit_invite(DOMAIN, invite.id, endless, self.now, "cli")
        self.advance(1000 * WEEK)
        self.assertEqual((await self.look_up(username="romeo")).reserved_for, invite.id)

    async def test_edited_expiry_finds_the_name_gone(self):
        """An expired invite is not prolonged when its name has gone to somebody else."""
        first, second = [
            await self.invite(username=name, expires_at=self.now + HOUR)
            for name in ("romeo", "juliet")
        ]
        self.advance(HOUR)
        await self.redeem("romeo")
        await self.invite(username="juliet")
        change, edit = changes(expires_at=None, note="n"), self.store.edit_invite
        await self.refused(edit(DOMAIN, first.id, change, self.now, "cli"), UsernameTaken)
        await self.refused(edit(DOMAIN, second.id, change, self.now, "cli"), UsernameReserved)
        self.assertEqual(await self.get(first), first)
        note = await edit(DOMAIN, first.id, changes(note="n"), self.now, "cli")
        self.assertEqual(note.note, "n")
        await edit(DOMAIN, second.id, changes(expires_at=self.now), self.now, "cli")

    async def test_renew(self):
        """A renewed invite opens with its new token, and with that alone."""
        invite = await self.invite("old", username="romeo")
        renewed = await self.store.renew_invite(
            DOMAIN, invite.id, token_digest("new"), self.now, "api:key"
        )
        self.assertEqual(renewed, replace(invite, source="api:key"))
        self.assertIsNone((await self.look_up(digest=token_digest("old"))).invite)
        self.assertEqual((await self.look_up(digest=token_digest("new"))).invite, renewed)
        await self.redeem("romeo", invite)

    async def test_renew_refused(self):
        """Only a pending invite gets a new token."""
        used, revoked = await self.invite(), await self.invite()
        expired = await self.invite(expires_at=self.now + HOUR)
        await self.redeem("romeo", used)
        await self.store.revoke_invite(DOMAIN, revoked.id, self.now)
        self.advance(HOUR)
        renew, digest = self.store.renew_invite, token_digest("new")
        for over in (used, revoked, expired):
            await self.refused(renew(DOMAIN, over.id, digest, self.now, "cli"), InvalidRequest)
        await self.refused(renew(DOMAIN, "x", digest, self.now, "cli"), NotFound)

    async def test_revoke(self):
        """A revoked invite opens nothing more, and stays revoked as of the first time."""
        invite = await self.invite(uses_allowed=2)
        await self.redeem("romeo", invite)
        revoked = await self.store.revoke_invite(DOMAIN, invite.id, self.now)
        await self.refused(self.redeem("juliet", invite), InvalidInvite)
        self.advance(HOUR)
        again = await self.store.revoke_invite(DOMAIN, invite.id, self.now)
        self.assertEqual(again, revoked)

    async def test_revoke_expired(self):
        """An expired invite can be revoked: it stays expired, and cannot come back then."""
        invite = await self.invite(expires_at=self.now + HOUR)
        other = await self.invite(expires_at=self.now + HOUR)
        await self.store.revoke_invite(DOMAIN, other.id, self.now + HOUR - TICK)
        for time in (HOUR, HOUR, 1000 * WEEK):
            self.advance(time)
            revoked = await self.store.revoke_invite(DOMAIN, invite.id, self.now)
            self.assertIs(revoked.status(self.now), Status.EXPIRED)
            self.assertEqual(
                await self._ids_by_status(),
                {
                    Status.PENDING: [],
                    Status.USED: [],
                    Status.EXPIRED: [invite.id],
                    Status.REVOKED: [other.id],
                },
            )
            counted = await self.store.count_invites(DOMAIN, self.now)
            self.assertEqual(counted, {Status.EXPIRED: 1, Status.REVOKED: 1})
        # A stream that has shown its token in time is stopped all the same.
        await self.refused(self.redeem("romeo", invite), InvalidInvite)
        endless = changes(expires_at=None)
        await self.refused(
            self.store.edit_invite(DOMAIN, invite.id, endless, self.now, "cli"), InvalidRequest
        )

    async def test_status_is_one(self):
        """Whatever has become of an invite, lists find it where it says itself that it is."""
        moments = (None, self.now, self.now + HOUR, self.now + 2 * HOUR)
        for expires_at, revoked_at in product(moments, moments):
            for uses in (0, 1):
                await self.invite(expires_at=expires_at, revoked_at=revoked_at, uses=uses)
        for _ in range(4):
            everything = await self.store.list_invites(DOMAIN, self.now, limit=99)
            expected = {status: [] for status in Status}
            for invite in everything:
                expected[invite.status(self.now)].append(invite.id)
            self.assertEqual(await self._ids_by_status(), expected)
            counted = {status: len(ids) for status, ids in expected.items() if ids}
            self.assertEqual(await self.store.count_invites(DOMAIN, self.now), counted)
            self.advance(HOUR)

    async def test_revoke_refused(self):
        """There is nothing to revoke about an invite that is used up or unknown."""
        invite = await self.invite()
        await self.redeem("romeo", invite)
        revoke = self.store.revoke_invite
        await self.refused(revoke(DOMAIN, invite.id, self.now), InvalidRequest)
        await self.refused(revoke(DOMAIN, "x", self.now), NotFound)
