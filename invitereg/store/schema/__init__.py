"""Bring a database to the state of `invitereg.store.tables`, by Alembic's migrations.

Alembic is imported only when there is something to do: it takes 11 MB and a tenth of a second.
"""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection

REVISIONS = tuple(
    sorted(path.name[:4] for path in Path(__file__).parent.glob("versions/[0-9]*.py"))
)
"""The revisions, oldest first; the file of each in ``versions/`` begins with its name."""


class UnknownRevision(Exception):
    """The database is at a revision that this program does not know: it is older than that.

    Attributes:
        revision: its name.
    """

    def __init__(self, revision: str) -> None:
        self.revision = revision
        super().__init__(revision)


def upgrade(connection: Connection, before: Callable[[str], None]) -> None:
    """Bring the database to the newest revision, in one transaction or not at all.

    Args:
        connection: to the database, in autocommit mode.
        before: called with the old revision, when nothing has changed yet and nobody else can
            write; not for a new database. What it raises keeps the database as it is.

    Raises:
        UnknownRevision: it is newer than this program.
    """
    if _revision(connection) == REVISIONS[-1]:
        return
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        # Asked again: another process may have been faster.
        revision = _revision(connection)
        if revision != REVISIONS[-1]:
            if revision is not None:
                before(revision)
            _migrate(connection)
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise


def _revision(connection: Connection) -> str | None:
    """Return the revision of the database; None if it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if revision is not None and revision not in REVISIONS:
        raise UnknownRevision(revision)
    return revision


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
