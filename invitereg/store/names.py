"""Who holds a name: an account, an invite that reserves it, or the memory of a deleted account.

Every function takes a connection within a transaction.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import bindparam, delete, or_, select, update
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.engine import Connection

from invitereg.errors import Refused, UsernameReserved, UsernameTaken
from invitereg.model import Account, Invite, Kind
from invitereg.store.tables import Time, names


class State(StrEnum):
    """What a name is held by."""

    ACCOUNT = "account"
    RESERVED = "reserved"
    DELETED = "deleted"


_OWN_OR_LAPSED = (names.c.state == State.RESERVED) & or_(
    names.c.invite_id == bindparam("mine"), names.c.until <= bindparam("now", type_=Time)
)


def _holding(*, even_deleted: bool) -> Insert:
    """Take a name that nobody holds; no row is touched if somebody does."""
    statement = insert(names)
    free = _OWN_OR_LAPSED
    return statement.on_conflict_do_update(
        index_elements=["domain", "username"],
        set_={name: statement.excluded[name] for name in ("state", "invite_id", "until")},
        where=(free | (names.c.state == State.DELETED)) if even_deleted else free,
    ).execution_options(preserve_rowcount=True)


_HOLD = _holding(even_deleted=False)
_HOLD_EVEN_DELETED = _holding(even_deleted=True)
_NAMED = (names.c.domain == bindparam("of_domain")) & (
    names.c.username == bindparam("of_username")
)
_STATE = select(names.c.state, names.c.invite_id).where(_NAMED)
_FREE = delete(names).where(
    _NAMED, names.c.state == State.RESERVED, names.c.invite_id == bindparam("of_invite")
)
_KEEP_DELETED = (
    update(names)
    .where(_NAMED)
    .values(state=State.DELETED, invite_id=None, until=bindparam("kept_until", type_=Time))
)


def take(
    connection: Connection,
    account: Account,
    invite_id: str | None,
    now: datetime,
    *,
    even_deleted: bool,
) -> None:
    """Give a name to an account that is made at ``now`` with the invite named.

    With ``even_deleted``, also one that a deleted account had.

    Raises:
        UsernameTaken, UsernameReserved: somebody else holds it.
    """
    row = {
        "domain": account.domain,
        "username": account.username,
        "state": State.ACCOUNT,
        "invite_id": None,
        "until": None,
        "mine": invite_id,
        "now": now,
    }
    statement = _HOLD_EVEN_DELETED if even_deleted else _HOLD
    if connection.execute(statement, row).rowcount != 1:
        raise _refusal(connection, account.domain, account.username)


def reserve(connection: Connection, invite: Invite, now: datetime) -> None:
    """Reserve an invite's username for as long as the invite lives; also if it does already.

    Raises:
        UsernameTaken, UsernameReserved: somebody else holds it.
    """
    if not reserves(invite):
        return
    row = {
        "domain": invite.domain,
        "username": invite.username,
        "state": State.RESERVED,
        "invite_id": invite.id,
        "until": invite.expires_at,
        "mine": invite.id,
        "now": now,
    }
    if connection.execute(_HOLD, row).rowcount != 1:
        assert invite.username is not None  # noqa: S101 - `reserves` says so
        raise _refusal(connection, invite.domain, invite.username)


def free(connection: Connection, invite: Invite) -> None:
    """Give up what an invite reserves, if it does."""
    if reserves(invite):
        which = {
            "of_domain": invite.domain,
            "of_username": invite.username,
            "of_invite": invite.id,
        }
        connection.execute(_FREE, which)


def keep_deleted(
    connection: Connection, domain: str, username: str, until: datetime | None
) -> None:
    """Keep a deleted account's name from being taken until it is purged; None is for ever."""
    which = {"of_domain": domain, "of_username": username}
    connection.execute(_KEEP_DELETED, {**which, "kept_until": until})


def mark_deleted(
    connection: Connection,
    domain: str,
    username: str,
    until: datetime | None,
    now: datetime,
) -> bool:
    """Keep a name from being taken as a deleted account's; False if it is kept already.

    Raises:
        UsernameTaken, UsernameReserved: an account or an invite holds it.
    """
    which = {"of_domain": domain, "of_username": username}
    if connection.scalar(_STATE, which) == State.DELETED:
        return False
    row = {
        "domain": domain,
        "username": username,
        "state": State.DELETED,
        "invite_id": None,
        "until": until,
        "mine": None,
        "now": now,
    }
    if connection.execute(_HOLD, row).rowcount != 1:
        raise _refusal(connection, domain, username)
    return True


def reserves(invite: Invite) -> bool:
    """Whether an invite reserves a name while it lives."""
    return invite.username is not None and invite.kind is not Kind.RESET


def _refusal(connection: Connection, domain: str, username: str) -> Refused:
    which = {"of_domain": domain, "of_username": username}
    row = connection.execute(_STATE, which).one_or_none()
    if row is None or row.state == State.ACCOUNT:
        return UsernameTaken()
    return UsernameReserved(reserved_for=row.invite_id)
