"""What any store does with notices."""

from dataclasses import replace

from invitereg.errors import UsernameTaken
from invitereg.model.invites import Use
from invitereg.policy.notices import Notice, NoticeKind
from tests.contracts.store_case import DOMAIN, HOUR, StoreCase

MOST = 100


class NoticeContract(StoreCase):
    def about(self, use: Use, *watchers: str, welcome: bool = False) -> tuple[Notice, ...]:
        told = [(watcher, NoticeKind.REGISTRATION) for watcher in watchers]
        if welcome:
            told.append((use.username, NoticeKind.WELCOME))
        return tuple(
            Notice(domain=DOMAIN, username=username, kind=kind, use=use)
            for username, kind in told
        )

    async def register(self, username: str, *watchers: str, welcome: bool = False) -> Use:
        redemption = self.redemption(username)
        notices = self.about(redemption.use, *watchers, welcome=welcome)
        await self.store.redeem(replace(redemption, notices=notices))
        return redemption.use

    async def told(self, username: str) -> list[tuple[NoticeKind, str]]:
        """Of what an account is still to be told, with whose registration it is."""
        found = await self.store.notices_of(DOMAIN, username)
        return [(notice.kind, notice.use.username) for notice in found]

    async def test_written_with_the_registration(self) -> None:
        """Each watcher and the newcomer have a notice, with all that the history knows."""
        use = await self.register("juliet", "romeo", "nurse", welcome=True)
        found = await self.store.notices_after(0, 10)
        self.assertEqual([one.number for one in found], [1, 2, 3])
        self.assertEqual(
            [replace(one, number=0) for one in found],
            list(self.about(use, "romeo", "nurse", welcome=True)),
        )
        self.assertEqual(await self.store.notices_of(DOMAIN, "nurse"), found[1:2])
        self.assertEqual(await self.store.notices_of("example.org", "nurse"), [])

    async def test_none_for_what_was_refused(self) -> None:
        """A registration that comes to nothing is told to nobody."""
        await self.register("juliet")
        redemption = self.redemption("juliet")
        notices = self.about(redemption.use, "romeo")
        again = self.store.redeem(replace(redemption, notices=notices))
        await self.refused(again, UsernameTaken)
        self.assertEqual(await self.store.notices_after(0, 10), [])

    async def test_after(self) -> None:
        """A service that remembers the last number it saw gets what came after it."""
        for username in ("a", "b", "c"):
            await self.register(username, "romeo")
        found = await self.store.notices_after(1, 1)
        self.assertEqual([one.use.username for one in found], ["b"])
        self.assertEqual(await self.store.notices_after(3, 10), [])
        (last,) = await self.store.notices_after(None, 10)
        self.assertEqual(last.number, 3)

    async def test_tries(self) -> None:
        """A notice may be sent three times; of one that is gone nothing is counted."""
        for username in ("a", "b"):
            await self.register(username, "romeo")
        self.assertEqual(await self.store.try_notices([1]), [1])
        for _ in range(2):
            self.assertEqual(sorted(await self.store.try_notices([1, 2, 77])), [1, 2])
        self.assertEqual(await self.store.try_notices([1, 2]), [2])
        self.assertEqual(await self.store.try_notices([2, 1]), [])
        self.assertEqual(await self.store.try_notices([]), [])
        self.assertEqual(len(await self.told("romeo")), 2)

    async def test_remove(self) -> None:
        """What was told is not told again; numbers that are gone are no error."""
        for username in ("a", "b", "c"):
            await self.register(username, "romeo")
        await self.store.remove_notices([1, 3, 77])
        await self.store.remove_notices([])
        self.assertEqual(await self.told("romeo"), [(NoticeKind.REGISTRATION, "b")])
        await self.register("d", "romeo")
        (last,) = await self.store.notices_after(3, 10)
        self.assertEqual(last.use.username, "d")

    async def test_bounded(self) -> None:
        """A watcher who is never there is told of the latest, and welcomed all the same."""
        await self.register("romeo", welcome=True)
        for number in range(MOST + 2):
            await self.register(f"u{number:03}", "romeo", "nurse")
        told = await self.told("romeo")
        self.assertEqual(len(told), MOST + 1)
        self.assertEqual(told[0], (NoticeKind.WELCOME, "romeo"))
        self.assertEqual(told[1], (NoticeKind.REGISTRATION, "u002"))
        self.assertEqual(len(await self.told("nurse")), MOST)

    async def test_tells_no_forgotten_address(self) -> None:
        """A notice tells no address that the history has forgotten."""
        await self.register("juliet", "romeo")
        self.advance(HOUR)
        await self.store.forget_addresses(DOMAIN, self.now, 10)
        (notice,) = await self.store.notices_of(DOMAIN, "romeo")
        self.assertIsNone(notice.use.address)
        self.assertEqual(await self.store.notices_after(0, 1), [notice])

    async def test_purge_notices(self) -> None:
        """What nobody has come for is forgotten after a time, a few at once."""
        for username in ("a", "b", "c"):
            await self.register(username, "romeo", welcome=True)
            self.advance(HOUR)
        before = self.now - 2 * HOUR
        removed = [await self.store.purge_notices(before, 3) for _ in range(3)]
        self.assertEqual(removed, [3, 1, 0])
        found = await self.store.notices_after(0, 10)
        self.assertEqual({one.use.username for one in found}, {"c"})

    async def test_deleted_account(self) -> None:
        """What an account was to be told is never told to whoever has its name next."""
        await self.register("romeo", welcome=True)
        await self.register("juliet", "romeo", "nurse")
        await self.store.delete_account(DOMAIN, "romeo", self.now)
        self.assertEqual(await self.told("romeo"), [])
        await self.register("paris", "romeo")
        await self.redeem("romeo", operator=True)
        self.assertEqual(await self.told("romeo"), [])
        self.assertEqual(len(await self.told("nurse")), 1)
