"""How writes are committed: together, each by itself, and never by halves."""

import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import contextmanager

from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError
from twisted.internet import reactor
from twisted.internet.defer import DeferredList, gatherResults
from twisted.internet.task import deferLater
from twisted.logger import LogLevel, capturedLogs

from invitereg.errors import InvalidInvite, Unavailable
from invitereg.store.sqlite import let_write
from tests.store.database_case import DatabaseCase


def insert(name):
    """A job that stores a setting of that name."""

    def job(connection):
        connection.execute(text("INSERT INTO settings VALUES (:name, x'00')"), {"name": name})
        return name

    return job


def refused_insert(name):
    """A job that is refused after it has written."""

    def job(connection):
        insert(name)(connection)
        raise InvalidInvite

    return job


def no_disk(statement):
    """What a statement raises when the disk fails."""
    return OperationalError(statement, None, sqlite3.OperationalError("disk I/O error"))


def names(connection):
    """A job: the settings there are, but for the server's key."""
    rows = connection.execute(text("SELECT name FROM settings ORDER BY name"))
    return [row.name for row in rows if row.name != "server_key"]


def trigger(connection):
    """A job: from now on, the setting named ``full`` undoes the whole transaction."""
    connection.execute(
        text(
            "CREATE TRIGGER full BEFORE INSERT ON settings WHEN new.name = 'full' "
            "BEGIN SELECT raise(ROLLBACK, 'database or disk is full'); END"
        )
    )


class DatabaseTests(DatabaseCase):
    def setUp(self):
        super().setUp()
        self.use_store(self.open_threaded())

    @contextmanager
    def statements(self):
        """The statements that the engine executes meanwhile."""
        seen = []

        def note(connection, cursor, statement, *rest):
            seen.append(statement)

        event.listen(self.database.engine, "before_cursor_execute", note)
        yield seen
        event.remove(self.database.engine, "before_cursor_execute", note)

    async def together(self, *jobs):
        """The outcomes of jobs that are in one batch: a list of (success, result)."""
        held, release = threading.Event(), threading.Event()

        def hold(connection):
            held.set()
            release.wait()

        first = self.database.write(hold)
        while not held.is_set():
            await deferLater(reactor, 0)
        rest = DeferredList([self.database.write(job) for job in jobs], consumeErrors=True)
        release.set()
        await first
        return await rest

    async def stored(self):
        """What another connection finds."""
        return await self.database.read(names)

    async def test_one_commit(self):
        """Registrations that come at once cost one write to the disk, not one each."""
        with self.statements() as seen:
            await self.together(*(insert(f"{n}") for n in range(9)))
        # One for the job that held the batch back, one for the batch.
        self.assertEqual((seen.count("BEGIN IMMEDIATE"), seen.count("COMMIT")), (2, 2))
        self.assertEqual(len(await self.stored()), 9)

    async def test_refused_alone(self):
        """A registration that is refused is undone, and its neighbours are not."""
        results = await self.together(insert("a"), refused_insert("b"), insert("c"))
        self.assertEqual([success for success, _ in results], [True, False, True])
        self.assertIsInstance(results[1][1].value, InvalidInvite)
        self.assertEqual(await self.stored(), ["a", "c"])

    async def test_error_of_one(self):
        """A statement that goes wrong fails its job alone, under an id, without its values."""
        with capturedLogs() as events:
            results = await self.together(insert("a"), insert("secret"), insert("secret"))
        self.assertEqual([success for success, _ in results], [True, True, False])
        error = results[2][1].value
        self.assertIsInstance(error, Unavailable)
        [logged] = [e for e in events if e["log_level"] is LogLevel.error]
        self.assertEqual(logged["error_id"], error.error_id)
        self.assertIn("UNIQUE constraint failed", str(logged["cause"]))
        self.assertNotIn("'secret'", repr(logged))

    async def test_answered_after_commit(self):
        """Whoever is told that they are registered is so for every other process, too."""
        other = self.open_inline()
        await self.database.write(insert("a"))
        self.assertEqual(self.successResultOf(other.read(names)), ["a"])

    async def test_failed_commit(self):
        """When a commit fails, all who wait are told so, and nothing was written."""
        armed = []

        def fail(connection, cursor, statement, *rest):
            if statement == "COMMIT" and armed:
                armed.clear()
                raise no_disk(statement)

        event.listen(self.database.engine, "before_cursor_execute", fail)
        with capturedLogs() as events:
            results = await self.together(
                insert("a"), refused_insert("b"), lambda connection: armed.append(True)
            )
        # The refused one, too: what it was refused for may not have happened.
        errors = [result.value for success, result in results]
        self.assertEqual([type(error) for error in errors], 3 * [Unavailable])
        [logged] = [e for e in events if e["log_level"] is LogLevel.error]
        self.assertEqual({error.error_id for error in errors}, {logged["error_id"]})
        self.assertEqual(await self.stored(), [])
        await self.database.write(insert("c"))
        self.assertEqual(await self.stored(), ["c"])

    async def test_transaction_undone_by_sqlite(self):
        """When the disk is full in the middle of a batch, no job of it is half done."""
        await self.database.write(trigger)
        with capturedLogs() as events:
            results = await self.together(insert("a"), insert("full"), insert("b"))
        errors = [result.value for success, result in results]
        self.assertEqual({type(error) for error in errors}, {Unavailable})
        [logged] = [e for e in events if e["log_level"] is LogLevel.error]
        self.assertIn("disk is full", str(logged["cause"]))
        self.assertEqual({error.error_id for error in errors}, {logged["error_id"]})
        self.assertEqual(await self.stored(), [])
        await self.database.write(insert("c"))
        self.assertEqual(await self.stored(), ["c"])

    async def test_defect(self):
        """A defect in one job fails that job alone."""
        results = await self.together(insert("a"), lambda connection: 1 // 0)
        self.assertIsInstance(results[1][1].value, ZeroDivisionError)
        self.assertEqual(await self.stored(), ["a"])

    async def test_read_error(self):
        """A read that goes wrong is told under an id that is in the log."""
        with capturedLogs() as events:
            reading = self.database.read(lambda c: c.execute(text("SELECT 1 FROM nothing")))
            error = await self.assertFailure(reading, Unavailable)
        [logged] = [e for e in events if e["log_level"] is LogLevel.error]
        self.assertEqual(logged["error_id"], error.error_id)

    async def test_reads_write_nothing(self):
        """A job that writes and is run as a read fails, and leaves nothing half done."""
        with capturedLogs() as events:
            await self.assertFailure(self.database.read(insert("a")), Unavailable)
        self.assertIn("readonly", str(events[0]["cause"]))
        # Nor does any reader get the writer's connection, before or after it was dropped.
        await self.database.write(insert("b"))
        await self.database.write(trigger)
        await self.assertFailure(self.database.write(insert("full")), Unavailable)
        await self.database.write(insert("c"))
        reads = [self.database.read(insert("a")) for _ in range(9)]
        for success, failure in await DeferredList(reads, consumeErrors=True):
            self.assertFalse(success)
            failure.trap(Unavailable)
        self.assertEqual(await self.stored(), ["b", "c"])

    async def test_savepoint_first(self):
        """A savepoint is within the transaction: what is rolled back leaves nothing."""
        connection = self.database.engine.connect()
        self.addCleanup(connection.close)
        let_write(connection)
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        connection.exec_driver_sql("SAVEPOINT job")
        insert("a")(connection)
        connection.exec_driver_sql("RELEASE job")
        connection.exec_driver_sql("ROLLBACK")
        self.assertEqual(await self.stored(), [])

    async def test_two_processes_take_turns(self):
        """The command line and the service write to one file without losing anything."""
        other = self.open_threaded()
        await gatherResults(
            database.write(insert(f"{place}{n:02}"))
            for n in range(40)
            for place, database in (("a", self.database), ("b", other))
        )
        self.assertEqual(len(await self.stored()), 80)


class InlineDatabaseTests(DatabaseCase):
    def setUp(self):
        super().setUp()
        self.use_store(self.open_inline())

    def test_commit_fails(self):
        """The command line is told that nothing was written, and may try again."""

        def fail(connection, cursor, statement, *rest):
            if statement == "COMMIT":
                raise no_disk(statement)

        event.listen(self.database.engine, "before_cursor_execute", fail)
        with capturedLogs():
            self.failureResultOf(self.database.write(insert("a")), Unavailable)
        event.remove(self.database.engine, "before_cursor_execute", fail)
        self.assertEqual(self.successResultOf(self.database.read(names)), [])
        self.assertEqual(self.successResultOf(self.database.write(insert("b"))), "b")

    def test_locked(self):
        """When another process holds the database for too long, the answer is an error."""
        other = self.open_inline().engine.connect()
        self.addCleanup(other.close)

        def hurry(connection, record, proxy):
            connection.execute("PRAGMA busy_timeout = 1")

        event.listen(self.database.engine, "checkout", hurry)
        let_write(other)
        other.exec_driver_sql("BEGIN IMMEDIATE")
        with capturedLogs() as events:
            self.failureResultOf(self.database.write(insert("a")), Unavailable)
        self.assertIn("locked", str(events[-1]["cause"]))
        other.exec_driver_sql("ROLLBACK")
        self.successResultOf(self.database.write(insert("a")))


_WRITER = """
import sys
from pathlib import Path
from sqlalchemy import text
from invitereg.store.database import open_database
from invitereg.runtime.threads import Inline

def pair(n):
    def job(connection):
        for half in "ab":
            connection.execute(
                text("INSERT INTO settings VALUES (:name, x'00')"), {"name": f"{n}{half}"}
            )
    return job

database = open_database(Path(sys.argv[1]), Inline())
for n in range(1_000_000):
    database.write(pair(n))
    print(n, flush=True)
"""


class KilledTests(DatabaseCase):
    def test_killed(self):
        """A killed process leaves each registration whole or not there, and loses none."""
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(self.data_dir)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for line in writer.stdout:
            if line == "50\n":
                break
        writer.send_signal(signal.SIGKILL)
        answered = [50, *(int(line) for line in writer.stdout)]
        writer.wait()
        writer.stdout.close()
        found = self.successResultOf(self.open_inline().read(names))
        first = {name[:-1] for name in found if name.endswith("a")}
        second = {name[:-1] for name in found if name.endswith("b")}
        self.assertEqual(first, second)
        self.assertTrue({str(n) for n in range(max(answered) + 1)} <= first)
