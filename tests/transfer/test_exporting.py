"""An export while something is under way at a server that keeps accounts."""

from twisted.internet.defer import Deferred

from invitereg.errors import InvalidRequest
from invitereg.runtime.threads import Inline
from invitereg.store.database import open_database
from invitereg.store.store import Store
from invitereg.transfer.exporting import export_all
from tests.contracts.store_case import DOMAIN, StoreCase


class OpenWorkTests(StoreCase):
    def setUp(self):
        super().setUp()
        self.database = open_database(self.folder(), Inline())
        self.addCleanup(self.database.close)
        self.store = Store(self.database)

    async def export(self):
        return await self.database.read(lambda connection: export_all(connection, bytes))

    async def test_refused(self):
        """Nothing is written that is neither done nor undone."""
        lease = await self.store.reserve(self.redemption(contact="romeo"), self.now)
        said = await self.refused(Deferred.fromCoroutine(self.export()), InvalidRequest)
        self.assertIn(f"accounts of {DOMAIN}.", str(said))
        await self.store.complete(lease.number)
        await self.refused(Deferred.fromCoroutine(self.export()), InvalidRequest)
        [job] = await self.store.take_jobs(DOMAIN, "node", self.now, self.now)
        await self.store.finish_job(job.number)
        self.assertEqual((await self.export())["accounts"], 1)
