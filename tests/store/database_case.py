"""A database and its store, in one thread or in several, for tests of what only SQL does."""

from twisted.internet import reactor

from invitereg.runtime.threads import Inline, Threads
from invitereg.store.database import open_database
from invitereg.store.sqlite import FILE_NAME
from invitereg.store.store import Store
from tests.contracts.store_case import StoreCase


class DatabaseCase(StoreCase):
    def setUp(self):
        super().setUp()
        self.data_dir = self.folder()
        self.path = self.data_dir / FILE_NAME

    def open_inline(self):
        """Another process's view of the database: its own connections, at once."""
        database = open_database(self.data_dir, Inline())
        self.addCleanup(database.close)
        return database

    def open_threaded(self):
        threads = Threads(reactor)
        threads.start()
        database = open_database(self.data_dir, threads)
        self.addCleanup(database.close)
        self.addCleanup(threads.stop)
        return database

    def use_store(self, database):
        self.database, self.store = database, Store(database)
