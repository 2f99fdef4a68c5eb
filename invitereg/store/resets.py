"""Finds and ends the links that set an account's password.

Every function takes a connection within a transaction.
"""

from datetime import datetime

from sqlalchemy import Index, bindparam, exists, literal_column, select, update
from sqlalchemy.engine import Connection

from invitereg.model.invites import Kind
from invitereg.store.invites import OPEN, REVOCABLE, UNEXPIRED
from invitereg.store.tables import Time, invites

# Written out, as SQLite takes an index for a query only whose conditions are the same.
_OPEN_RESET = (invites.c.kind == literal_column(f"'{Kind.RESET}'")) & OPEN
# Strangers ask for it by each stream that they open where registration is closed.
Index(
    "invites_open_resets",
    *(invites.c.domain, invites.c.expires_at),
    sqlite_where=_OPEN_RESET,
    postgresql_where=_OPEN_RESET,
)

# Expired ones too: they must not open the account that has the name later.
_REVOKE = (
    update(invites)
    .where(
        invites.c.domain == bindparam("of_domain"),
        invites.c.username == bindparam("of_username"),
        invites.c.kind == Kind.RESET,
        REVOCABLE,
    )
    .values(revoked_at=bindparam("now", type_=Time))
)
_HAS_OPEN = select(
    exists().where(invites.c.domain == bindparam("of_domain"), _OPEN_RESET, UNEXPIRED)
)


def has_open(connection: Connection, domain: str, now: datetime) -> bool:
    """Return whether some account of a domain has a reset that can be used now."""
    return bool(connection.scalar(_HAS_OPEN, {"of_domain": domain, "now": now}))


def end_resets(connection: Connection, domain: str, username: str, now: datetime) -> int:
    """Revoke the resets of an account that are not used; returns how many there were.

    Who has a new password needs none of them; somebody else may have them.
    """
    which = {"of_domain": domain, "of_username": username, "now": now}
    return connection.execute(_REVOKE, which).rowcount
