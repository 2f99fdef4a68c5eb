"""Tells all who share the store that a roster has changed, for those whom no stanza tells."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.engine import Connection

from invitereg.interfaces.queries import RosterChange
from invitereg.model.roster import Owner
from invitereg.store.tables import Time, roster_changes

KEPT = timedelta(hours=1)

_ADD = insert(roster_changes).inline()
# So many at a time that it does not grow, and nobody waits.
_FORGET = delete(roster_changes).where(
    roster_changes.c.number.in_(
        select(roster_changes.c.number)
        .where(roster_changes.c.at <= bindparam("before", type_=Time))
        .limit(1000)
    )
)
_LAST = select(roster_changes).order_by(roster_changes.c.number.desc()).limit(1)
_AFTER = (
    select(roster_changes)
    .where(roster_changes.c.number > bindparam("seen"))
    .order_by(roster_changes.c.number)
)


def add(connection: Connection, owners: Iterable[Owner], jid: str, now: datetime) -> None:
    """Say that the items of these accounts for ``jid`` have changed."""
    connection.execute(_FORGET, {"before": now - KEPT})
    rows = [
        {"domain": domain, "username": username, "jid": jid, "at": now}
        for domain, username in owners
    ]
    if rows:
        connection.execute(_ADD, rows)


def changes(connection: Connection, after: int | None) -> Sequence[RosterChange]:
    """Return what changed after number ``after``, oldest first; for None, only the last one.

    Changes made by `set_item`, `remove_item` and `subscribe` are not among them. They are
    kept for an hour, for the sessions that are open meanwhile.
    """
    rows = connection.execute(_LAST if after is None else _AFTER, {"seen": after})
    return [
        RosterChange(number=row.number, domain=row.domain, username=row.username, jid=row.jid)
        for row in rows
    ]
