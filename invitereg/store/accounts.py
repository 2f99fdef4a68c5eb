"""The accounts' jobs: each takes a connection and does one thing."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.engine import Connection

from invitereg.errors import NotFound
from invitereg.model import Account, Credentials, Kind
from invitereg.store import errands, names, notices, revoking, rosterchanges, rosters, sessions
from invitereg.store.invites import REVOCABLE
from invitereg.store.rows import account_of, credentials_columns
from invitereg.store.tables import Time, Words, accounts, invites, settings

_THIS = (accounts.c.domain == bindparam("of_domain")) & (
    accounts.c.username == bindparam("of_username")
)
_GET = select(accounts).where(_THIS)
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
_SINCE = accounts.c.changed_at == bindparam("since", type_=Time)
_SET_CREDENTIALS = (
    update(accounts)
    .where(_THIS, _SINCE)
    .values(
        credentials=bindparam("new_credentials"), changed_at=bindparam("from_now", type_=Time)
    )
)
_DELETE = delete(accounts).where(_THIS)
# Expired ones too: edited later, they must not open an account that is new by then.
_REVOKE_RESETS = (
    update(invites)
    .where(
        invites.c.domain == bindparam("of_domain"),
        invites.c.username == bindparam("of_username"),
        invites.c.kind == Kind.RESET,
        REVOCABLE,
    )
    .values(revoked_at=bindparam("now", type_=Time))
)
_SERVER_KEY = select(settings.c.value).where(settings.c.name == "server_key")


def get(connection: Connection, domain: str, username: str) -> Account | None:
    """See `IAccountStore.get_account`."""
    row = connection.execute(_GET, {"of_domain": domain, "of_username": username}).first()
    return None if row is None else account_of(row)


def list_page(
    connection: Connection, domain: str, limit: int | None, after: str | None
) -> Sequence[Account]:
    """See `IAccountStore.list_accounts`."""
    page = select(accounts).where(accounts.c.domain == domain)
    if after is not None:
        page = page.where(accounts.c.username > after)
    page = page.order_by(accounts.c.username).limit(limit)
    return [account_of(row) for row in connection.execute(page)]


def list_names(connection: Connection, domain: str) -> Sequence[str]:
    """See `IAccountStore.list_usernames`."""
    return connection.scalars(_NAMES, {"of_domain": domain}).all()


def set_credentials(
    connection: Connection,
    domain: str,
    username: str,
    credentials: Credentials,
    since: datetime,
) -> None:
    """See `IAccountStore.set_credentials`."""
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
    sessions.end(connection, domain, username, credentials.changed_at)


def remove(
    connection: Connection,
    domain: str,
    username: str,
    now: datetime,
    until: datetime | None,
    since: datetime | None,
) -> None:
    """See `IAccountStore.delete_account`."""
    which = {"of_domain": domain, "of_username": username}
    contacts = rosters.remove_all(connection, domain, username)
    rosterchanges.add(connection, contacts, f"{username}@{domain}", now)
    this = _DELETE if since is None else _DELETE.where(_SINCE)
    if connection.execute(this, {**which, "since": since}).rowcount != 1:
        raise _not_found(domain, username)
    names.keep_deleted(connection, domain, username, until)
    connection.execute(_REVOKE_RESETS, {**which, "now": now})
    revoking.revoke_of(connection, domain, [username], now)
    notices.forget(connection, domain, username)
    errands.forget_contacts(connection, domain, username)
    sessions.end(connection, domain, username, now)


def change_roles(
    connection: Connection,
    domain: str,
    username: str,
    add: frozenset[str],
    remove: frozenset[str],
) -> Account:
    """See `IAccountStore.change_roles`."""
    which = {"of_domain": domain, "of_username": username}
    roles = connection.scalar(_ROLES, which)
    if roles is None:
        raise _not_found(domain, username)
    changed = tuple(sorted((set(roles) | add) - remove))
    return account_of(connection.execute(_SET_ROLES, {**which, "new_roles": changed}).one())


def server_key(connection: Connection) -> bytes:
    """See `IAccountStore.server_key`."""
    key: bytes = connection.execute(_SERVER_KEY).scalar_one()
    return key


def _not_found(domain: str, username: str) -> NotFound:
    return NotFound(f"There is no account {username}@{domain}.")
