"""Remove what is over, a few rows at a time, so that nobody waits long for the database."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Delete,
    Integer,
    bindparam,
    delete,
    func,
    not_,
    select,
)
from sqlalchemy.engine import Connection

from invitereg.store.invites import UNDECIDED
from invitereg.store.tables import Time, hits, invites, names, session_ends, used_networks, uses

_BEFORE = bindparam("before", type_=Time)


def _some(key: Column[Any], *conditions: ColumnElement[bool]) -> Delete:
    """Return a statement that removes some rows of a domain for which the conditions hold."""
    chosen = (
        select(key)
        .where(key.table.c.domain == bindparam("of_domain"), *conditions)
        .limit(bindparam("most", type_=Integer))
    )
    return delete(key.table).where(key.in_(chosen))


# Each reads an index of its own; one statement for all of them would read the whole table.
_OVER = tuple(
    _some(invites.c.seq, *conditions, not_(UNDECIDED))
    for conditions in (
        (invites.c.revoked_at <= _BEFORE,),
        (invites.c.uses >= invites.c.uses_allowed, invites.c.used_at <= _BEFORE),
        (invites.c.expires_at <= _BEFORE,),
    )
)
# Both what an invite reserved, and names of deleted accounts that were kept long enough.
_LAPSED = _some(names.c.username, names.c.until <= _BEFORE).where(
    names.c.domain == bindparam("of_domain")
)
_SESSION_ENDS = delete(session_ends).where(
    session_ends.c.number.in_(
        select(session_ends.c.number)
        .where(session_ends.c.at <= _BEFORE)
        .order_by(session_ends.c.number)
        .limit(bindparam("most", type_=Integer))
    )
)
_HITS = _some(hits.c.seq, hits.c.name == bindparam("of_name"), hits.c.at <= _BEFORE)

# One look into an index for each domain that there is, however many rows it has.
_NEXT_DOMAIN = tuple(
    select(func.min(table.c.domain)).where(table.c.domain > bindparam("after"))
    for table in (invites, names, uses, hits, used_networks)
)


def list_domains(connection: Connection) -> Sequence[str]:
    """Return the domains that have rows to purge, also those that are not served any more."""

    def found() -> Iterator[str]:
        for statement in _NEXT_DOMAIN:
            domain = connection.execute(statement, {"after": ""}).scalar()
            while domain is not None:
                yield domain
                domain = connection.execute(statement, {"after": domain}).scalar()

    return sorted(set(found()))


def purge_invites(connection: Connection, domain: str, before: datetime, at_most: int) -> int:
    """Remove the invites that were over by ``before``: revoked, used up or expired by then.

    Their uses stay in the history.

    Returns:
        How many were removed: fewer than ``at_most`` if none is left.
    """
    removed = 0
    for statement in _OVER:
        which = {"of_domain": domain, "before": before, "most": at_most - removed}
        removed += connection.execute(statement, which).rowcount
    return removed


def purge_names(connection: Connection, domain: str, now: datetime, at_most: int) -> int:
    """Make names free that are held no longer than until ``now``.

    Those are reservations that have lapsed, and names of deleted accounts that were kept
    as long as `accounts.remove` was told. Returns as `purge_invites`.
    """
    which = {"of_domain": domain, "before": now, "most": at_most}
    return connection.execute(_LAPSED, which).rowcount


def purge_session_ends(connection: Connection, before: datetime, at_most: int) -> int:
    """Remove the ends of sessions up to ``before``, the oldest first.

    Every service has read them within a second. Returns as `purge_invites`.
    """
    which = {"before": before, "most": at_most}
    return connection.execute(_SESSION_ENDS, which).rowcount


def purge_hits(
    connection: Connection, domain: str, name: str, before: datetime, at_most: int
) -> int:
    """Remove the hits up to ``before`` on all counters of that name.

    Returns as `purge_invites`.
    """
    which = {"of_domain": domain, "of_name": name, "before": before, "most": at_most}
    return connection.execute(_HITS, which).rowcount
