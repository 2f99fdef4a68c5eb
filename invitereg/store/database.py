"""Run interactions with the SQLite database: reads side by side, writes in batches.

An *interaction* is a function of a connection. Writes that wait are committed together: one
transaction with a savepoint for each interaction, so that one that is refused is undone alone.
Nobody is answered before the commit has returned.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from invitereg.errors import Unavailable
from invitereg.runtime.logs import FaultLog
from invitereg.runtime.meter import Meter
from invitereg.runtime.threads import Executor, Inline, Settle
from invitereg.store.sqlite import BUSY_SECONDS, let_write, memory_engine, open_engine

T = TypeVar("T")

_log = Logger("invitereg.store.database.Database")  # operators' filters match on it
Interaction = Callable[[Connection], T]


def open_database(
    data_dir: Path,
    executor: Executor,
    busy_seconds: float = BUSY_SECONDS,
    meter: Meter | None = None,
) -> "Database":
    """Open the file ``data_dir/invitereg.db``, and make or upgrade it if need be.

    Connections come later. A write waits ``busy_seconds`` for another process's.

    Raises:
        StoreError: it cannot be used; the text is one line for the operator.
    """
    return Database(open_engine(data_dir, busy_seconds), executor, meter)


def open_memory() -> "Database":
    """Open an empty database in memory, for the calling thread, whose work it does at once.

    It is gone when it is closed, and when a transaction fails as a whole: a file is opened
    again, and this is not.
    """
    return Database(memory_engine(), Inline())


class Database:
    """An SQLite database: a file, or in memory.

    Attributes:
        engine: SQLAlchemy's, in autocommit mode.
    """

    def __init__(self, engine: Engine, executor: Executor, meter: Meter | None = None) -> None:
        """Take over an engine; `open_database` and `open_memory` make one."""
        self.engine = engine
        # Apart, as reading may go on well while nothing can be written.
        self._read_faults = FaultLog(_log, "Database")
        self._write_faults = FaultLog(_log, "Database")
        self._executor = executor
        self._meter = meter or Meter()
        self._writes = executor.batches(self._transaction)
        self._writer: Connection | None = None

    def read(self, interaction: Interaction[T]) -> Deferred[T]:
        """Return the outcome of an interaction that only reads: what it writes is refused.

        Raises:
            Unavailable: the database did not answer; the cause is in the log.
        """
        return self._executor.run(self._read, interaction)

    def write(self, interaction: Interaction[T]) -> Deferred[T]:
        """Return the outcome of an interaction, once what it wrote is on disk.

        An error that the interaction raises undoes what it wrote, and nothing else.

        Raises:
            Unavailable: nothing was written; the cause is in the log.
        """
        return self._writes.add(interaction)

    def close(self) -> None:
        """Close all connections; the work must have stopped."""
        self._drop_writer()
        self.engine.dispose()

    def _read(self, interaction: Interaction[T]) -> T:
        try:
            with self._meter.reading(), self.engine.connect() as connection:
                outcome = interaction(connection)
        except SQLAlchemyError as error:
            raise self._unavailable(self._read_faults, error) from None
        self._read_faults.worked()
        return outcome

    def _transaction(
        self, interactions: Sequence[Interaction[object]], settle: Settle
    ) -> list[object]:
        """Return the outcome of each interaction, after one commit for all of them."""
        try:
            with self._meter.writing():
                return self._commit_together(interactions, settle)
        except SQLAlchemyError as error:
            self._drop_writer()
            # A connection that was opened while the file was read-only stays so.
            self.engine.dispose()
            error_id = self._unavailable(self._write_faults, error).error_id
            return [Failure(Unavailable(error_id)) for _interaction in interactions]
        except BaseException:
            self._drop_writer()
            raise

    def _commit_together(
        self, interactions: Sequence[Interaction[object]], settle: Settle
    ) -> list[object]:
        if self._writer is None:
            self._writer = self.engine.connect()
            let_write(self._writer)
        self._writer.exec_driver_sql("BEGIN IMMEDIATE")
        outcomes = [
            self._in_savepoint(self._writer, interaction) for interaction in interactions
        ]
        if not settle():
            self._writer.exec_driver_sql("ROLLBACK")
            error_id = self._write_faults.failed("a transaction took too long, and was undone")
            return [Failure(Unavailable(error_id)) for _interaction in interactions]
        self._writer.exec_driver_sql("COMMIT")
        self._write_faults.worked()
        return outcomes

    def _in_savepoint(self, connection: Connection, interaction: Interaction[object]) -> object:
        connection.exec_driver_sql("SAVEPOINT interaction")
        try:
            outcome = interaction(connection)
        except Exception as error:
            try:
                connection.exec_driver_sql("ROLLBACK TO interaction")
            except SQLAlchemyError as lost:
                # SQLite may have undone the whole transaction, as when the disk is full. To
                # go on would write what follows outside of any.
                raise (error if isinstance(error, SQLAlchemyError) else lost) from None
            refusal = error
            if isinstance(error, SQLAlchemyError):
                refusal = self._unavailable(self._write_faults, error)
            outcome = Failure(refusal)
        connection.exec_driver_sql("RELEASE interaction")
        return outcome

    def _unavailable(self, faults: FaultLog, error: SQLAlchemyError) -> Unavailable:
        """Log what went wrong, without any value from a statement."""
        cause = f"{getattr(error, 'orig', error)} ({self.engine.url.database})"
        return Unavailable(faults.failed(cause, statement=getattr(error, "statement", None)))

    def _drop_writer(self) -> None:
        """Close the writing connection, which undoes what it has not committed."""
        if self._writer is not None:
            self._writer.invalidate()
            self._writer.close()
            self._writer = None
