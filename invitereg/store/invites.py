"""Create, find, list and change invites; `redeeming` takes their uses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, bindparam, case, exists, func, not_, or_, select, update
from sqlalchemy.engine import Connection

from invitereg.errors import InvalidRequest, NotFound
from invitereg.interfaces.apikeys import IdempotencyKey
from invitereg.interfaces.queries import InviteChanges
from invitereg.model.invites import Invite, Kind, Status
from invitereg.policy.counters import Quota, user_sources
from invitereg.store import idempotency, inviters, names
from invitereg.store.inviters import require_maker
from invitereg.store.rows import columns_of, row_of, value_of, values_of
from invitereg.store.statements import (
    OPEN,
    THIS_INVITE,
    UNEXPIRED,
    USES_LEFT,
    insert_new,
    of_account,
)
from invitereg.store.tables import Time, accounts, invites, leases

_columns = columns_of(Invite, invites)
_EDITABLE = OPEN & ((invites.c.kind != Kind.RESET) | UNEXPIRED)
UNDECIDED = exists().where(
    leases.c.domain == invites.c.domain,
    leases.c.redemption["use"]["invite_id"].as_string() == invites.c.id,
)
"""An invite of which a use may yet be given back."""
REVOCABLE = OPEN | (invites.c.revoked_at.is_(None) & UNDECIDED)
"""An invite that is open, or may be again."""

# As `Invite.status`: what is revoked after it had expired stays expired.
_EXPIRED_BEFORE = invites.c.expires_at <= invites.c.revoked_at
_STATUS: dict[Status, ColumnElement[bool]] = {
    Status.PENDING: OPEN & UNEXPIRED,
    Status.USED: or_(invites.c.revoked_at.is_(None), _EXPIRED_BEFORE) & not_(USES_LEFT),
    Status.EXPIRED: or_(OPEN & not_(UNEXPIRED), _EXPIRED_BEFORE & USES_LEFT),
    Status.REVOKED: invites.c.revoked_at.is_not(None)
    & or_(invites.c.expires_at.is_(None), not_(_EXPIRED_BEFORE)),
}

_state = case(*((holds, status.value) for status, holds in _STATUS.items()))
_COUNT = (
    select(_state.label("status"), func.count().label("number"))
    .where(invites.c.domain == bindparam("of_domain"))
    .group_by(_state)
)
_INSERT = insert_new(invites)
_GET = select(*_columns).where(THIS_INVITE)
_SEQ = select(invites.c.seq).where(THIS_INVITE)
_REVOKE = (
    update(invites)
    .where(THIS_INVITE, REVOCABLE)
    .values(revoked_at=bindparam("now", type_=Time))
    .returning(*_columns)
)
_RENEW = update(invites).where(THIS_INVITE, OPEN, UNEXPIRED).returning(*_columns)
_ACCOUNT_EXISTS = select(exists().where(of_account(accounts)))


def create(
    connection: Connection,
    invite: Invite,
    digest: bytes,
    quota: Quota | None = None,
    key: IdempotencyKey | None = None,
) -> Invite:
    """Store a new invite, and reserve its username if it fixes one; return it.

    For a reset, the account must exist and nothing is reserved. One that a user makes is
    held to their quota, also against those that they make at the same moment.

    Invite and idempotency key are written together or not at all. A repeated request makes
    nothing: it gives the invite that the first has made ``digest`` as its new token, and
    returns that invite.

    Raises:
        TooManyOpenInvites, Throttled: the quota is used up.
        UsernameTaken: an account has the name that it fixes.
        UsernameReserved: another invite reserves it, or a deleted account did.
        NotFound: a reset for an account that does not exist; or the user who makes it has
            been deleted, or the key that does, revoked.
        InvalidRequest: the domain has an invite of that id or token already; or the
            request is a repeat, and the invite of the first is not pending any more.
        OtherRequest: the first request with that key asked for something else.
    """
    if key is not None:
        made = idempotency.claim(connection, key, invite)
        if made is not None:
            return renew(connection, *made, digest, invite.created_at, invite.source)
    _require_account(connection, invite)
    require_maker(connection, invite.source)
    if quota is not None:
        inviters.insert_counted(connection, invite, digest, quota)
    elif connection.execute(_INSERT, row_of(invite) | {"digest": digest}).rowcount != 1:
        raise InvalidRequest(f"There is an invite {invite.id}, or one of that token, already.")
    names.reserve(connection, invite, invite.created_at)
    return invite


def create_all(connection: Connection, issued: Sequence[tuple[Invite, bytes]]) -> None:
    """Store new invites, each with its digest: all of them or, if one is refused, none.

    Raises as `create`.
    """
    if not issued:
        return
    for invite, _digest in issued:
        _require_account(connection, invite)
        require_maker(connection, invite.source)
    # One statement for all of them, for speed.
    rows = [row_of(invite) | {"digest": digest} for invite, digest in issued]
    if connection.execute(_INSERT, rows).rowcount != len(rows):
        raise InvalidRequest("There is an invite of one of these ids or tokens already.")
    for invite, _digest in issued:
        names.reserve(connection, invite, invite.created_at)


def _require_account(connection: Connection, invite: Invite) -> None:
    """Raise NotFound if a reset is for an account that does not exist."""
    if invite.kind is Kind.RESET:
        which = {"of_domain": invite.domain, "of_username": invite.username}
        if not connection.scalar(_ACCOUNT_EXISTS, which):
            raise NotFound(f"There is no account {invite.username}@{invite.domain}.")


def get(connection: Connection, domain: str, invite_id: str) -> Invite:
    """Return an invite.

    Raises:
        NotFound: no such invite at this domain.
    """
    row = connection.execute(_GET, {"of_domain": domain, "of_id": invite_id}).first()
    if row is None:
        raise NotFound(f"There is no invite {invite_id} at {domain}.", invite_id)
    return value_of(Invite, row)


def list_page(
    connection: Connection,
    domain: str,
    now: datetime,
    status: Status | None = None,
    limit: int = 100,
    after: str | None = None,
    made_by: str | None = None,
    inviter: str | None = None,
    resets: bool = True,
) -> Sequence[Invite]:
    """Return at most ``limit`` invites in the order of their making, after the one named.

    With ``made_by``, those that this user has made by their own account; with ``inviter``,
    those of this inviter, whoever has made them. Without ``resets``, none of that kind.

    Raises:
        NotFound: ``after`` names no invite of this domain.
    """
    page = select(*_columns).where(invites.c.domain == domain)
    if inviter is not None:
        page = page.where(invites.c.inviter == inviter)
    if not resets:
        page = page.where(invites.c.kind != Kind.RESET)
    if after is not None:
        seq = connection.scalar(_SEQ, {"of_domain": domain, "of_id": after})
        if seq is None:
            raise NotFound(f"There is no invite {after} at {domain}.", after)
        page = page.where(invites.c.seq > seq)
    if status is not None:
        page = page.where(_STATUS[status])
    if made_by is not None:
        page = page.where(
            invites.c.inviter == made_by, invites.c.source.in_(user_sources(domain, made_by))
        )
    page = page.order_by(invites.c.seq).limit(limit)
    return values_of(Invite, connection.execute(page, {"now": now}))


def count(connection: Connection, domain: str, now: datetime) -> Mapping[Status, int]:
    """Return how many invites there are in each state; none is the same as 0."""
    rows = connection.execute(_COUNT, {"of_domain": domain, "now": now})
    return {Status(row.status): row.number for row in rows}


def edit(
    connection: Connection,
    domain: str,
    invite_id: str,
    changes: InviteChanges,
    now: datetime,
    source: str,
) -> Invite:
    """Change an invite that is neither revoked nor used up; returns it as it is then.

    Its reservation lives as long as it does; one that had expired is made again. ``source``
    is who changes it: it stays whose it is.

    Raises:
        NotFound: no such invite; or who changes it is over, as in `create`.
        InvalidRequest: it is revoked or used up, or an expired reset, which is never opened
            again; ``uses_allowed`` is not above its uses, or more than one use is asked for
            although it fixes a username.
        UsernameTaken, UsernameReserved: it had expired and its name is gone.
    """
    require_maker(connection, source)
    values = dict(changes.values)
    if not values:
        return _require_editable(get(connection, domain, invite_id), now)
    allowed = values.get("uses_allowed")
    wanted = [] if allowed is None else [invites.c.uses < allowed]
    if "uses_allowed" in values and allowed != 1:
        wanted.append(invites.c.username.is_(None))
    edited = update(invites).where(THIS_INVITE, _EDITABLE, *wanted).values(**values)
    which = {"of_domain": domain, "of_id": invite_id, "now": now}
    row = connection.execute(edited.returning(*_columns), which).first()
    if row is None:
        _require_editable(get(connection, domain, invite_id), now)
        raise InvalidRequest(REFUSED_USES)
    invite = value_of(Invite, row)
    if "expires_at" in values and invite.expired(now):
        names.free(connection, invite)
    elif "expires_at" in values:
        names.reserve(connection, invite, now)
    return invite


REFUSED_USES = (
    "The number of uses must be above those already taken, "
    "and be 1 where the invite fixes a username."
)


def renew(
    connection: Connection,
    domain: str,
    invite_id: str,
    digest: bytes,
    now: datetime,
    source: str,
) -> Invite:
    """Give a pending invite another token; the old one is unknown from then on.

    The invite is then of ``source``, who has the token: with it, it is judged and revoked.

    Raises:
        NotFound: no such invite; or who renews it is over, as in `create`.
        InvalidRequest: it is not pending at ``now``; the text says why.
    """
    require_maker(connection, source)
    which = {"of_domain": domain, "of_id": invite_id, "now": now}
    change = {**which, "digest": digest, "source": source}
    row = connection.execute(_RENEW, change).first()
    if row is None:
        _require_open(get(connection, domain, invite_id))
        raise InvalidRequest(f"The invite {invite_id} has expired.")
    return value_of(Invite, row)


def revoke(connection: Connection, domain: str, invite_id: str, now: datetime) -> Invite:
    """Revoke an invite and free its name; one that is revoked already stays as it is.

    One that has expired stays expired, and is over for those, too, who had shown its token
    before; nobody opens it again.

    Raises:
        NotFound: no such invite.
        InvalidRequest: it is used up: there is nothing to revoke. If its last use is
            undecided (`invitereg.interfaces.leases`), it can be revoked, and stays so.
    """
    which: dict[str, object] = {"of_domain": domain, "of_id": invite_id, "now": now}
    row = connection.execute(_REVOKE, which).first()
    if row is not None:
        invite = value_of(Invite, row)
        names.free(connection, invite)
        return invite
    invite = get(connection, domain, invite_id)
    return invite if invite.revoked_at is not None else _require_open(invite)


def _require_editable(invite: Invite, now: datetime) -> Invite:
    if invite.kind is Kind.RESET and invite.expired(now) and invite.revoked_at is None:
        raise InvalidRequest(
            f"The reset {invite.id} has expired, and is not opened again: make a new one."
        )
    return _require_open(invite)


def _require_open(invite: Invite) -> Invite:
    if invite.revoked_at is not None:
        raise InvalidRequest(f"The invite {invite.id} is revoked.")
    if invite.used_up:
        raise InvalidRequest(f"The invite {invite.id} is used up.")
    return invite


_GET_OPENER = select(invites.c.digest, invites.c.source).where(THIS_INVITE)
_PUT_BACK = (
    update(invites)
    .where(THIS_INVITE, invites.c.digest == bindparam("unseen"))
    .execution_options(preserve_rowcount=True)
)


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """The digest of an invite's token, and whose token it is (`Invite.source`)."""

    digest: bytes
    source: str


def get_token_record(connection: Connection, domain: str, invite_id: str) -> TokenRecord | None:
    """Return the digest and the source of an invite's token; None without such an invite."""
    which = {"of_domain": domain, "of_id": invite_id}
    row = connection.execute(_GET_OPENER, which).one_or_none()
    return None if row is None else TokenRecord(row.digest, row.source)


def put_back(
    connection: Connection, domain: str, invite_id: str, old: TokenRecord, unseen: bytes
) -> bool:
    """Let an invite be opened as before a renewal, whose token has the digest ``unseen``.

    False, and nothing is done, if it has another token by now.
    """
    change = {
        "of_domain": domain,
        "of_id": invite_id,
        "unseen": unseen,
        "digest": old.digest,
        "source": old.source,
    }
    return connection.execute(_PUT_BACK, change).rowcount == 1
