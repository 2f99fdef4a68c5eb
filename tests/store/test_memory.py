"""A database in memory, as tests have it, and who keeps nothing."""

import gc
import sys
import threading
import weakref

from sqlalchemy import delete, insert
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from invitereg.errors import Unavailable
from invitereg.model.invites import Status
from invitereg.store import schema
from invitereg.store.database import open_memory
from invitereg.store.rows import account_row
from invitereg.store.store import Store
from invitereg.store.tables import accounts, settings
from invitereg.testing import START, make_account, make_invite, memory_store

_NO_NAME = insert(accounts).values(account_row(make_account()))
_FORGET = delete(settings)


class MemoryTests(SynchronousTestCase):
    def setUp(self):
        self.store = memory_store()

    def test_apart(self):
        """What one store has, another has not: neither invites nor the secret."""
        other = memory_store()
        self.successResultOf(self.store.create_invite(make_invite(), b"digest"))
        found = [self.successResultOf(s.list_invites("example.com", START, Status.PENDING))
                 for s in (self.store, other)]  # fmt: skip
        self.assertEqual([len(invites) for invites in found], [1, 0])
        keys = [self.successResultOf(store.server_key()) for store in (self.store, other)]
        self.assertNotEqual(*keys)
        self.assertEqual([len(key) for key in keys], [32, 32])
        signing = [self.successResultOf(s.signing_key()) for s in (self.store, other)]
        self.assertNotEqual(*signing)

    def test_two_views(self):
        """A second store on the database is another view of the same."""
        self.successResultOf(self.store.create_invite(make_invite(id="i"), b"digest"))
        other = Store(self.store.database)
        self.assertEqual(self.successResultOf(other.get_invite("example.com", "i")).id, "i")

    def test_migrated_once(self):
        """Only the first one in a process is migrated."""
        self.patch(schema, "upgrade", lambda *_: self.fail("migrated again"))
        self.assertEqual(self.successResultOf(memory_store().list_usernames("x")), [])

    def test_compiled_once(self):
        """What one has asked need not be compiled for the next, which asks for itself."""
        stores = (self.store, memory_store())
        caches = [s.database.engine.get_execution_options()["compiled_cache"] for s in stores]
        self.assertIs(*caches)
        compiled = []
        for store in stores:
            note = f"of {stores.index(store)}"
            for name in ("i", "j"):
                invite = make_invite(id=name, note=note)
                self.successResultOf(store.create_invite(invite, name.encode()))
            found = self.successResultOf(store.get_invite("example.com", "j"))
            self.assertEqual(found.note, note)
            compiled.append(len(caches[0]))
        self.assertGreater(compiled[0], 0)
        self.assertEqual(*compiled)

    def test_foreign_keys(self):
        """It refuses what the file refuses: an account without its name."""
        names = self.store.database.write(lambda connection: connection.execute(_NO_NAME))
        with capturedLogs():
            self.failureResultOf(names, Unavailable)
        found = self.store.list_accounts("example.com")
        self.assertEqual(self.successResultOf(found), [])

    def test_reads_write_nothing(self):
        """A job that writes is run as a write."""
        reading = self.store.database.read(lambda connection: connection.execute(_FORGET))
        with capturedLogs():
            self.failureResultOf(reading, Unavailable)
        self.assertEqual(len(self.successResultOf(self.store.server_key())), 32)

    def test_closed(self):
        """One that is closed is no empty one: whoever still asks is told that it fails."""
        self.successResultOf(self.store.create_invite(make_invite(), b"digest"))
        self.store.database.close()
        for _ in range(2):
            self.failureResultOf(self.store.server_key(), Unavailable)
            asked = self.store.create_invite(make_invite(), b"other")
            self.failureResultOf(asked, Unavailable)

    def test_closed_unused(self):
        """So is one that nobody has used."""
        database = open_memory()
        database.close()
        self.failureResultOf(Store(database).server_key(), Unavailable)

    def test_other_thread(self):
        """Whoever asks in another thread is refused; SQLite would crash the process."""
        asked = []
        thread = threading.Thread(target=lambda: asked.append(self.store.server_key()))
        thread.start()
        thread.join()
        self.failureResultOf(asked[0], Unavailable)
        self.assertEqual(len(self.successResultOf(self.store.server_key())), 32)

    def test_forgotten_in_another_thread(self):
        """Garbage may be collected anywhere, and nothing is said about it."""
        said, kept = [], [open_memory()]
        self.patch(sys, "excepthook", lambda *error: said.append(error))
        self.patch(sys, "unraisablehook", said.append)
        engine = weakref.ref(kept[0].engine)

        def forget():
            kept.clear()
            gc.collect()

        thread = threading.Thread(target=forget)
        thread.start()
        thread.join()
        self.assertIsNone(engine())
        self.assertEqual(said, [])

    def test_forgotten(self):
        """Whoever does not close one has it closed when it is forgotten."""
        database = open_memory()
        engine = weakref.ref(database.engine)
        with database.engine.connect() as connection:
            raw = connection.connection.dbapi_connection
        del database, connection
        gc.collect()
        self.assertIsNone(engine())
        with self.assertRaisesRegex(Exception, "closed"):
            raw.execute("SELECT 1")
