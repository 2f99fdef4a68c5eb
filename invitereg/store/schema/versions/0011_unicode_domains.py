"""An internationalized domain has one name, in U-labels: also where it was stored in A-labels.

Where both spellings are stored, they become one domain. A name that has an account in both is
nobody's to decide about: the database is left as it is then, and the operator is told.
"""

import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op
from twisted.logger import Logger

from invitereg.errors import StoreError
from invitereg.preparation import prepare_domain

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


def downgrade() -> None:
    pass


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
    """Of a name that both spellings have, keep what holds it more: an account, before all."""
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
    items = sa.select(_ROW, *_ITEMS.c).where(_has_a_label(_ITEMS.c.jid))
    for item in op.get_bind().execute(items).all():
        jid = _respelled(item.jid, renamed)
        if jid != item.jid:
            _rename_contact(item, jid)


def _rename_contact(item: Any, jid: str) -> None:
    owner = (_ITEMS.c.domain == item.domain) & (_ITEMS.c.username == item.username)
    this = item.rowid == _ROW
    if item.subscription != "none":
        twin = (_ITEMS.c.jid == jid) & (_ITEMS.c.subscription == "none")
        op.execute(_ITEMS.delete().where(owner, twin))
    rename = _ITEMS.update().where(this).values(jid=jid).prefix_with("OR IGNORE")
    if op.get_bind().execute(rename).rowcount == 0:
        op.execute(_ITEMS.delete().where(this))


def _rename_within(column: Any, renamed: Mapping[str, str]) -> None:
    """Rename the domains in the texts of a column."""
    found = sa.select(_ROW, column.label("text")).where(_has_a_label(column))
    for row in op.get_bind().execute(found).all():
        rename = column.table.update().where(row.rowid == _ROW)
        op.execute(rename.values({column: _respelled(row.text, renamed)}))


def _respelled(text: str, renamed: Mapping[str, str]) -> str:
    def respelled(word: re.Match[str]) -> str:
        if word[1]:
            return word[0]
        return _DOMAIN.sub(lambda found: renamed.get(found[0], found[0]), word[0])

    return _WORD.sub(respelled, text)
