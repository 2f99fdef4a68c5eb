"""Parts of SQL statements that several modules use: conditions, inserts and deletes."""

from sqlalchemy import (
    ColumnElement,
    Delete,
    Integer,
    Table,
    bindparam,
    delete,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.sqlite import Insert, insert

from invitereg.store.tables import Time, invites

THIS_INVITE = (invites.c.domain == bindparam("of_domain")) & (
    invites.c.id == bindparam("of_id")
)
USES_LEFT = or_(invites.c.uses_allowed.is_(None), invites.c.uses < invites.c.uses_allowed)
OPEN = invites.c.revoked_at.is_(None) & USES_LEFT
"""An invite is neither revoked nor used up."""
UNEXPIRED = or_(
    invites.c.expires_at.is_(None), invites.c.expires_at > bindparam("now", type_=Time)
)
"""An invite has not expired at ``now``."""


def of_account(table: Table) -> ColumnElement[bool]:
    """Return the condition that a row is of the account ``of_username`` at ``of_domain``."""
    is_at = table.c.domain == bindparam("of_domain")
    return is_at & (table.c.username == bindparam("of_username"))


def insert_new(table: Table) -> Insert:
    """Return a statement that adds rows, but none that is there; its row count is how many."""
    statement = insert(table).on_conflict_do_nothing().inline()
    return statement.execution_options(preserve_rowcount=True)


def delete_some(table: Table, *conditions: ColumnElement[bool]) -> Delete:
    """Return a statement that deletes at most ``most`` rows: nobody waits long for it."""
    keys = tuple(table.primary_key)
    key = keys[0] if len(keys) == 1 else tuple_(*keys)
    chosen = select(*keys).where(*conditions).limit(bindparam("most", type_=Integer))
    return delete(table).where(key.in_(chosen))
