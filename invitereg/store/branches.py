"""Revoke what somebody has made, or a whole branch of the tree of invites, in one go."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Update, bindparam, exists, or_, select, update
from sqlalchemy.engine import Connection

from invitereg.errors import NotFound
from invitereg.model.invites import Invite, Kind
from invitereg.model.tree import Tree
from invitereg.policy.counters import user_sources
from invitereg.store import names
from invitereg.store.invites import REVOCABLE
from invitereg.store.redeeming import list_uses
from invitereg.store.rows import columns_of, value_of
from invitereg.store.statements import of_account
from invitereg.store.tables import Time, api_keys, invites
from invitereg.store.tables import names as names_table

_EVER = datetime.max.replace(tzinfo=UTC)
_NAMES_AT_ONCE = 500  # SQLite takes 32,766 parameters in a statement

_columns = [*columns_of(Invite, invites), invites.c.seq]


def _revoke(*conditions: ColumnElement[bool]) -> Update:
    revoked = update(invites).where(*conditions, REVOCABLE)
    return revoked.values(revoked_at=bindparam("now", type_=Time)).returning(*_columns)


_DOMAIN = invites.c.domain == bindparam("of_domain")
_SOURCE = invites.c.source == bindparam("of_source")
_REVOKE_OF = _revoke(
    _DOMAIN,
    invites.c.created_at < bindparam("before", type_=Time),
    or_(
        invites.c.inviter.in_(bindparam("inviters", expanding=True)),
        # Resets have no inviter.
        invites.c.source.in_(bindparam("sources", expanding=True)),
    ),
)
_REVOKE_SOURCE = _revoke(_DOMAIN, _SOURCE)
_REVOKE_EVERYWHERE = _revoke(_SOURCE)
_REVOKE_RESETS_EVERYWHERE = _revoke(_SOURCE, invites.c.kind == Kind.RESET)
_IS_KNOWN = select(
    exists().where(
        of_account(names_table),
        names_table.c.state.in_((names.State.ACCOUNT, names.State.DELETED)),
    )
)
_IS_KEY = select(exists().where(api_keys.c.id == bindparam("of_key")))
_HAS_MADE = select(exists().where(_DOMAIN, _SOURCE))
_HAS_INVITED = select(
    or_(
        exists().where(_DOMAIN, invites.c.inviter == bindparam("of_username")),
        exists().where(_DOMAIN, invites.c.source.in_(bindparam("of_sources", expanding=True))),
    )
)


def revoke_of(
    connection: Connection,
    domain: str,
    usernames: Iterable[str],
    now: datetime,
    before: datetime = _EVER,
) -> Sequence[Invite]:
    """Revoke the open invites and resets that these users have made, up to ``before``.

    The names that they reserve are free.
    """
    rows: list[Row[Any]] = []
    inviters = sorted(usernames)
    for start in range(0, len(inviters), _NAMES_AT_ONCE):
        some = inviters[start : start + _NAMES_AT_ONCE]
        sources = [source for name in some for source in user_sources(domain, name)]
        which = {"of_domain": domain, "inviters": some, "sources": sources}
        times = {"now": now, "before": before}
        rows += connection.execute(_REVOKE_OF, {**which, **times}).all()
    return _revoked(connection, rows)


def revoke_branch(
    connection: Connection, domain: str, username: str, now: datetime
) -> Sequence[Invite]:
    """Revoke the open invites of a user and of all who came through them, at once.

    The resets that they have made are among them.

    Who came through whom is told by the history, as `invitereg.model.tree` reads it; so those
    who came through accounts that are deleted by now are among them.

    Returns:
        The invites that were open, as they are then, in the order of their making.

    Raises:
        NotFound: neither an account, nor the history, nor an invite has that name. An account
            at another server may be known by its invites alone.
    """
    tree = Tree(list_uses(connection, domain))
    sources = user_sources(domain, username)
    which = {"of_domain": domain, "of_username": username, "of_sources": sources}
    if not (
        tree.of(username)
        or connection.scalar(_IS_KNOWN, which)
        or connection.scalar(_HAS_INVITED, which)
    ):
        raise NotFound(
            f"Nobody of the name {username} is known at {domain}, and no invite is theirs."
        )
    return revoke_of(connection, domain, tree.branch(username), now)


def revoke_source(
    connection: Connection, domain: str, source: str, now: datetime
) -> Sequence[Invite]:
    """Revoke the open invites and resets of a source (`Invite.source`), at once.

    Returns:
        As `revoke_branch`.

    Raises:
        NotFound: nothing here was made by it, and no such key or account is known.
    """
    which = {"of_domain": domain, "of_source": source}
    if not connection.scalar(_HAS_MADE, which) and not _is_maker(connection, domain, source):
        raise NotFound(f"Nothing at {domain} was made by {source}, and nobody knows it.")
    return _revoked(connection, connection.execute(_REVOKE_SOURCE, {**which, "now": now}).all())


def revoke_of_key(
    connection: Connection, source: str, now: datetime, *, with_invites: bool
) -> Sequence[Invite]:
    """Revoke the open resets that a key has made, at all domains; or also its invites."""
    statement = _REVOKE_EVERYWHERE if with_invites else _REVOKE_RESETS_EVERYWHERE
    rows = connection.execute(statement, {"of_source": source, "now": now}).all()
    return _revoked(connection, rows)


def _revoked(connection: Connection, rows: Sequence[Row[Any]]) -> Sequence[Invite]:
    revoked = [value_of(Invite, row) for row in sorted(rows, key=lambda row: row.seq)]
    for invite in revoked:
        names.free(connection, invite)
    return revoked


def _is_maker(connection: Connection, domain: str, source: str) -> bool:
    door, _, maker = source.partition(":")
    if door == "api":
        return bool(connection.scalar(_IS_KEY, {"of_key": maker}))
    username, _, host = maker.rpartition("@")
    which = {"of_domain": domain, "of_username": username}
    return not maker or (host == domain and bool(connection.scalar(_IS_KNOWN, which)))
