"""Ends what an account has left here that is gone at the server which kept it."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, exists, or_, select, update
from sqlalchemy.engine import Connection

from invitereg.interfaces.queries import Traces
from invitereg.model.invites import Invite, Kind
from invitereg.policy.counters import user_sources
from invitereg.store import accounts, errands, notices, resets, revoking, usednetworks
from invitereg.store.invites import REVOCABLE
from invitereg.store.leasetables import leases
from invitereg.store.tables import accounts as accounts_table
from invitereg.store.tables import invites

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
_UNDER_WAY = select(
    exists().where(
        leases.c.domain == bindparam("of_domain"), leases.c.username == bindparam("of_username")
    )
)
_TAKE_ROLES = (
    update(accounts_table)
    .where(
        accounts_table.c.domain == bindparam("of_domain"),
        accounts_table.c.username == bindparam("of_username"),
    )
    .values(roles=(), groups=())
)


def traces(connection: Connection, domain: str, username: str) -> Traces | None:
    """Return what an account has left here that would end with it; None if that is nothing.

    To be asked before the server is: see `end_gone`.
    """
    account = accounts.get(connection, domain, username)
    which = {
        "of_domain": domain,
        "of_username": username,
        "of_sources": user_sources(domain, username),
    }
    roles = account is not None and (account.roles or account.groups)
    if not roles and not connection.scalar(_HAS_INVITES, which):
        return None
    return Traces(created_at=account.created_at if account else None)


def end_gone(
    connection: Connection, domain: str, username: str, left: Traces, now: datetime
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
    account = accounts.get_locked(connection, domain, username)
    made_at = account.created_at if account else None
    if made_at != left.created_at or connection.scalar(_UNDER_WAY, which):
        return None
    connection.execute(_TAKE_ROLES, which)
    _forget(connection, domain, username, now)
    return revoking.revoke_of(connection, domain, [username], now)


def end_earlier(connection: Connection, domain: str, username: str, now: datetime) -> None:
    """End what an account has left whose name the server has given to another, made ``now``.

    That it was given is proof by itself that the earlier one is gone.
    """
    _forget(connection, domain, username, now)
    revoking.revoke_of(connection, domain, [username], now, before=now)


def _forget(connection: Connection, domain: str, username: str, now: datetime) -> None:
    resets.end_resets(connection, domain, username, now)
    notices.forget(connection, domain, username)
    usednetworks.forget(connection, domain, username)
    errands.forget_contacts(connection, domain, username)
