"""Tell all who share the store what has changed: rosters, and ended sessions."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import Table, bindparam, insert, select
from sqlalchemy.engine import Connection

from invitereg.interfaces.queries import RosterChange, SessionEnd
from invitereg.model.roster import Owner
from invitereg.store.rows import columns_of, values_of
from invitereg.store.statements import delete_some
from invitereg.store.tables import Time, roster_changes, session_ends

T = TypeVar("T", RosterChange, SessionEnd)

KEPT = timedelta(hours=1)

_ADD_CHANGE = insert(roster_changes).inline()
# So many at a time that it does not grow, and nobody waits.
_FORGET_CHANGE = delete_some(
    roster_changes, roster_changes.c.at <= bindparam("before", type_=Time)
)
_ADD_END = insert(session_ends).inline()


def add_roster_changes(
    connection: Connection, owners: Iterable[Owner], jid: str, now: datetime
) -> None:
    """Record that the items of these accounts for ``jid`` have changed."""
    connection.execute(_FORGET_CHANGE, {"before": now - KEPT, "most": 1000})
    rows = [
        {"domain": domain, "username": username, "jid": jid, "at": now}
        for domain, username in owners
    ]
    if rows:
        connection.execute(_ADD_CHANGE, rows)


def list_roster_changes(connection: Connection, after: int | None) -> Sequence[RosterChange]:
    """Return the changes after number ``after``, oldest first; for None, only the last one.

    Changes made by `set_item`, `remove_item` and `subscribe` are not among them. They are
    kept for an hour, for the sessions that are open meanwhile.
    """
    return _list_after(connection, RosterChange, roster_changes, after)


def end_sessions(connection: Connection, domain: str, username: str, at: datetime) -> None:
    """End the sessions that logged in with credentials older than ``at``."""
    connection.execute(_ADD_END, {"domain": domain, "username": username, "at": at})


def list_session_ends(connection: Connection, after: int | None) -> Sequence[SessionEnd]:
    """Return the ends after number ``after``, oldest first; for None, only the last one."""
    return _list_after(connection, SessionEnd, session_ends, after)


def _list_after(
    connection: Connection, of: type[T], table: Table, after: int | None
) -> Sequence[T]:
    listed = select(*columns_of(of, table))
    if after is None:
        listed = listed.order_by(table.c.number.desc()).limit(1)
    else:
        listed = listed.where(table.c.number > after).order_by(table.c.number)
    return values_of(of, connection.execute(listed))
