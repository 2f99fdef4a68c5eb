"""Requires that whoever makes or changes an invite may still do so when it is stored.

A request may be under way while its key is revoked, or its account is deleted: what these have
made is ended then, and nothing is added later.
"""

from sqlalchemy import bindparam, exists, select
from sqlalchemy.engine import Connection

from invitereg.errors import NotFound
from invitereg.store.names import State
from invitereg.store.tables import api_keys, names

_KEY_IS_REVOKED = select(
    exists().where(api_keys.c.id == bindparam("of_key"), api_keys.c.revoked_at.is_not(None))
)
_IS_DELETED = select(
    exists().where(
        names.c.domain == bindparam("of_domain"),
        names.c.username == bindparam("of_username"),
        names.c.state == State.DELETED,
    )
)


def require_maker(connection: Connection, source: str) -> None:
    """Raise NotFound if the key, or the account, that makes or changes an invite is over."""
    door, _, maker = source.partition(":")
    if door == "api":
        over = connection.scalar(_KEY_IS_REVOKED, {"of_key": maker})
    else:
        username, _, domain = maker.rpartition("@")
        which = {"of_domain": domain, "of_username": username}
        over = bool(username) and connection.scalar(_IS_DELETED, which)
    if over:
        raise NotFound(f"Who makes or changes the invite is over by now: {source}.")
