"""Revokes what somebody has made, or a whole branch of the tree of invites, in one go."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, exists, select, update
from sqlalchemy.engine import Connection

from invitereg.errors import NotFound
from invitereg.model import Invite
from invitereg.store import names
from invitereg.store.invites import REVOCABLE
from invitereg.store.redeeming import list_uses
from invitereg.store.rows import invite_of
from invitereg.store.tables import Time, invites
from invitereg.store.tables import names as names_table
from invitereg.tree import Tree

_NAMES_AT_ONCE = 500  # SQLite takes 32,766 parameters in a statement

_columns = [column for column in invites.c if column.name != "digest"]
_REVOKE = (
    update(invites)
    .where(
        invites.c.domain == bindparam("of_domain"),
        invites.c.inviter.in_(bindparam("inviters", expanding=True)),
        REVOCABLE,
    )
    .values(revoked_at=bindparam("now", type_=Time))
    .returning(*_columns)
)
_IS_KNOWN = select(
    exists().where(
        names_table.c.domain == bindparam("of_domain"),
        names_table.c.username == bindparam("of_username"),
        names_table.c.state.in_((names.State.ACCOUNT, names.State.DELETED)),
    )
)


def revoke_of(
    connection: Connection, domain: str, usernames: Iterable[str], now: datetime
) -> Sequence[Invite]:
    """Revoke the open invites that these users have made, and free the names they reserve."""
    rows: list[Any] = []
    inviters = sorted(usernames)
    for start in range(0, len(inviters), _NAMES_AT_ONCE):
        some = inviters[start : start + _NAMES_AT_ONCE]
        which = {"of_domain": domain, "inviters": some, "now": now}
        rows += connection.execute(_REVOKE, which).all()
    revoked = [invite_of(row) for row in sorted(rows, key=lambda row: row.seq)]
    for invite in revoked:
        names.free(connection, invite)
    return revoked


def revoke_branch(
    connection: Connection, domain: str, username: str, now: datetime
) -> Sequence[Invite]:
    """Revoke the open invites of a user and of all who came through them, at once.

    Who came through whom is told by the history, as `invitereg.tree` reads it; so those
    who came through accounts that are deleted by now are among them.

    Returns:
        The invites that were open, as they are then, in the order of their making.

    Raises:
        NotFound: the domain has never known anybody of that name.
    """
    tree = Tree(list_uses(connection, domain))
    known = {"of_domain": domain, "of_username": username}
    if not tree.of(username) and not connection.scalar(_IS_KNOWN, known):
        raise NotFound(f"Nobody of the name {username} has ever been at {domain}.")
    return revoke_of(connection, domain, tree.branch(username), now)
