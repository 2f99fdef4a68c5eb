"""Opens the SQLite file: makes it if need be, upgrades its schema, explains what is wrong."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError

from invitereg.errors import StoreError
from invitereg.store import schema
from invitereg.store.folder import make_folder

FILE_NAME = "invitereg.db"
BUSY_SECONDS = 10
"""How long a write waits for another process's, such as the command line's."""


def open_engine(data_dir: Path, busy_seconds: float = BUSY_SECONDS) -> Engine:
    """The engine for ``data_dir/invitereg.db``, at the newest schema; no connection is open.

    Raises:
        StoreError: the folder, the file or its content cannot be used.
    """
    path = data_dir / FILE_NAME
    make_folder(data_dir)
    _make_file(path)
    engine = _make_engine(path, busy_seconds)
    try:
        with _locked(data_dir), engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            schema.upgrade(connection)
    except schema.UnknownRevision as error:
        raise StoreError(
            f"{path} was written by a newer invitereg (schema {error.revision}): install that "
            "version again, or restore the copy from before the upgrade"
        ) from None
    except DBAPIError as error:
        raise StoreError(_explanation(path, error)) from None
    finally:
        # A connection must not be carried over into the daemon that is forked off.
        engine.dispose()
    return engine


def _make_file(path: Path) -> None:
    """An empty file that only its owner may read, if there is none; SQLite fills it."""
    try:
        # Never opens one that exists: closing it would drop this process's locks on it.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        if not os.access(path, os.R_OK | os.W_OK):
            raise StoreError(
                f"{path} cannot be written (Permission denied): "
                "give it to the user that runs invitereg"
            ) from None
    except OSError as error:
        raise StoreError(f"{path} cannot be made ({error.strerror})") from None


def _make_engine(path: Path, busy_seconds: float) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        # The driver's own BEGINs would break savepoints: we issue them.
        isolation_level="AUTOCOMMIT",
        # What is in a statement's parameters is nobody's business, least of all the log's.
        hide_parameters=True,
        connect_args={"timeout": busy_seconds},
        pool_size=8,
        max_overflow=-1,
        pool_reset_on_return=None,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection, _record) -> None:  # type: ignore[no-untyped-def]
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    return engine


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time: neither the switch to WAL nor a migration meets another."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _explanation(path: Path, error: DBAPIError) -> str:
    if isinstance(error, OperationalError):
        return (
            f"{path} cannot be opened ({error.orig}): see that its disk is neither full nor "
            "read-only, and that no other process holds it"
        )
    return (
        f"{path} is damaged or no database ({error.orig}): restore it from a backup, "
        "or move it away to begin with an empty one"
    )
