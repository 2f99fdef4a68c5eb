"""An internationalized domain has one name, in U-labels: also where it was stored in A-labels.

Where both spellings are stored, they become one domain. A name that has an account in both is
nobody's to decide about: the database is left as it is then, and the operator is told.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from twisted.logger import Logger

from invitereg.errors import StoreError
from invitereg.model.names import prepare_domain

revision = "0011"
down_revision = "0010"

_log = Logger()

_OF_DOMAINS = (
    *("invites", "names", "accounts", "roster_items", "roster_changes", "session_ends"),
    *("used_networks", "uses", "notices", "leases", "errands", "hits", "api_keys"),
    "api_requests",
)
# Addresses, and texts with some in them.
_TEXTS = (
    *(("invites", "source"), ("uses", "address"), ("hits", "key"), ("roster_items", "request")),
    *(("roster_changes", "jid"), ("leases", "redemption")),
)
_DOMAIN = re.compile(r"[\w.-]+")
# What has nothing in it that no localpart has; with an @, it is one, and stays as it is.
_WORD = re.compile(r"[^\s\"&'/:<>@]+(@?)")
_WEIGHTS = {"deleted": 1, "reserved": 2, "leased": 3, "account": 3}
_MOST_NAMED = 10

_ROW: sa.ColumnClause[int] = sa.literal_column("rowid")
_NAMES = sa.table("names", sa.column("domain"), sa.column("username"), sa.column("state"))
_ITEMS = sa.table(
    "roster_items",
    *(sa.column("domain"), sa.column("username"), sa.column("jid"), sa.column("subscription")),
)

# Many at a time: one by one, 200,000 contacts took a minute.
_AT_ONCE = 10_000
_DROP_TWIN = sa.text(
    "DELETE FROM roster_items WHERE domain = :domain AND username = :username AND jid = :jid"
    " AND subscription = 'none'"
)
_RENAME_ITEM = sa.text("UPDATE OR IGNORE roster_items SET jid = :jid WHERE rowid = :rowid")
_DROP = sa.text("DELETE FROM roster_items WHERE rowid = :rowid AND jid = :old")


def upgrade() -> None:
    renamed = {old: new for old in sorted(_stored()) if (new := _normal(old)) != old}
    if not renamed:
        return
    # Rows refer to each other; only in the end they all fit.
    op.execute("PRAGMA defer_foreign_keys = ON")
    for old, new in renamed.items():
        _merge_names(old, new)
        for name in _OF_DOMAINS:
            table = sa.table(name, sa.column("domain"))
            rename = table.update().where(table.c.domain == old).values(domain=new)
            op.execute(rename.prefix_with("OR IGNORE"))
    _rename_contacts(renamed)
    for name, column in _TEXTS:
        _rename_within(sa.table(name, sa.column(column)).c[column], renamed)


def _stored() -> set[str]:
    """Return the domains that may have another spelling, those of contacts among them."""
    columns = (sa.table(name, sa.column("domain")).c.domain for name in _OF_DOMAINS)
    found = {domain for column in columns for domain in _distinct(column)}
    return found | {jid.rpartition("@")[2] for jid in _distinct(_ITEMS.c.jid)}


def _distinct(column: Any) -> sa.ScalarResult[str]:
    return op.get_bind().scalars(sa.select(column).distinct().where(_has_a_label(column)))


def _has_a_label(column: Any) -> sa.ColumnElement[bool]:
    return sa.func.instr(column, "xn--") > 0


def _normal(domain: str) -> str:
    try:
        return prepare_domain(domain)
    except ValueError:
        return domain


def _merge_names(old: str, new: str) -> None:
    """Merge names that exist in both spellings: an account wins over any other holder."""
    before, after = _held(old), _held(new)
    both = sorted(before.keys() & after.keys())
    doubled = [name for name in both if before[name] == after[name] == _WEIGHTS["account"]]
    if doubled:
        raise StoreError(_refusal(old, new, doubled))
    for name in both:
        lost = new if before[name] > after[name] else old
        op.execute(_NAMES.delete().where(_NAMES.c.domain == lost, _NAMES.c.username == name))
    if before and after:
        _log.warn(
            "{old} and {new} are one domain: what was stored of both is", old=old, new=new
        )


def _held(domain: str) -> dict[str, int]:
    """Return how much each name of a domain is held."""
    held = sa.select(_NAMES.c.username, _NAMES.c.state).where(_NAMES.c.domain == domain)
    return {row.username: _WEIGHTS[row.state] for row in op.get_bind().execute(held)}


def _refusal(old: str, new: str, doubled: list[str]) -> str:
    some = ", ".join(doubled[:_MOST_NAMED]) + (", …" if len(doubled) > _MOST_NAMED else "")
    return (
        f"{old} and {new} are one domain, but the database has accounts of both with the same "
        f"names: {some}. Nothing was changed. Delete one of each two with the version of "
        "invitereg that you had: invitereg account delete NAME --domain DOMAIN"
    )


def _rename_contacts(renamed: Mapping[str, str]) -> None:
    """Rename contacts; of one that was written in both spellings, keep the item with more."""
    has_more = _ITEMS.c.subscription != "none"
    for condition in (has_more, ~has_more):
        items = sa.select(_ROW, *_ITEMS.c).where(_has_a_label(_ITEMS.c.jid), condition)
        for some in _in_parts(items):
            _rename_some(some, renamed)


def _rename_some(items: Sequence[Any], renamed: Mapping[str, str]) -> None:
    changed = [
        {**item._mapping, "old": item.jid, "jid": jid}
        for item in items
        if (jid := _respelled(item.jid, renamed)) != item.jid
    ]
    twins = [item for item in changed if item["subscription"] != "none"]
    for statement, rows in ((_DROP_TWIN, twins), (_RENAME_ITEM, changed), (_DROP, changed)):
        if rows:
            op.get_bind().execute(statement, rows)


def _rename_within(column: Any, renamed: Mapping[str, str]) -> None:
    """Rename the domains in the texts of a column."""
    found = sa.select(_ROW, column.label("old")).where(_has_a_label(column))
    name = f"{column.table.name} SET {column.name}"
    rename = sa.text(f"UPDATE {name} = :new WHERE rowid = :rowid")
    for some in _in_parts(found):
        texts = [{"rowid": row.rowid, "new": _respelled(row.old, renamed)} for row in some]
        op.get_bind().execute(rename, texts)


def _in_parts(found: sa.Select[Any]) -> Iterator[Sequence[Any]]:
    """Yield the rows of a table a part at a time, as all of them may not fit into memory."""
    rows = op.get_bind().execute(found, execution_options={"yield_per": _AT_ONCE})
    yield from rows.partitions()


def _respelled(text: str, renamed: Mapping[str, str]) -> str:
    def respelled(word: re.Match[str]) -> str:
        if word[1]:
            return word[0]
        return _DOMAIN.sub(lambda found: renamed.get(found[0], found[0]), word[0])

    return _WORD.sub(respelled, text)
