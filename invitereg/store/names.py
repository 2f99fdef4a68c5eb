"""Keep who holds a name: an account, an invite that reserves it, or a deleted account.

Every function takes a connection within a transaction.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import bindparam, delete, or_, select, update
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.engine import Connection

from invitereg.errors import UsernameReserved, UsernameTaken
from invitereg.model.accounts import Account
from invitereg.model.invites import Invite, Kind
from invitereg.store.statements import of_account
from invitereg.store.tables import Time, names


class State(StrEnum):
    """The kinds of holders of a name."""

    ACCOUNT = "account"
    RESERVED = "reserved"
    DELETED = "deleted"
    LEASED = "leased"


Held = dict[str, str | None]
"""The holder of a name before it was leased, as JSON: ``state``, ``invite_id``, ``until``."""


_OWN_OR_LAPSED = (names.c.state == State.RESERVED) & or_(
    names.c.invite_id == bindparam("mine"), names.c.until <= bindparam("now", type_=Time)
)


def _holding(*, even_deleted: bool) -> Insert:
    """Return a statement that takes a name; no row changes if somebody holds it."""
    statement = insert(names)
    free = _OWN_OR_LAPSED
    return statement.on_conflict_do_update(
        index_elements=["domain", "username"],
        set_={name: statement.excluded[name] for name in ("state", "invite_id", "until")},
        where=(free | (names.c.state == State.DELETED)) if even_deleted else free,
    ).execution_options(preserve_rowcount=True)


_HOLD = _holding(even_deleted=False)
_HOLD_EVEN_DELETED = _holding(even_deleted=True)
_NAMED = of_account(names)
_STATE = select(names.c.state, names.c.invite_id).where(_NAMED)
_HELD = select(names.c.state, names.c.invite_id, names.c.until).where(_NAMED).with_for_update()
_LEASED = _NAMED & (names.c.state == State.LEASED)
_FILL = update(names).where(_LEASED).values(state=State.ACCOUNT)
_GIVE_BACK = update(names).where(_LEASED)
_LET_GO = delete(names).where(_LEASED)
_FREE = delete(names).where(
    _NAMED, names.c.state == State.RESERVED, names.c.invite_id == bindparam("of_invite")
)
_KEEP_DELETED = update(names).where(_NAMED).values(state=State.DELETED, invite_id=None)


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
    name = (account.domain, account.username)
    _hold(connection, name, State.ACCOUNT, now, mine=invite_id, even_deleted=even_deleted)


def lease(
    connection: Connection,
    account: Account,
    invite_id: str | None,
    now: datetime,
    *,
    even_deleted: bool,
) -> Held | None:
    """Take a name for an account that may be made; return what held it before, if anything.

    Raises as `take`.
    """
    name = (account.domain, account.username)
    held = connection.execute(_HELD, _which(*name)).one_or_none()
    _hold(connection, name, State.LEASED, now, mine=invite_id, even_deleted=even_deleted)
    if held is None:
        return None
    until = held.until and held.until.isoformat()
    return {"state": held.state, "invite_id": held.invite_id, "until": until}


def fill(connection: Connection, domain: str, username: str) -> None:
    """Turn a leased name into an account's."""
    connection.execute(_FILL, _which(domain, username))


def give_back(connection: Connection, domain: str, username: str, held: Held | None) -> None:
    """Give a leased name to what held it before."""
    which = _which(domain, username)
    if held is None:
        connection.execute(_LET_GO, which)
        return
    until = held["until"] and datetime.fromisoformat(held["until"])
    connection.execute(_GIVE_BACK, {**which, **held, "until": until})


def reserve(connection: Connection, invite: Invite, now: datetime) -> None:
    """Reserve an invite's username until the invite ends; if it is reserved, reserve it again.

    Raises:
        UsernameTaken, UsernameReserved: somebody else holds it.
    """
    if name := reserved_name(invite):
        until = invite.expires_at
        _hold(connection, name, State.RESERVED, now, mine=invite.id, until=until)


def free(connection: Connection, invite: Invite) -> None:
    """Free the name that an invite reserves, if it reserves one."""
    if name := reserved_name(invite):
        connection.execute(_FREE, {**_which(*name), "of_invite": invite.id})


def keep_deleted(
    connection: Connection, domain: str, username: str, until: datetime | None
) -> None:
    """Keep a deleted account's name from being taken until it is purged; None is for ever."""
    connection.execute(_KEEP_DELETED, {**_which(domain, username), "until": until})


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
    if connection.scalar(_STATE, _which(domain, username)) == State.DELETED:
        return False
    _hold(connection, (domain, username), State.DELETED, now, until=until)
    return True


def reserved_name(invite: Invite) -> tuple[str, str] | None:
    """Return the domain and the username that an invite reserves until it ends, or None."""
    if invite.username is None or invite.kind is Kind.RESET:
        return None
    return invite.domain, invite.username


def _hold(
    connection: Connection,
    name: tuple[str, str],
    state: State,
    now: datetime,
    *,
    mine: str | None = None,
    until: datetime | None = None,
    even_deleted: bool = False,
) -> None:
    """Let a name be held, if it is free for the invite ``mine``; raise as `take`."""
    row = {
        "domain": name[0],
        "username": name[1],
        "state": state,
        "invite_id": mine if state is State.RESERVED else None,
        "until": until,
        "mine": mine,
        "now": now,
    }
    statement = _HOLD_EVEN_DELETED if even_deleted else _HOLD
    if connection.execute(statement, row).rowcount != 1:
        holder = connection.execute(_STATE, _which(*name)).one_or_none()
        if holder is None or holder.state in (State.ACCOUNT, State.LEASED):
            raise UsernameTaken
        raise UsernameReserved(reserved_for=holder.invite_id)


def _which(domain: str, username: str) -> dict[str, object]:
    return {"of_domain": domain, "of_username": username}
