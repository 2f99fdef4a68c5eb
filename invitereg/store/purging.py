"""Remove what is over, a few rows at a time, so that nobody waits long for the database.

Every purge returns how many rows it removed: fewer than ``at_most`` if none is left.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Integer, Table, bindparam, func, not_, select, update
from sqlalchemy.engine import Connection

from invitereg.store.invites import UNDECIDED
from invitereg.store.statements import delete_some
from invitereg.store.tables import (
    Time,
    api_requests,
    hits,
    invites,
    jobs,
    names,
    notices,
    session_ends,
    used_networks,
    uses,
)

KEPT_JOBS = timedelta(hours=1)
"""How long a job is kept that has expired, as its answer."""

_BEFORE = bindparam("before", type_=Time)


def _is_at(table: Table) -> ColumnElement[bool]:
    return table.c.domain == bindparam("of_domain")


# Each reads an index of its own; one statement for all of them would read the whole table.
_OVER = tuple(
    delete_some(invites, _is_at(invites), *conditions, not_(UNDECIDED))
    for conditions in (
        (invites.c.revoked_at <= _BEFORE,),
        (invites.c.uses >= invites.c.uses_allowed, invites.c.used_at <= _BEFORE),
        (invites.c.expires_at <= _BEFORE,),
    )
)
# Both what an invite reserved, and names of deleted accounts that were kept long enough.
_LAPSED = delete_some(names, _is_at(names), names.c.until <= _BEFORE)
_SESSION_ENDS = delete_some(session_ends, session_ends.c.at <= _BEFORE)
_HITS = delete_some(
    hits, _is_at(hits), hits.c.name == bindparam("of_name"), hits.c.at <= _BEFORE
)
_USED_NETWORKS = delete_some(
    used_networks, _is_at(used_networks), used_networks.c.at <= _BEFORE
)
_JOBS = delete_some(jobs, jobs.c.expires <= _BEFORE)
_NOTICES = delete_some(notices, notices.c.at <= _BEFORE)
_REQUESTS = delete_some(api_requests, api_requests.c.at <= _BEFORE)
_FORGET_ADDRESSES = (
    update(uses)
    .where(
        uses.c.seq.in_(
            select(uses.c.seq)
            .where(_is_at(uses), uses.c.address.is_not(None), uses.c.at <= _BEFORE)
            .order_by(uses.c.at)
            .limit(bindparam("most", type_=Integer))
        )
    )
    .values(address=None)
)

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
    """
    removed = 0
    for statement in _OVER:
        which = {"of_domain": domain, "before": before, "most": at_most - removed}
        removed += connection.execute(statement, which).rowcount
    return removed


def purge_names(connection: Connection, domain: str, now: datetime, at_most: int) -> int:
    """Free the names that are held no longer than until ``now``.

    Those are reservations that have lapsed, and names of deleted accounts that were kept
    as long as `accounts.remove` was told.
    """
    which = {"of_domain": domain, "before": now, "most": at_most}
    return connection.execute(_LAPSED, which).rowcount


def purge_session_ends(connection: Connection, before: datetime, at_most: int) -> int:
    """Remove the ends of sessions up to ``before``.

    Every service has read them within a second.
    """
    which = {"before": before, "most": at_most}
    return connection.execute(_SESSION_ENDS, which).rowcount


def purge_hits(
    connection: Connection, domain: str, name: str, before: datetime, at_most: int
) -> int:
    """Remove the hits up to ``before`` on all counters of a name."""
    which = {"of_domain": domain, "of_name": name, "before": before, "most": at_most}
    return connection.execute(_HITS, which).rowcount


def purge_used_networks(
    connection: Connection, domain: str, before: datetime, at_most: int
) -> int:
    """Remove the networks in which accounts were last used at ``before`` or earlier."""
    which = {"of_domain": domain, "before": before, "most": at_most}
    return connection.execute(_USED_NETWORKS, which).rowcount


def purge_jobs(connection: Connection, now: datetime, at_most: int) -> int:
    """Remove the jobs that expired an hour ago, also of domains that are no longer served."""
    which = {"before": now - KEPT_JOBS, "most": at_most}
    return connection.execute(_JOBS, which).rowcount


def purge_notices(connection: Connection, before: datetime, at_most: int) -> int:
    """Remove the notices of registrations up to ``before``, delivered or not."""
    return connection.execute(_NOTICES, {"before": before, "most": at_most}).rowcount


def purge_requests(connection: Connection, before: datetime, at_most: int) -> int:
    """Remove the idempotency keys of requests that were first made by ``before``."""
    return connection.execute(_REQUESTS, {"before": before, "most": at_most}).rowcount


def forget_addresses(
    connection: Connection, domain: str, before: datetime, at_most: int
) -> int:
    """Remove the addresses from the history up to ``before``, the oldest first.

    Returns how many were removed, as a purge.
    """
    which = {"of_domain": domain, "before": before, "most": at_most}
    return connection.execute(_FORGET_ADDRESSES, which).rowcount
