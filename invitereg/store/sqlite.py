"""Open SQLite: the file, which is made and upgraded if need be, or a database in memory."""

import fcntl
import os
import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError
from twisted.logger import Logger

from invitereg.config.messages import user_name, why_unreadable
from invitereg.errors import StoreError
from invitereg.store import schema
from invitereg.store.names import State

_log = Logger("invitereg.store.opening")

FILE_NAME = "invitereg.db"
BUSY_SECONDS = 10
"""How long a write waits for another process's, such as the command line's."""


def open_engine(data_dir: Path, busy_seconds: float = BUSY_SECONDS) -> Engine:
    """Return an engine for ``data_dir/invitereg.db``, at the newest schema; nothing is open.

    Raises:
        StoreError: the folder, the file or its content cannot be used.
    """
    path = data_dir / FILE_NAME
    make_folder(data_dir)
    if not path.exists():
        require_owner(data_dir)
    _make_file(path)
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
    event.listen(engine, "connect", lambda connection, _record: _configure(connection))
    try:
        with _locked(data_dir), engine.connect() as connection:
            let_write(connection)
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            schema.upgrade(connection, lambda revision: _keep_copy(path, revision))
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


def memory_engine() -> Engine:
    """Make the engine for an empty database in memory, at the newest schema.

    It has one connection for all who ask, one at a time and in the thread that calls this.
    The database is gone with it: when it is closed, when a transaction fails as a whole, or
    when nobody has the engine any more.
    """
    template, content = _template()
    # Any, as typeshed's connection is none of SQLAlchemy's protocol.
    connection: Any = sqlite3.connect(":memory:", isolation_level=None)
    connection.deserialize(content)
    # Made by the migration, and so the template's.
    connection.execute("UPDATE settings SET value = randomblob(32) WHERE name = 'server_key'")
    _configure(connection)
    # Not by create_engine: each of its dialects would have all statements compiled anew.
    engine = Engine(
        StaticPool(lambda: connection, reset_on_return=None),
        template.dialect,
        template.url,
        hide_parameters=True,
        execution_options=template.get_execution_options(),
    )
    # Lent once: a pool closes nothing that it has never lent.
    engine.connect().close()
    weakref.finalize(engine, _close, connection)
    return engine


def _close(connection: sqlite3.Connection) -> None:
    # In another thread, where the garbage may be collected, SQLite is not asked.
    with suppress(sqlite3.ProgrammingError):
        connection.close()


@cache
def _template() -> tuple[Engine, bytes]:
    """Return an engine, and a migrated database as bytes, for all databases in memory.

    To migrate takes a fifth of a second, to deserialise what came of it a tenth of a
    millisecond.
    """
    connection = sqlite3.connect(":memory:")
    engine = create_engine(
        "sqlite:///:memory:",
        creator=lambda: connection,
        poolclass=StaticPool,
        isolation_level="AUTOCOMMIT",
        execution_options={"compiled_cache": {}},
    )
    with engine.connect() as migrated:
        schema.upgrade(migrated, lambda _revision: None)
    content = connection.serialize()
    engine.dispose()
    return engine, content


def copy_before_upgrade(path: Path, revision: str) -> Path:
    """Return the path of the copy that is made before a database leaves a revision."""
    return path.with_name(f"{path.stem}-schema-{revision}{path.suffix}")


def _keep_copy(path: Path, revision: str) -> None:
    """Copy the database for the way back: whole and on the disk, or not at all.

    Raises:
        StoreError: such as for a full disk; no partial copy remains.
    """
    copy = copy_before_upgrade(path, revision)
    unfinished = copy.with_suffix(".unfinished")
    try:
        unfinished.unlink(missing_ok=True)
        unfinished.touch(mode=0o600)
        with (
            closing(sqlite3.connect(path)) as source,
            closing(sqlite3.connect(unfinished)) as to,
        ):
            to.execute("PRAGMA journal_mode = OFF")  # one file, whatever cuts this off
            source.backup(to)
        _sync(unfinished)
        unfinished.replace(copy)
        _sync(copy.parent)
    except (OSError, sqlite3.Error) as error:
        with suppress(OSError):
            unfinished.unlink()
        raise StoreError(
            f"{path} is not upgraded, as it cannot be copied to {copy} before that ({error})"
        ) from None
    _log.info(
        "upgrading {path} from schema {old} to {new}; a copy of it as it was is {copy}",
        path=str(path),
        old=revision,
        new=schema.REVISIONS[-1],
        copy=str(copy),
    )


def _sync(path: Path) -> None:
    """Wait until a file, or what a folder lists, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_file(path: Path) -> None:
    """Make an empty file that only its owner may read, if there is none; SQLite fills it."""
    try:
        # Never opens one that exists: closing it would drop this process's locks on it.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        if not os.access(path, os.R_OK | os.W_OK):
            raise StoreError(
                f"{path} cannot be written (Permission denied for the user {user_name()}): "
                "give it to the user that runs invitereg"
            ) from None
    except OSError as error:
        raise StoreError(f"{path} cannot be made ({error.strerror})") from None


def _configure(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    # Without a transaction, a write would be half done by what cuts it off.
    connection.execute("PRAGMA query_only = ON")


def let_write(connection: Connection) -> None:
    """Let a connection write; others only read."""
    connection.exec_driver_sql("PRAGMA query_only = OFF")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a lock on a folder, so that one process at a time switches to WAL and migrates."""
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


def make_folder(data_dir: Path) -> None:
    """Make a folder that only its owner may enter, if there is none.

    Raises:
        StoreError: it cannot be made, or written; or see `require_owner`.
    """
    if not os.path.lexists(data_dir) and os.path.exists(data_dir.parent):
        require_owner(data_dir.parent)
    try:
        data_dir.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise _unusable(data_dir, why_unreadable(error)) from None
    check_folder(data_dir)


def check_folder(data_dir: Path) -> None:
    """Check that `make_folder` would succeed; change nothing.

    Raises:
        StoreError: it would not.
    """
    there = os.path.lexists(data_dir)
    if there and not data_dir.is_dir():
        raise _unusable(data_dir, "Not a directory")
    written = data_dir if there else data_dir.parent
    if not os.access(written, os.W_OK | os.X_OK):
        raise _unusable(data_dir, _why_closed(written))


def require_owner(folder: Path) -> None:
    """Check that root makes no database that the owner of its folder could not write.

    Raises:
        StoreError: it would.
    """
    owner = folder.stat().st_uid
    if os.geteuid() != 0 or owner == 0:
        return
    name = user_name(owner)
    raise StoreError(
        f"{folder} is the user {name}'s, who could not write a database that root makes there. "
        f"Run this as {name}: runuser -u {name} -- COMMAND"
    )


def _why_closed(folder: Path) -> str:
    """Return why nothing can be written into a folder, which is so."""
    try:
        folder.stat()
    except FileNotFoundError:
        return f"no {folder}"
    except OSError as error:  # such as within one that may not be entered
        return why_unreadable(error)
    return f"Permission denied for the user {user_name()}"


def _unusable(data_dir: Path, reason: str) -> StoreError:
    return StoreError(
        f"data_dir {data_dir} is not a folder that can be written ({reason}): "
        "create it and give it to the user that runs invitereg"
    )


_STATE = "SELECT state FROM names WHERE domain = ? AND username = ?"


def has_account(data_dir: Path, domain: str, username: str) -> bool | None:
    """Return whether an account is known, without opening the database for a service.

    Nothing is made or upgraded. None if the database cannot be read.
    """
    path = data_dir / FILE_NAME
    try:
        if not path.exists():
            return False
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            row = db.execute(_STATE, (domain, username)).fetchone()
    except (OSError, sqlite3.Error):
        return None
    return row is not None and row[0] == State.ACCOUNT
