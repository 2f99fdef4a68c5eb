"""Users who ask for many invites at once, in one process and in several."""

from twisted.internet.defer import Deferred, DeferredList

from invitereg.errors import Throttled, TooManyOpenInvites
from invitereg.model.invites import Kind, token_digest
from invitereg.store.store import Store
from invitereg.testing import make_invite
from tests.contracts.quota_contract import quota
from tests.contracts.store_case import DOMAIN, WEEK
from tests.store.database_case import DatabaseCase

TAKERS = 50


class QuotaRaceTests(DatabaseCase):
    def setUp(self):
        super().setUp()
        self.use_store(self.open_threaded())
        self.stores = [self.store, Store(self.open_threaded())]

    def ask(self, store, bound) -> Deferred:
        invite = make_invite(
            kind=Kind.CONTACT,
            inviter=bound.username,
            source=f"adhoc:{bound.username}@{DOMAIN}",
            created_at=self.now,
            expires_at=self.now + WEEK,
        )
        return store.create_invite(invite, token_digest(invite.id), bound)

    async def race(self, bound, error):
        asked = [self.ask(self.stores[number % 2], bound) for number in range(TAKERS)]
        results = await DeferredList(asked, consumeErrors=True)
        errors = {type(result.value) for success, result in results if not success}
        self.assertEqual(errors, {error})
        return sum(success for success, _ in results)

    async def test_open(self):
        """Fifty requests through two processes leave as many open as may be."""
        for username in ("romeo", "juliet", "nurse"):
            won = await self.race(quota(username, most_open=3), TooManyOpenInvites)
            listed = await self.store.list_invites(DOMAIN, self.now, made_by=username)
            self.assertEqual((won, len(listed)), (3, 3))

    async def test_made(self):
        """Fifty requests through two processes make as many as may be made in a period."""
        for username in ("romeo", "juliet", "nurse"):
            bound = quota(username, most_open=None, most_made=4)
            self.assertEqual(await self.race(bound, Throttled), 4)
