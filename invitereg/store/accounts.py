"""Keep accounts, and end what is theirs when they are deleted: invites, roles, sessions."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, delete, exists, or_, select, update
from sqlalchemy.engine import Connection

from invitereg.errors import NotFound
from invitereg.interfaces.queries import AccountTraces
from invitereg.model.accounts import Account, Credentials
from invitereg.model.invites import Invite, Kind
from invitereg.policy.counters import user_sources
from invitereg.store import branches, changes, jobs, logins, names, notices, redeeming, rosters
from invitereg.store.invites import REVOCABLE
from invitereg.store.rows import account_of, credentials_columns
from invitereg.store.statements import of_account
from invitereg.store.tables import Time, accounts, invites, leases
from invitereg.store.tables import names as names_table

_THIS = of_account(accounts)
_GET = select(accounts).where(_THIS)
_GET_LOCKED = _GET.with_for_update()
_ROLES = select(accounts.c.roles).where(_THIS).with_for_update()
_SET_ROLES = update(accounts).where(_THIS).returning(*accounts.c)
_SINCE = accounts.c.changed_at == bindparam("since", type_=Time)
_SET_CREDENTIALS = update(accounts).where(_THIS, _SINCE)
_DELETE = delete(accounts).where(_THIS)


def get(connection: Connection, domain: str, username: str) -> Account | None:
    """Return an account with its credentials, or None."""
    row = connection.execute(_GET, {"of_domain": domain, "of_username": username}).first()
    return None if row is None else account_of(row)


def get_locked(connection: Connection, domain: str, username: str) -> Account | None:
    """Return an account as `get`, and lock it until the end of the transaction."""
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
    table = names_table if deleted else accounts
    listed = select(table.c.username).where(table.c.domain == domain)
    if deleted:
        listed = listed.where(table.c.state == names.State.DELETED)
    return connection.scalars(listed.order_by(table.c.username)).all()


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
    which = {"of_domain": domain, "of_username": username, "since": since}
    change = credentials_columns(credentials)
    if connection.execute(_SET_CREDENTIALS, {**which, **change}).rowcount != 1:
        raise _not_found(domain, username)
    redeeming.end_resets(connection, domain, username, credentials.changed_at)
    changes.end_sessions(connection, domain, username, credentials.changed_at)


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
    changes.add_roster_changes(connection, contacts, f"{username}@{domain}", now)
    this = _DELETE if since is None else _DELETE.where(_SINCE)
    if connection.execute(this, {**which, "since": since}).rowcount != 1:
        raise _not_found(domain, username)
    names.keep_deleted(connection, domain, username, until)
    _forget(connection, domain, username, now)
    branches.revoke_of(connection, domain, [username], now)
    changes.end_sessions(connection, domain, username, now)


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
    return account_of(connection.execute(_SET_ROLES, {**which, "roles": changed}).one())


def _not_found(domain: str, username: str) -> NotFound:
    return NotFound(f"There is no account {username}@{domain}.")


_HAS_INVITES = select(
    or_(
        *(
            exists().where(invites.c.domain == bindparam("of_domain"), condition, REVOCABLE)
            for condition in (
                invites.c.inviter == bindparam("of_username"),
                invites.c.source.in_(bindparam("of_sources", expanding=True)),
                (invites.c.username == bindparam("of_username"))
                & (invites.c.kind == Kind.RESET),
            )
        )
    )
)
UNDER_WAY = select(exists().where(of_account(leases)))
"""Whether a registration or a reset of an account is under way at its server."""
_TAKE_ROLES = update(accounts).where(_THIS).values(roles=(), groups=())


def traces(connection: Connection, domain: str, username: str) -> AccountTraces | None:
    """Return the rows about an account that would end with it; None without any.

    To be asked before the server is: see `end_gone`.
    """
    account = get(connection, domain, username)
    which = {
        "of_domain": domain,
        "of_username": username,
        "of_sources": user_sources(domain, username),
    }
    roles = account is not None and (account.roles or account.groups)
    if not roles and not connection.scalar(_HAS_INVITES, which):
        return None
    return AccountTraces(created_at=account.created_at if account else None)


def end_gone(
    connection: Connection, domain: str, username: str, left: AccountTraces, now: datetime
) -> Sequence[Invite] | None:
    """End the open invites, the resets, the roles and the groups of an account that is gone.

    So the next account of that name at the server has none of them. The name is held by what
    holds it now, and what the server said by mistake can be given again.

    Nothing is done if the account was made, or is being made, since ``left`` was asked for: the
    server's answer may be older than that.

    Returns:
        The invites that were open, and the resets that it made, as they are then; None if
        nothing was done.
    """
    which = {"of_domain": domain, "of_username": username}
    account = get_locked(connection, domain, username)
    made_at = account.created_at if account else None
    if made_at != left.created_at or connection.scalar(UNDER_WAY, which):
        return None
    connection.execute(_TAKE_ROLES, which)
    _forget(connection, domain, username, now)
    return branches.revoke_of(connection, domain, [username], now)


def end_earlier(connection: Connection, domain: str, username: str, now: datetime) -> None:
    """End what an account has left whose name the server has given to another, made ``now``.

    That it was given is proof by itself that the earlier one is gone.
    """
    _forget(connection, domain, username, now)
    branches.revoke_of(connection, domain, [username], now, before=now)


def _forget(connection: Connection, domain: str, username: str, now: datetime) -> None:
    redeeming.end_resets(connection, domain, username, now)
    notices.forget(connection, domain, username)
    logins.forget(connection, domain, username)
    jobs.forget_contacts(connection, domain, username)
