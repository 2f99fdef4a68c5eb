"""Check, when an invite is stored, that its maker exists and is within their quota.

A request may be under way while its key is revoked, or its account is deleted. Their invites
are ended then, and no invite may be added later.

Every function takes a connection within a transaction.
"""

import sys

from sqlalchemy import BigInteger, bindparam, exists, func, not_, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import Connection

from invitereg.errors import InvalidRequest, NotFound, TooManyOpenInvites
from invitereg.model.invites import Invite
from invitereg.policy.counters import Quota, user_sources
from invitereg.store import hits
from invitereg.store.names import State
from invitereg.store.rows import row_of
from invitereg.store.statements import OPEN, UNEXPIRED, of_account
from invitereg.store.tables import api_keys, invites, names

_MADE_BY_USER = (
    invites.c.domain == bindparam("of_domain"),
    invites.c.inviter == bindparam("of_inviter"),
    invites.c.source.in_(bindparam("of_sources", expanding=True)),
)
OPEN_INVITES = select(func.count()).select_from(invites).where(*_MADE_BY_USER, OPEN, UNEXPIRED)
"""The number of pending invites of a user; takes the parameters of `made_by`, and ``now``."""

_INVITER = (
    names.c.domain == bindparam("of_domain"),
    names.c.username == bindparam("of_inviter"),
)
# Where transactions run side by side, those of one inviter wait for each other here; SQLite
# runs one at a time.
_LOCK_INVITER = select(names.c.state).where(*_INVITER).with_for_update()
_DELETED = exists().where(*_INVITER, names.c.state == State.DELETED)
_COLUMNS = [column for column in invites.c if column.name not in ("seq", "used_at")]
_INSERT = (
    insert(invites)
    .from_select(
        [column.name for column in _COLUMNS],
        select(*(bindparam(f"new_{c.name}", type_=c.type) for c in _COLUMNS)).where(
            bindparam("most", type_=BigInteger) > OPEN_INVITES.scalar_subquery(),
            not_(_DELETED),
        ),
    )
    .on_conflict_do_nothing()
    .inline()
    .execution_options(preserve_rowcount=True)
)


def made_by(domain: str, username: str) -> dict[str, object]:
    """Return the parameters that select the invites of a user."""
    sources = user_sources(domain, username)
    return {"of_domain": domain, "of_inviter": username, "of_sources": sources}


def insert_counted(connection: Connection, invite: Invite, digest: bytes, quota: Quota) -> None:
    """Insert an invite that a user makes, and count it against their quota.

    Raises:
        TooManyOpenInvites, Throttled: they may make none now.
        NotFound: their account has been deleted.
        InvalidRequest: the domain has an invite of that id or token already.
    """
    which = made_by(invite.domain, quota.username) | {"now": invite.created_at}
    state = connection.scalar(_LOCK_INVITER, which)
    row = {f"new_{name}": value for name, value in row_of(invite).items()}
    most = sys.maxsize if quota.max_open is None else quota.max_open
    new = {**which, **row, "new_digest": digest, "most": most}
    if connection.execute(_INSERT, new).rowcount != 1:
        if state == State.DELETED:
            raise NotFound(f"There is no account {quota.username}@{invite.domain}.")
        if (connection.scalar(OPEN_INVITES, which) or 0) >= most:
            raise TooManyOpenInvites(most)
        raise InvalidRequest(f"There is an invite {invite.id}, or one of that token, already.")
    hits.add(connection, invite.domain, [quota.made], invite.created_at)


_KEY_IS_REVOKED = select(
    exists().where(api_keys.c.id == bindparam("of_key"), api_keys.c.revoked_at.is_not(None))
)
_IS_DELETED = select(exists().where(of_account(names), names.c.state == State.DELETED))


def require_maker(connection: Connection, source: str) -> None:
    """Raise NotFound if the key, or the account, that makes or changes an invite is over."""
    door, _, maker = source.partition(":")
    if door == "api":
        over = connection.scalar(_KEY_IS_REVOKED, {"of_key": maker})
    else:
        username, _, domain = maker.rpartition("@")
        which = {"of_domain": domain, "of_username": username}
        over = bool(username) and connection.scalar(_IS_DELETED, which)
    if over:
        raise NotFound(f"Who makes or changes the invite is over by now: {source}.")
