"""What any store does with accounts."""

from datetime import timedelta

from invitereg.errors import InvalidInvite, InvalidRequest, NotFound
from invitereg.interfaces.queries import InviteChanges, SessionEnd
from invitereg.model.invites import Kind
from tests.contracts.store_case import DOMAIN, HOUR, StoreCase


class AccountContract(StoreCase):
    async def test_unknown_account(self):
        """An account that is not there, or is another domain's, is None."""
        await self.redeem("romeo")
        self.assertIsNone(await self.account("juliet"))
        self.assertIsNone(await self.store.get_account("example.org", "romeo"))

    async def test_list_accounts(self):
        """Accounts are listed page by page, by name."""
        for username in ("c", "a", "d", "b"):
            await self.redeem(username)
        names = [a.username for a in await self.store.list_accounts(DOMAIN)]
        self.assertEqual(names, ["a", "b", "c", "d"])
        page = await self.store.list_accounts(DOMAIN, limit=2, after="a")
        self.assertEqual([a.username for a in page], ["b", "c"])
        self.assertEqual(page[0], await self.account("b"))
        self.assertEqual(await self.store.list_accounts("example.org"), [])

    async def test_delete(self):
        """A deleted account is gone, and its sessions end."""
        await self.redeem("romeo")
        self.advance(HOUR)
        await self.store.delete_account(DOMAIN, "romeo", self.now)
        self.assertIsNone(await self.account("romeo"))
        end = SessionEnd(number=1, domain=DOMAIN, username="romeo", at=self.now)
        self.assertEqual(await self.store.session_ends(0), [end])
        again = self.store.delete_account(DOMAIN, "romeo", self.now)
        await self.refused(again, NotFound)

    async def test_delete_revokes_resets(self):
        """A reset of a deleted account never opens the account that has its name later."""
        await self.redeem("romeo")
        used, pending = [await self.invite(kind=Kind.RESET, username="romeo") for _ in range(2)]
        expired = await self.invite(
            kind=Kind.RESET, username="romeo", expires_at=self.now + HOUR
        )
        await self.reset("romeo", used)
        self.advance(HOUR)
        await self.store.delete_account(DOMAIN, "romeo", self.now)
        await self.redeem("romeo", operator=True)
        for invite in (pending, expired):
            await self.refused(self.reset("romeo", invite), InvalidInvite)
            change = InviteChanges(values={"expires_at": None})
            edited = self.store.edit_invite(DOMAIN, invite.id, change, self.now, "cli")
            await self.refused(edited, InvalidRequest)
        self.assertIsNone((await self.get(used)).revoked_at)

    async def test_change_roles(self):
        """Roles are added and removed, and kept sorted."""
        await self.redeem("romeo", roles=("z", "b"))
        account = await self.store.change_roles(
            DOMAIN, "romeo", frozenset({"a", "z"}), frozenset({"b", "x"})
        )
        self.assertEqual(account.roles, ("a", "z"))
        self.assertEqual(await self.account("romeo"), account)
        nobody = self.store.change_roles(DOMAIN, "x", frozenset({"a"}), frozenset())
        await self.refused(nobody, NotFound)

    async def test_session_ends(self):
        """A service that remembers the last number it saw gets what came after it."""
        self.assertEqual(await self.store.session_ends(None), [])
        for username in ("a", "b", "c"):
            await self.redeem(username)
            await self.store.delete_account(DOMAIN, username, self.now)
        everything = await self.store.session_ends(0)
        self.assertEqual([end.username for end in everything], ["a", "b", "c"])
        self.assertEqual(await self.store.session_ends(None), everything[2:])
        after = await self.store.session_ends(everything[0].number)
        self.assertEqual(after, everything[1:])

    async def test_purge_session_ends(self):
        """What is old goes, a few at a time and the oldest first; what is new stays."""
        for number in range(5):
            await self.redeem(f"user{number}")
            await self.store.delete_account(DOMAIN, f"user{number}", self.now)
            self.advance(timedelta(hours=1))
        before = self.now - timedelta(hours=2)
        removed = [await self.store.purge_session_ends(before, 2) for _ in range(3)]
        self.assertEqual(removed, [2, 2, 0])
        (end,) = await self.store.session_ends(0)
        self.assertEqual(end.username, "user4")
        await self.redeem("next")
        await self.store.delete_account(DOMAIN, "next", self.now)
        (after,) = await self.store.session_ends(end.number)
        self.assertEqual(after.username, "next")

    async def test_server_key(self):
        """The server's secret has 32 bytes, and is the same each time."""
        key = await self.store.server_key()
        self.assertEqual(len(key), 32)
        self.assertEqual(await self.store.server_key(), key)

    async def test_signing_key(self):
        """The secret that signs is another one, of 32 bytes, and the same each time."""
        keys = {await self.store.signing_key() for _ in range(3)}
        self.assertEqual([len(key) for key in keys], [32])
        self.assertNotIn(await self.store.server_key(), keys)
