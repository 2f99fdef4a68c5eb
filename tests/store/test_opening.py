"""Opening the database: a new one, one that is there, and one that cannot be used."""

import contextlib
import os
import sqlite3
import subprocess
import sys

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from invitereg.errors import StoreError
from invitereg.runtime.threads import Inline
from invitereg.store import schema, sqlite
from invitereg.store.database import open_database
from invitereg.store.sqlite import FILE_NAME, copy_before_upgrade
from invitereg.store.tables import metadata
from tests.store.database_case import DatabaseCase

_OPEN = """
import sys
from pathlib import Path
from invitereg.store.database import open_database
from invitereg.store.store import Store
from invitereg.runtime.threads import Inline
database = open_database(Path(sys.argv[1]), Inline())
Store(database).server_key().addCallback(lambda key: print(key.hex()))
print("alembic" in sys.modules)
"""


@pytest.mark.slow
class OpeningTests(DatabaseCase):
    def refusal(self, data_dir=None):
        """The one line that says why a folder's database cannot be opened."""
        with self.assertRaises(StoreError) as caught:
            open_database(data_dir or self.data_dir, Inline())
        self.assertNotIn("\n", str(caught.exception))
        return str(caught.exception)

    def start(self, data_dir):
        """Another process that opens the database and tells its key."""
        return subprocess.Popen(
            [sys.executable, "-c", _OPEN, str(data_dir)], stdout=subprocess.PIPE, text=True
        )

    def test_private(self):
        """Nobody but the service's user can read what is stored."""
        self.data_dir /= "new"
        self.use_store(self.open_inline())
        self.successResultOf(self.store.hit("example.com", (), self.now))
        modes = {path.name: path.stat().st_mode & 0o777 for path in self.data_dir.iterdir()}
        self.assertEqual(modes["invitereg.db"], 0o600)
        self.assertEqual(set(modes.values()), {0o600})
        self.assertEqual(self.data_dir.stat().st_mode & 0o777, 0o700)

    def test_folder_of_another(self):
        """Root makes no database where the owner of the folder could not write it."""
        self.data_dir.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            os.chown(self.data_dir, 65534, -1)
        else:
            self.patch(sqlite.os, "geteuid", lambda: 0)
        text = self.refusal()
        self.assertIn("Run this as ", text)
        self.assertIn("runuser -u", text)
        self.assertIn("Run this as ", self.refusal(self.data_dir / "new"))
        self.assertEqual(list(self.data_dir.iterdir()), [])

    def test_settings(self):
        """What is committed is on the disk, and readers do not wait for writers."""
        database = self.open_inline()

        def pragmas(connection):
            names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

        found = self.successResultOf(database.read(pragmas))
        self.assertEqual(found, ["wal", 2, 1, 10_000])

    def test_nothing_stays_open(self):
        """A daemon that forks after opening shares no connection with its parent."""
        self.assertEqual(self.open_inline().engine.pool.checkedin(), 0)

    def test_kept(self):
        """What was stored is there after a restart, the server's key among it."""
        self.use_store(self.open_inline())
        key = self.successResultOf(self.store.server_key())
        signing = self.successResultOf(self.store.signing_key())
        self.database.close()
        self.use_store(self.open_inline())
        self.assertEqual(self.successResultOf(self.store.server_key()), key)
        self.assertEqual(self.successResultOf(self.store.signing_key()), signing)

    def test_processes_that_start_at_once(self):
        """Several processes that find no database make one, not several."""
        starting = [self.start(self.data_dir / "new") for _ in range(3)]
        printed = [process.communicate()[0].split() for process in starting]
        self.assertEqual({process.returncode for process in starting}, {0})
        self.assertEqual(len({key for key, _ in printed}), 1)
        # Who finds it made does not even load what makes it: one process only did.
        self.assertEqual(sorted(loaded for _, loaded in printed), ["False", "False", "True"])

    def test_file_in_place_of_folder(self):
        """The operator is told which folder is missing."""
        place = self.data_dir / "file"
        place.touch()
        for data_dir in (place, place / "below", self.data_dir / "missing" / "below"):
            self.assertIn(f"data_dir {data_dir} is not a folder", self.refusal(data_dir))

    def test_folder_in_place_of_file(self):
        """The operator is told that the file cannot be opened."""
        self.path.mkdir()
        self.assertIn(f"{self.path} cannot be opened", self.refusal())

    def test_damaged(self):
        """The operator is told that the file is damaged, and what to do about it."""
        self.path.write_text("This is no database. " * 100)
        self.assertIn(f"{self.path} is damaged or no database", self.refusal())
        self.assertIn("restore it from a backup", self.refusal())

    def test_malformed(self):
        """A file that begins well and goes on as noise is damaged, too."""
        self.open_inline().close()
        content = self.path.read_bytes()
        self.path.write_bytes(content[:100] + b"\xff" * (len(content) - 100))
        self.assertIn(f"{self.path} is damaged or no database", self.refusal())

    def test_newer(self):
        """An older program leaves a newer database alone, and says why."""
        self.open_inline().close()
        with sqlite3.connect(self.path) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.close()
        before = self.path.read_bytes()
        self.assertIn("written by a newer invitereg (schema 9999)", self.refusal())
        self.assertEqual(self.path.read_bytes(), before)

    def test_interrupted_upgrade(self):
        """An upgrade that fails leaves the database as it was, and can be tried again."""

        def fail(connection):
            connection.exec_driver_sql("CREATE TABLE half (done)")
            raise KeyboardInterrupt

        patch = self.patch(schema, "_migrate", fail)
        with self.assertRaises(KeyboardInterrupt):
            open_database(self.data_dir, Inline())
        patch.restore()
        self.use_store(self.open_inline())
        found = self.database.engine.connect()
        self.addCleanup(found.close)
        tables = found.exec_driver_sql("SELECT name FROM sqlite_master").scalars().all()
        self.assertNotIn("half", tables)


class UpgradeTests(DatabaseCase):
    """What is there before an upgrade is kept as a copy."""

    def setUp(self):
        super().setUp()
        self.use_store(self.open_inline())
        self.key = self.successResultOf(self.store.server_key())
        self.database.close()
        self.old = schema.REVISIONS[-1]
        self.copy = copy_before_upgrade(self.path, self.old)

    def make_newer(self, migrate):
        """A program with one revision more, which ``migrate`` leads to."""
        self.patch(schema, "REVISIONS", (*schema.REVISIONS, "9998"))
        self.patch(schema, "_migrate", migrate)

    def tables(self, path):
        with contextlib.closing(sqlite3.connect(path)) as connection:
            rows = connection.execute("SELECT name FROM sqlite_master").fetchall()
            (version,) = connection.execute(
                "SELECT version_num FROM alembic_version"
            ).fetchone()
        return {name for (name,) in rows}, version

    @staticmethod
    def migrate(connection):
        connection.exec_driver_sql("CREATE TABLE more (x)")
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9998'")

    def test_no_upgrade(self):
        """A new database, and one that is up to date, are not copied."""
        self.open_inline()
        self.assertEqual(list(self.data_dir.glob("*schema*")), [])

    def test_copy(self):
        """The copy is the database as it was, private, and a good one to go back to."""
        self.make_newer(self.migrate)
        self.open_inline().close()
        self.assertEqual(self.tables(self.path)[1], "9998")
        tables, version = self.tables(self.copy)
        self.assertEqual(version, self.old)
        self.assertNotIn("more", tables)
        self.assertEqual(self.copy.stat().st_mode & 0o777, 0o600)
        self.open_inline().close()  # and nothing is done twice
        self.assertEqual(self.tables(self.copy)[1], self.old)

    def test_way_back(self):
        """The copy in the place of the database serves the older program."""
        program = schema.REVISIONS, schema._migrate
        self.make_newer(self.migrate)
        self.open_inline().close()
        schema.REVISIONS, schema._migrate = program
        self.copy.replace(self.path)
        for leftover in self.data_dir.glob("*.db-*"):
            leftover.unlink()
        self.use_store(self.open_inline())
        self.assertEqual(self.successResultOf(self.store.server_key()), self.key)

    def test_no_room(self):
        """What cannot be copied is not upgraded, and nothing half-done is left."""
        self.make_newer(self.migrate)
        self.copy.with_suffix(".unfinished").mkdir()
        with self.assertRaises(StoreError) as caught:
            open_database(self.data_dir, Inline())
        self.assertIn(f"cannot be copied to {self.copy}", str(caught.exception))
        self.assertEqual(self.tables(self.path)[1], self.old)

    def test_tried_again(self):
        """After an upgrade that failed, the copy is made anew with what came in between."""

        def fail(connection):
            raise KeyboardInterrupt

        self.make_newer(fail)
        with self.assertRaises(KeyboardInterrupt):
            open_database(self.data_dir, Inline())
        with contextlib.closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("CREATE TABLE meanwhile (x)")
        self.patch(schema, "_migrate", self.migrate)
        self.open_inline().close()
        self.assertIn("meanwhile", self.tables(self.copy)[0])

    def test_from_every_revision(self):
        """A database of any earlier version becomes the one the program is written for."""
        for revision in schema.REVISIONS[:-1]:
            self.data_dir = self.folder()
            path = self.data_dir / FILE_NAME
            config = Config()
            config.set_main_option("script_location", schema.__path__[0])
            engine = create_engine(f"sqlite:///{path}")
            with engine.begin() as connection:
                config.attributes["connection"] = connection
                command.upgrade(config, revision)
            engine.dispose()
            with self.open_inline().engine.connect() as connection:
                context = MigrationContext.configure(connection, opts={"compare_type": True})
                self.assertEqual(compare_metadata(context, metadata), [])
            self.assertEqual(self.tables(copy_before_upgrade(path, revision))[1], revision)


class SchemaTests(DatabaseCase):
    def test_migrations_make_the_tables(self):
        """The upgraded database is the one that the program is written for."""
        connection = self.open_inline().engine.connect()
        self.addCleanup(connection.close)
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        self.assertEqual(compare_metadata(context, metadata), [])

    def test_revisions(self):
        """The list of revisions is that of the migrations."""
        config = Config()
        config.set_main_option("script_location", schema.__path__[0])
        scripts = ScriptDirectory.from_config(config).walk_revisions()
        self.assertEqual(tuple(s.revision for s in scripts)[::-1], schema.REVISIONS)
