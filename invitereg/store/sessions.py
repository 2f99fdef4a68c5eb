"""Tells all who share the store that an account's sessions are over."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, insert, select
from sqlalchemy.engine import Connection

from invitereg.interfaces.queries import SessionEnd
from invitereg.store.tables import session_ends

_ADD = insert(session_ends).inline()
_LAST = select(session_ends).order_by(session_ends.c.number.desc()).limit(1)
_AFTER = (
    select(session_ends)
    .where(session_ends.c.number > bindparam("seen"))
    .order_by(session_ends.c.number)
)


def end(connection: Connection, domain: str, username: str, at: datetime) -> None:
    """End the sessions that logged in with credentials older than ``at``."""
    connection.execute(_ADD, {"domain": domain, "username": username, "at": at})


def ends(connection: Connection, after: int | None) -> Sequence[SessionEnd]:
    """Return what was ended after that number, oldest first; for None, only the last one."""
    rows = connection.execute(_LAST if after is None else _AFTER, {"seen": after})
    return [
        SessionEnd(number=row.number, domain=row.domain, username=row.username, at=row.at)
        for row in rows
    ]
