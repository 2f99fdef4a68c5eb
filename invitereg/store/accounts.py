"""The accounts' jobs: each takes a connection and does one thing."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.engine import Connection

from invitereg.errors import NotFound
from invitereg.model.accounts import Account, Credentials
from invitereg.store import (
    errands,
    names,
    notices,
    resets,
    revoking,
    rosterchanges,
    rosters,
    sessions,
    usednetworks,
)
from invitereg.store.rows import account_of, credentials_columns
from invitereg.store.tables import Time, Words, accounts
from invitereg.store.tables import names as names_table

_THIS = (accounts.c.domain == bindparam("of_domain")) & (
    accounts.c.username == bindparam("of_username")
)
_GET = select(accounts).where(_THIS)
_GET_LOCKED = _GET.with_for_update()
_ROLES = select(accounts.c.roles).where(_THIS).with_for_update()
_SET_ROLES = (
    update(accounts)
    .where(_THIS)
    .values(roles=bindparam("new_roles", type_=Words))
    .returning(*accounts.c)
)
_NAMES = (
    select(accounts.c.username)
    .where(accounts.c.domain == bindparam("of_domain"))
    .order_by(accounts.c.username)
)
_DELETED_NAMES = (
    select(names_table.c.username)
    .where(
        names_table.c.domain == bindparam("of_domain"),
        names_table.c.state == names.State.DELETED,
    )
    .order_by(names_table.c.username)
)
_SINCE = accounts.c.changed_at == bindparam("since", type_=Time)
_SET_CREDENTIALS = (
    update(accounts)
    .where(_THIS, _SINCE)
    .values(
        credentials=bindparam("new_credentials"), changed_at=bindparam("from_now", type_=Time)
    )
)
_DELETE = delete(accounts).where(_THIS)


def get(connection: Connection, domain: str, username: str) -> Account | None:
    """Return an account with its credentials, or None."""
    row = connection.execute(_GET, {"of_domain": domain, "of_username": username}).first()
    return None if row is None else account_of(row)


def get_locked(connection: Connection, domain: str, username: str) -> Account | None:
    """As `get`; whoever changes the account meanwhile waits for the end of the transaction."""
    which = {"of_domain": domain, "of_username": username}
    row = connection.execute(_GET_LOCKED, which).first()
    return None if row is None else account_of(row)


def list_page(
    connection: Connection, domain: str, limit: int | None = None, after: str | None = None
) -> Sequence[Account]:
    """Return at most ``limit`` accounts in the order of their names, after the one named."""
    page = select(accounts).where(accounts.c.domain == domain)
    if after is not None:
        page = page.where(accounts.c.username > after)
    page = page.order_by(accounts.c.username).limit(limit)
    return [account_of(row) for row in connection.execute(page)]


def list_names(connection: Connection, domain: str, deleted: bool = False) -> Sequence[str]:
    """Return the names of all accounts, in order; nothing else of them is read.

    With ``deleted``, those of deleted accounts instead, as far as they are kept.
    """
    statement = _DELETED_NAMES if deleted else _NAMES
    return connection.scalars(statement, {"of_domain": domain}).all()


def set_credentials(
    connection: Connection,
    domain: str,
    username: str,
    credentials: Credentials,
    since: datetime,
) -> None:
    """Set a password, and end the sessions of the old one, which was set at ``since``.

    The resets of the account end as well.

    Raises:
        NotFound: no such account, or its password is not that old one any more.
    """
    columns = credentials_columns(credentials)
    change = {
        "of_domain": domain,
        "of_username": username,
        "since": since,
        "new_credentials": columns["credentials"],
        "from_now": columns["changed_at"],
    }
    if connection.execute(_SET_CREDENTIALS, change).rowcount != 1:
        raise _not_found(domain, username)
    resets.end_resets(connection, domain, username, credentials.changed_at)
    sessions.end(connection, domain, username, credentials.changed_at)


def remove(
    connection: Connection,
    domain: str,
    username: str,
    now: datetime,
    *,
    until: datetime | None = None,
    since: datetime | None = None,
) -> None:
    """Delete an account with all that is its own, at once.

    Its name is kept from being taken, until `purging.purge_names` frees it after
    ``until``; None is never. Its open invites are revoked, the resets that it made and those
    of its password too, its sessions end, and what it was to be told is forgotten. Its roster
    goes, and who had it as a contact sees it no more. It must still have the password that was
    set at ``since``; None asks for none.

    Raises:
        NotFound: no such account, or its password is not that one any more.
    """
    which = {"of_domain": domain, "of_username": username}
    contacts = rosters.remove_all(connection, domain, username)
    rosterchanges.add(connection, contacts, f"{username}@{domain}", now)
    this = _DELETE if since is None else _DELETE.where(_SINCE)
    if connection.execute(this, {**which, "since": since}).rowcount != 1:
        raise _not_found(domain, username)
    names.keep_deleted(connection, domain, username, until)
    resets.end_resets(connection, domain, username, now)
    revoking.revoke_of(connection, domain, [username], now)
    notices.forget(connection, domain, username)
    usednetworks.forget(connection, domain, username)
    errands.forget_contacts(connection, domain, username)
    sessions.end(connection, domain, username, now)


def change_roles(
    connection: Connection,
    domain: str,
    username: str,
    add: frozenset[str],
    remove: frozenset[str],
) -> Account:
    """Add and remove roles; returns the account as it is then, roles sorted.

    Raises:
        NotFound: no such account.
    """
    which = {"of_domain": domain, "of_username": username}
    roles = connection.scalar(_ROLES, which)
    if roles is None:
        raise _not_found(domain, username)
    changed = tuple(sorted((set(roles) | add) - remove))
    return account_of(connection.execute(_SET_ROLES, {**which, "new_roles": changed}).one())


def _not_found(domain: str, username: str) -> NotFound:
    return NotFound(f"There is no account {username}@{domain}.")
