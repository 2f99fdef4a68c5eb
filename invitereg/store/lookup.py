"""Answer a `Query` with one statement, so that all it finds belongs together."""

from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    FromClause,
    Row,
    Select,
    Subquery,
    bindparam,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.engine import Connection

from invitereg.interfaces.queries import Findings, Query
from invitereg.model.invites import Invite, Kind
from invitereg.policy.values import Tally
from invitereg.store import inviters
from invitereg.store.names import State
from invitereg.store.rows import columns_of, value_of
from invitereg.store.tables import Time, hits, invites, names, uses

_REGISTERED_AT = select(func.max(uses.c.at)).where(
    uses.c.domain == bindparam("of_domain"),
    uses.c.username == bindparam("of_inviter"),
    uses.c.kind.in_((Kind.ACCOUNT, Kind.ACCOUNT_AND_CONTACT)),
)


def look_up(connection: Connection, query: Query) -> Findings:
    """Return the facts for the policy; an unknown invite is None, not an error."""
    statement = _statement(
        query.digest is not None,
        query.username is not None,
        len(query.counters),
        query.inviter is not None,
    )
    row = connection.execute(statement, _parameters(query)).one()
    tallies = tuple(
        Tally(count=getattr(row, f"count_{place}"), oldest=getattr(row, f"oldest_{place}"))
        for place in range(len(query.counters))
    )
    found: dict[str, Any] = {"tallies": tallies}
    if query.digest is not None and row.id is not None:
        found["invite"] = value_of(Invite, row)
    if query.inviter is not None:
        found |= {"open_invites": row.open_invites, "registered_at": row.registered_at}
    if query.username is not None:
        found |= _holder(row, query)
    return Findings(**found)


def _parameters(query: Query) -> dict[str, object]:
    parameters: dict[str, object] = {"of_domain": query.domain}
    if query.digest is not None:
        parameters["of_digest"] = query.digest
    if query.username is not None:
        parameters["of_username"] = query.username
    if query.inviter is not None:
        parameters |= inviters.made_by(query.domain, query.inviter) | {"now": query.now}
    for place, counter in enumerate(query.counters):
        parameters[f"name_{place}"] = counter.name
        parameters[f"key_{place}"] = counter.key
        parameters[f"since_{place}"] = counter.since(query.now)
        parameters[f"ahead_{place}"] = counter.before(query.now)
    return parameters


@cache
def _statement(
    with_invite: bool, with_name: bool, counters: int, with_open: bool
) -> Select[Any]:
    """Return a query that always finds one row: outer joins, and aggregates of the hits."""
    source: FromClause = select(literal_column("1").label("one")).subquery("base")
    columns: list[ColumnElement[Any]] = [source.c.one]
    domain: BindParameter[str] = bindparam("of_domain")
    if with_invite:
        matches = (invites.c.domain == domain) & (invites.c.digest == bindparam("of_digest"))
        source = source.outerjoin(invites, matches)
        columns += columns_of(Invite, invites)
    if with_name:
        matches = (names.c.domain == domain) & (names.c.username == bindparam("of_username"))
        source = source.outerjoin(names, matches)
        columns += [names.c.state, names.c.invite_id.label("holder"), names.c.until]
    for place in range(counters):
        tally = _tally(place)
        source = source.join(tally, true())
        columns += list(tally.c)
    if with_open:
        columns.append(inviters.OPEN_INVITES.scalar_subquery().label("open_invites"))
        columns.append(_REGISTERED_AT.scalar_subquery().label("registered_at"))
    return select(*columns).select_from(source)


def _tally(place: int) -> Subquery:
    tally = select(
        func.count().label(f"count_{place}"), func.min(hits.c.at).label(f"oldest_{place}")
    ).where(
        hits.c.domain == bindparam("of_domain"),
        hits.c.name == bindparam(f"name_{place}"),
        hits.c.key == bindparam(f"key_{place}"),
        hits.c.at > bindparam(f"since_{place}", type_=Time),
        hits.c.at <= bindparam(f"ahead_{place}", type_=Time),
    )
    return tally.subquery(f"tally_{place}")


def _holder(row: Row[Any], query: Query) -> dict[str, Any]:
    reserved = row.state == State.RESERVED and (row.until is None or row.until > query.now)
    return {
        # One that may come to be is as good as there, for everybody else.
        "account_exists": row.state in (State.ACCOUNT, State.LEASED),
        "reserved_for": row.holder if reserved else None,
        "deleted": row.state == State.DELETED,
    }
