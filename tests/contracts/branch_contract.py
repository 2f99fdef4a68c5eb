"""What any store does with what an account has made, and with those who came through it."""

from datetime import timedelta
from typing import Any

from invitereg.errors import InvalidInvite, NotFound
from invitereg.model.invites import Invite, Kind, Status
from tests.contracts.store_case import DOMAIN, HOUR, StoreCase


class BranchContract(StoreCase):
    async def come(self, username: str, inviter: str | None = None) -> None:
        """Register through somebody, a moment after all before."""
        self.advance(timedelta(seconds=1))
        if inviter is None:
            await self.redeem(username)
        else:
            invite = await self.invite(inviter=inviter)
            await self.redeem(username, invite)

    async def statuses(self, *invites: Invite) -> list[str]:
        return [(await self.get(invite)).status(self.now).value for invite in invites]

    async def revoke_branch(self, username: str) -> Any:
        return await self.store.revoke_branch(DOMAIN, username, self.now)

    async def test_delete_revokes_own_invites(self) -> None:
        """A deleted account's links open nothing, and the names they kept are free."""
        await self.come("romeo")
        pending = await self.invite(inviter="romeo", username="benvolio")
        expired = await self.invite(inviter="romeo", expires_at=self.now + HOUR)
        used = await self.invite(inviter="romeo")
        await self.redeem("juliet", used)
        other = await self.invite(inviter="juliet")
        await self.invite(domain="example.org", inviter="romeo", id="elsewhere")
        self.advance(HOUR)
        await self.store.delete_account(DOMAIN, "romeo", self.now)
        self.assertEqual(
            await self.statuses(pending, expired, used, other),
            ["revoked", "expired", "used", "pending"],
        )
        for invite in (pending, expired):
            self.assertEqual((await self.get(invite)).revoked_at, self.now)
        await self.refused(self.redeem("x", pending), InvalidInvite)
        await self.redeem("benvolio")
        elsewhere = await self.store.get_invite("example.org", "elsewhere")
        self.assertIsNone(elsewhere.revoked_at)

    async def test_delete_with_the_password_known(self) -> None:
        """Who asks with a password that was changed meanwhile deletes nothing."""
        await self.come("romeo")
        since = (await self.account("romeo")).credentials.changed_at
        wrong = self.store.delete_account(DOMAIN, "romeo", self.now, since=since + HOUR)
        await self.refused(wrong, NotFound)
        self.assertEqual(await self.usernames(), ["romeo"])
        self.assertEqual(await self.store.session_ends(0), [])
        await self.store.delete_account(DOMAIN, "romeo", self.now, since=since)
        self.assertEqual(await self.store.list_usernames(DOMAIN), [])

    async def test_set_credentials(self) -> None:
        """A new password takes the place of the one it was asked with, and of no other."""
        await self.come("romeo")
        since = (await self.account("romeo")).credentials.changed_at
        self.advance(HOUR)
        await self.store.set_credentials(DOMAIN, "romeo", self.credentials(), since)
        self.assertEqual((await self.account("romeo")).credentials, self.credentials())
        (end,) = await self.store.session_ends(0)
        self.assertEqual((end.username, end.at), ("romeo", self.now))
        again = self.store.set_credentials(DOMAIN, "romeo", self.credentials(), since)
        await self.refused(again, NotFound)
        nobody = self.store.set_credentials(DOMAIN, "juliet", self.credentials(), since)
        await self.refused(nobody, NotFound)
        self.assertEqual(len(await self.store.session_ends(0)), 1)

    async def test_list_usernames(self) -> None:
        """The names of the accounts that are there, in order."""
        for username in ("romeo", "juliet", "nurse"):
            await self.come(username)
        await self.store.delete_account(DOMAIN, "nurse", self.now)
        self.assertEqual(await self.store.list_usernames(DOMAIN), ["juliet", "romeo"])
        self.assertEqual(await self.store.list_usernames("example.org"), [])
        self.assertEqual(await self.store.list_usernames(DOMAIN, deleted=True), ["nurse"])
        self.assertEqual(await self.store.list_usernames("example.org", deleted=True), [])

    async def test_history_tells_inviters(self) -> None:
        """Through whom somebody came is told also when the invite is purged."""
        await self.come("romeo")
        await self.come("juliet", "romeo")
        self.advance(100 * HOUR)
        await self.store.purge_invites(DOMAIN, self.now, 10)
        uses = await self.store.list_uses(DOMAIN)
        found = [(use.username, use.inviter) for use in uses]
        self.assertEqual(found, [("romeo", None), ("juliet", "romeo")])

    async def test_revoke_branch(self) -> None:
        """The open invites of somebody and of all below end; those beside and above stay."""
        await self.come("escalus")
        for username, inviter in (
            ("romeo", "escalus"),
            ("juliet", "romeo"),
            ("nurse", "juliet"),
            ("paris", "escalus"),
        ):
            await self.come(username, inviter)
        below = [
            await self.invite(inviter=inviter, username=f"friend-of-{inviter}")
            for inviter in ("nurse", "romeo", "juliet")
        ]
        beside = [await self.invite(inviter=inviter) for inviter in ("escalus", "paris")]
        mine = await self.invite()
        revoked = await self.revoke_branch("romeo")
        self.assertEqual([invite.id for invite in revoked], [invite.id for invite in below])
        self.assertEqual({invite.revoked_at for invite in revoked}, {self.now})
        self.assertEqual(revoked[0], await self.get(below[0]))
        self.assertEqual(await self.statuses(*below), ["revoked"] * 3)
        self.assertEqual(await self.statuses(*beside, mine), ["pending"] * 3)
        await self.redeem("friend-of-nurse")
        self.assertEqual(await self.revoke_branch("romeo"), [])

    async def test_revoke_branch_past_the_gone(self) -> None:
        """Those who came through an account that is gone, or a purged invite, are reached."""
        await self.come("romeo")
        await self.come("juliet", "romeo")
        await self.come("nurse", "juliet")
        invite = await self.invite(inviter="nurse")
        await self.store.delete_account(DOMAIN, "juliet", self.now)
        self.advance(timedelta(seconds=1))
        await self.store.purge_invites(DOMAIN, self.now, 10)
        self.assertEqual([i.id for i in await self.revoke_branch("romeo")], [invite.id])

    async def test_revoke_branch_expired(self) -> None:
        """An expired invite is revoked as well: prolonged later, it would open again."""
        await self.come("romeo")
        invite = await self.invite(inviter="romeo", expires_at=self.now + HOUR)
        self.advance(HOUR)
        self.assertEqual([i.id for i in await self.revoke_branch("romeo")], [invite.id])

    async def test_revoke_branch_of_names_given_away(self) -> None:
        """A name given to somebody else does not lead into another's branch, nor in circles."""
        await self.come("romeo")
        await self.come("juliet", "romeo")
        await self.store.delete_account(DOMAIN, "romeo", self.now)
        invite = await self.invite(inviter="juliet")
        self.advance(timedelta(seconds=1))
        await self.redeem("romeo", invite, operator=True)
        ours = await self.invite(inviter="romeo")
        self.assertEqual([i.id for i in await self.revoke_branch("romeo")], [ours.id])

    async def test_revoke_branch_without_history(self) -> None:
        """Who has only invited, by the history, has a branch too; a stranger has none."""
        await self.come("juliet", "romeo")
        invite = await self.invite(inviter="juliet")
        self.assertEqual([i.id for i in await self.revoke_branch("romeo")], [invite.id])
        for username in ("tybalt", "benvolio"):
            await self.invite(username=username)
            await self.refused(self.store.revoke_branch(DOMAIN, username, self.now), NotFound)
        await self.refused(self.store.revoke_branch("example.org", "romeo", self.now), NotFound)

    async def test_revoke_branch_of_unmet(self) -> None:
        """Who has an account at another server is known by the invites alone, and ended so."""
        for username, made in (
            ("anna", {"inviter": "anna"}),
            ("bea", {"source": f"adhoc:bea@{DOMAIN}"}),
            ("cleo", {"source": f"web:cleo@{DOMAIN}"}),
        ):
            open_, expired = [
                await self.invite(**made, expires_at=self.now + hours * HOUR)
                for hours in (9, 1)
            ]
            self.advance(HOUR)
            ended = await self.revoke_branch(username)
            self.assertEqual([i.id for i in ended], [open_.id, expired.id])
            self.assertEqual(await self.revoke_branch(username), [])

    async def test_reset_is_no_branch(self) -> None:
        """A password reset tells nothing about who came through whom."""
        await self.come("romeo")
        await self.come("juliet")
        reset = await self.invite(kind=Kind.RESET, username="juliet")
        await self.reset("juliet", reset)
        invite = await self.invite(inviter="juliet")
        self.assertEqual(await self.revoke_branch("romeo"), [])
        self.assertEqual(await self.statuses(invite), [Status.PENDING])
