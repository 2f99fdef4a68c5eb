"""Hold what a registration takes until another server has made its account, or has not."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.engine import Connection

from invitereg.errors import InvalidInvite, Overloaded, UsernameTaken
from invitereg.interfaces.leases import Job, Lease, Task
from invitereg.interfaces.queries import Redemption
from invitereg.model.accounts import Account
from invitereg.model.invites import Invite, Kind, Use
from invitereg.store import accounts, changes, hits, jobs, names, redeeming
from invitereg.store.rows import redemption_of, redemption_text, value_of
from invitereg.store.statements import THIS_INVITE
from invitereg.store.tables import Time, invites, leases

_AT_MOST = 100
_RETRY_SECONDS = 1.0

_ADD = insert(leases).returning(leases.c.number)
_TAKE_AWAY = (
    delete(leases).where(leases.c.number == bindparam("of_number")).returning(*leases.c)
)
_OPEN = (
    select(leases)
    .where(
        leases.c.domain == bindparam("of_domain"),
        leases.c.at <= bindparam("before", type_=Time),
    )
    .order_by(leases.c.number)
    .limit(_AT_MOST)
)
_GIVE_USE_BACK = (
    update(invites)
    .where(
        THIS_INVITE,
        invites.c.uses > 0,
    )
    .values(uses=invites.c.uses - 1)
)
_REVOKED = select(invites).where(THIS_INVITE, invites.c.revoked_at.is_not(None))


def reserve(connection: Connection, redemption: Redemption, now: datetime) -> Lease:
    """Take all that a registration takes, before its account is made.

    The name is taken for everybody else meanwhile.

    For a reset, its use is taken; the account must be known. One at a time sets the password of
    an account: the next would set another after the first has ended its link.

    Raises as `redeeming.redeem`, and `redeeming.reset` for a reset, and:
        Overloaded: a reset of the account is under way.
    """
    account, use = redemption.account, redemption.use
    redemption = replace(redemption, account=replace(account, credentials=None))
    counted: tuple[int, ...] = ()
    held = None
    if use.kind is Kind.RESET:
        known = accounts.get_locked(connection, use.domain, use.username)
        if known is None:
            raise InvalidInvite
        redeeming.take_reset(connection, use)
        which = {"of_domain": use.domain, "of_username": use.username}
        # Of an account that is there, only a reset can be under way.
        if connection.scalar(accounts.UNDER_WAY, which):
            raise Overloaded(retry_after=_RETRY_SECONDS)
        redemption = replace(redemption, account=replace(known, credentials=None))
    else:
        counted = redeeming.take(connection, redemption)
        held = names.lease(
            connection, account, use.invite_id, use.at, even_deleted=redemption.operator
        )
    row = {
        "domain": use.domain,
        "username": use.username,
        "at": now,
        "hits": counted,
        "held": held,
        "redemption": redemption_text(redemption),
    }
    number = connection.scalar(_ADD, row)
    return Lease(number=int(number or 0), redemption=replace(redemption, counters=()), at=now)


def complete(connection: Connection, number: int) -> bool:
    """Write down all of a redemption, as the account was made, or the password set.

    Contacts become a job. False, and nothing is done, if the lease is gone.
    """
    row = connection.execute(_TAKE_AWAY, {"of_number": number}).one_or_none()
    if row is None:
        return False
    redemption = redemption_of(row.redemption)
    use = redemption.use
    if use.kind is Kind.RESET:
        redeeming.add_use(connection, use)
        redeeming.end_resets(connection, use.domain, use.username, use.at)
        changes.end_sessions(connection, use.domain, use.username, use.at)
        # Those sessions which were opened with the old password.
        job = Job(domain=use.domain, username=use.username, task=Task.END_SESSIONS, at=use.at)
        jobs.add(connection, job)
        return True
    names.fill(connection, use.domain, use.username)
    accounts.end_earlier(connection, use.domain, use.username, row.at)
    redeeming.record(connection, redemption)
    if redemption.contact is not None:
        job = Job(
            domain=use.domain,
            username=use.username,
            task=Task.CONTACTS,
            at=use.at,
            details={"contact": redemption.contact},
        )
        jobs.add(connection, job)
    return True


def release(connection: Connection, number: int) -> bool:
    """Give back what was taken, as nothing was made. False if the lease is gone."""
    row = connection.execute(_TAKE_AWAY, {"of_number": number}).one_or_none()
    if row is None:
        return False
    redemption = redemption_of(row.redemption)
    use = redemption.use
    if use.invite_id is not None and not _is_past(connection, redemption):
        connection.execute(_GIVE_USE_BACK, {"of_domain": use.domain, "of_id": use.invite_id})
    hits.remove(connection, row.hits)
    if use.kind is not Kind.RESET:
        names.give_back(connection, use.domain, use.username, row.held)
        _free_if_revoked(connection, use)
    return True


def _free_if_revoked(connection: Connection, use: Use) -> None:
    """Free the name that an invite reserves which was revoked while its use was undecided."""
    if use.invite_id is not None:
        which = {"of_domain": use.domain, "of_id": use.invite_id}
        row = connection.execute(_REVOKED, which).one_or_none()
        if row is not None:
            names.free(connection, value_of(Invite, row))


def _is_past(connection: Connection, redemption: Redemption) -> bool:
    """Return whether a redemption is a reset of an account that was deleted meanwhile.

    Its invite must not open the account that somebody else makes of that name.
    """
    if redemption.use.kind is not Kind.RESET:
        return False
    account = redemption.account
    known = accounts.get(connection, account.domain, account.username)
    return known is None or known.created_at != account.created_at


def open_leases(connection: Connection, domain: str, before: datetime) -> Sequence[Lease]:
    """Return leases made at ``before`` or earlier, oldest first, at most 100."""
    rows = connection.execute(_OPEN, {"of_domain": domain, "before": before})
    return [
        Lease(number=row.number, redemption=redemption_of(row.redemption), at=row.at)
        for row in rows
    ]


def learn(connection: Connection, account: Account) -> bool:
    """Write down an account that was found at the server, to give it roles and resets.

    False if it is known already.

    Raises:
        UsernameReserved: its name is reserved here, or a deleted account's.
    """
    try:
        names.take(connection, account, None, account.created_at, even_deleted=False)
    except UsernameTaken:
        return False
    redeeming.add_account(connection, account)
    return True
