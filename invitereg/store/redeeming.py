"""Take a use of an invite, with all that comes of it: one conditional statement decides."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Index,
    Update,
    bindparam,
    exists,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.engine import Connection

from invitereg.errors import InvalidInvite
from invitereg.interfaces.queries import Redemption
from invitereg.model.accounts import Account, Credentials
from invitereg.model.invites import Kind, Use
from invitereg.model.roster import owner_of
from invitereg.store import changes, hits, names, notices, rosters
from invitereg.store.invites import REVOCABLE
from invitereg.store.rows import account_row, columns_of, credentials_columns, row_of, values_of
from invitereg.store.statements import OPEN, THIS_INVITE, UNEXPIRED, of_account
from invitereg.store.tables import Time, accounts, invites, uses


def _take_use(*conditions: ColumnElement[bool]) -> Update:
    return (
        update(invites)
        .where(
            THIS_INVITE,
            OPEN,
            *conditions,
        )
        .values(uses=invites.c.uses + 1, used_at=bindparam("used", type_=Time))
    )


_username: BindParameter[str] = bindparam("of_username")
# Kind and name were judged before; asked again, they cost nothing and cannot be forgotten.
_FOR_ACCOUNT = _take_use(
    invites.c.kind.not_in((Kind.RESET, Kind.CONTACT)),
    or_(invites.c.username.is_(None), invites.c.username == _username),
)
_FOR_RESET = _take_use(invites.c.kind == Kind.RESET, invites.c.username == _username)
_ADD_USE = insert(uses).inline()
_ADD_USE_NUMBERED = insert(uses).returning(uses.c.seq)
_ADD_ACCOUNT = insert(accounts).inline()
_SET_CREDENTIALS = update(accounts).where(of_account(accounts))
_LIST = (
    select(*columns_of(Use, uses))
    .where(uses.c.domain == bindparam("of_domain"))
    .order_by(uses.c.seq)
)
_LIST_OF_INVITE = _LIST.where(uses.c.invite_id == bindparam("of_id"))


def redeem(connection: Connection, redemption: Redemption) -> None:
    """Make an account in one transaction with use, count, name, contacts and notices.

    Raises:
        InvalidInvite: revoked, used up or gone, or not for this. Expiry is not asked again.
        Throttled: a counter is at its limit.
        UsernameTaken, UsernameReserved: the name is not free for this invite.
    """
    account, use = redemption.account, redemption.use
    take(connection, redemption)
    names.take(connection, account, use.invite_id, use.at, even_deleted=redemption.operator)
    record(connection, redemption)
    if redemption.contact is not None:
        owner, limit = (account.domain, account.username), redemption.roster_limit
        jid = rosters.join(connection, owner, redemption.contact, limit)
        if jid is not None:
            mine = f"{account.username}@{account.domain}"
            changes.add_roster_changes(connection, [owner_of(jid)], mine, use.at)


def take(connection: Connection, redemption: Redemption) -> tuple[int, ...]:
    """Take a use of the invite, and count; returns the numbers of the hits.

    Raises:
        InvalidInvite, Throttled: see `redeem`.
    """
    use = redemption.use
    if use.invite_id is not None:
        _decide(connection, _FOR_ACCOUNT, use)
    return hits.add(connection, use.domain, redemption.counters, use.at)


def take_reset(connection: Connection, use: Use) -> None:
    """Take the use of a reset; raises InvalidInvite."""
    _decide(connection, _FOR_RESET, use)


def record(connection: Connection, redemption: Redemption) -> None:
    """Store an account, whose name is taken already, and the use that made it."""
    account = redemption.account
    add_account(connection, account)
    # Nobody is told what an earlier bearer of the name was to be told.
    notices.forget(connection, account.domain, account.username)
    if redemption.notices:
        (seq,) = connection.execute(_ADD_USE_NUMBERED, row_of(redemption.use)).one()
        notices.add(connection, redemption.notices, seq)
    else:
        add_use(connection, redemption.use)


def add_account(connection: Connection, account: Account) -> None:
    """Store an account whose name is taken already."""
    connection.execute(_ADD_ACCOUNT, account_row(account))


def add_use(connection: Connection, use: Use) -> None:
    """Add a use to the history."""
    connection.execute(_ADD_USE, row_of(use))


def reset(connection: Connection, use: Use, credentials: Credentials) -> None:
    """Set an account's password by a reset invite: use, password and session end at once.

    All other resets of the account are over with it.

    Raises:
        InvalidInvite: revoked, used up or gone, or the account is gone.
    """
    which = {"of_domain": use.domain, "of_username": use.username}
    change = credentials_columns(credentials)
    if connection.execute(_SET_CREDENTIALS, {**which, **change}).rowcount != 1:
        raise InvalidInvite
    # After the account's row: who sets its password at the same moment waits there for us.
    take_reset(connection, use)
    end_resets(connection, use.domain, use.username, credentials.changed_at)
    add_use(connection, use)
    changes.end_sessions(connection, use.domain, use.username, credentials.changed_at)


def list_uses(
    connection: Connection, domain: str, invite_id: str | None = None
) -> Sequence[Use]:
    """Return the history, oldest first: all of a domain, or that of one invite."""
    listed = _LIST if invite_id is None else _LIST_OF_INVITE
    rows = connection.execute(listed, {"of_domain": domain, "of_id": invite_id})
    return values_of(Use, rows)


def _decide(connection: Connection, statement: Update, use: Use) -> None:
    which: dict[str, object] = {
        "of_domain": use.domain,
        "of_id": use.invite_id,
        "of_username": use.username,
        "used": use.at,
    }
    if connection.execute(statement, which).rowcount != 1:
        raise InvalidInvite


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
_END_RESETS = (
    update(invites)
    .where(
        of_account(invites),
        invites.c.kind == Kind.RESET,
        REVOCABLE,
    )
    .values(revoked_at=bindparam("now", type_=Time))
)
_HAS_OPEN_RESET = select(
    exists().where(invites.c.domain == bindparam("of_domain"), _OPEN_RESET, UNEXPIRED)
)


def has_open_reset(connection: Connection, domain: str, now: datetime) -> bool:
    """Return whether some account of a domain has a reset that can be used now."""
    return bool(connection.scalar(_HAS_OPEN_RESET, {"of_domain": domain, "now": now}))


def end_resets(connection: Connection, domain: str, username: str, now: datetime) -> int:
    """Revoke the resets of an account that are not used; returns how many there were.

    Who has a new password needs none of them; somebody else may have them.
    """
    which = {"of_domain": domain, "of_username": username, "now": now}
    return connection.execute(_END_RESETS, which).rowcount
