"""Write everything in the store, as of one moment, as lines of JSON."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Table, select
from sqlalchemy.engine import Connection

from invitereg._version import __version__
from invitereg.errors import InvalidRequest
from invitereg.store.logins import server_key
from invitereg.store.names import State
from invitereg.store.schema import REVISIONS
from invitereg.store.tables import (
    accounts,
    api_keys,
    invites,
    jobs,
    leases,
    names,
    notices,
    roster_items,
    uses,
)
from invitereg.transfer.format import (
    COUNTED,
    AccountLine,
    DeletedLine,
    End,
    Header,
    InviteLine,
    KeyLine,
    Line,
    NoticeLine,
    RosterItemLine,
    ServerKey,
    UseLine,
    write_line,
)

_AT_ONCE = 1000
_ROSTER_ORDER = (roster_items.c.domain, roster_items.c.username, roster_items.c.jid)
_NOTICES = (
    select(
        *(notices.c.domain, notices.c.username, notices.c.kind),
        *(uses.c.domain.label("about_domain"), uses.c.username.label("about_username")),
        uses.c.at,
    )
    .join(uses, uses.c.seq == notices.c.use_seq)
    .order_by(notices.c.number)
)


def export_all(connection: Connection, write: Callable[[bytes], object]) -> Mapping[str, int]:
    """Hand every line to ``write``, in an order in which they can be read in again.

    What else is written meanwhile is in none of them. Rows are not gathered in memory.

    Returns:
        How many lines there were, by type.

    Raises:
        InvalidRequest: something is under way at an upstream server; nothing was written.
    """
    # One transaction sees the database as of its first read.
    connection.exec_driver_sql("BEGIN")
    try:
        _require_settled(connection)
        write(write_line(Header(version=__version__, schema=REVISIONS[-1])))
        counts, lines = dict.fromkeys(COUNTED.values(), 0), 0
        for line in _lines(connection):
            write(write_line(line))
            lines += 1
            if line.type in COUNTED:
                counts[COUNTED[line.type]] += 1
        write(write_line(End(lines=lines)))
    finally:
        connection.exec_driver_sql("ROLLBACK")
    return counts


def _require_settled(connection: Connection) -> None:
    """Raise InvalidRequest if something is under way at a server: done or not, nobody knows."""
    domains = [
        *connection.scalars(select(leases.c.domain)),
        *connection.scalars(select(jobs.c.domain).where(jobs.c.expires.is_(None))),
    ]
    if domains:
        raise InvalidRequest(
            f"{len(domains)} things are under way at the server that keeps the accounts of "
            f"{', '.join(sorted(set(domains)))}. Try again in a moment; if that does not help, "
            "see in the log why it does not answer. If accounts: was changed since, put it "
            "back until all is done."
        )


def _lines(connection: Connection) -> Iterator[Line]:
    yield ServerKey(key=server_key(connection))
    for row in _rows(connection, accounts, accounts.c.domain, accounts.c.username):
        keys = None if row["credentials"] is None else tuple(row["credentials"].split("\n"))
        yield AccountLine.model_construct(**{**row, "credentials": keys})
    for row in _rows(connection, names, names.c.domain, names.c.username):
        if row["state"] == State.DELETED:
            which = {name: row[name] for name in ("domain", "username", "until")}
            yield DeletedLine.model_construct(**which)
    for row in _rows(connection, roster_items, *_ROSTER_ORDER):
        yield RosterItemLine.model_construct(**row)
    for row in _rows(connection, invites, invites.c.seq):
        yield InviteLine.model_construct(**row)
    for row in _rows(connection, uses, uses.c.seq):
        yield UseLine.model_construct(**row)
    for row in connection.execute(_NOTICES).yield_per(_AT_ONCE).mappings():
        yield NoticeLine.model_construct(**row)
    for row in _rows(connection, api_keys, api_keys.c.seq):
        yield KeyLine.model_construct(**row)


def _rows(
    connection: Connection, table: Table, *order: ColumnElement[Any]
) -> Iterator[RowMapping]:
    """Yield all rows of a table; they are neither gathered in memory nor checked."""
    columns = [column for column in table.c if column.name != "seq"]
    rows = connection.execute(select(*columns).order_by(*order)).yield_per(_AT_ONCE)
    yield from rows.mappings()
