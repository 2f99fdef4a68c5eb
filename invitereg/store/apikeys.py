"""Keep the keys of the HTTP API, and its requests that may be repeated."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, Row, bindparam, delete, select, tuple_, update
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.engine import Connection

from invitereg.errors import InvalidRequest, NotFound, OtherRequest
from invitereg.interfaces.apikeys import REPEATABLE, ApiKey, Once, Scope
from invitereg.model.invites import Invite
from invitereg.store import branches, invites
from invitereg.store.tables import Time, api_keys, api_requests

_columns = [column for column in api_keys.c if column.name not in ("seq", "digest")]
_INSERT = (
    insert(api_keys).on_conflict_do_nothing().inline().execution_options(preserve_rowcount=True)
)
_FIND = select(*_columns).where(api_keys.c.digest == bindparam("of_digest"))
_LIST = select(*_columns).order_by(api_keys.c.seq)
_GET = select(*_columns).where(api_keys.c.id == bindparam("of_id"))
_REVOKE = (
    update(api_keys)
    .where(api_keys.c.id == bindparam("of_id"), api_keys.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("now", type_=Time))
)


def _first() -> Insert:
    """Take the name of a request, unless one that may still be repeated has it."""
    statement = insert(api_requests)
    return statement.on_conflict_do_update(
        index_elements=["key_id", "name"],
        set_={
            name: statement.excluded[name] for name in ("request", "domain", "invite_id", "at")
        },
        where=api_requests.c.at <= bindparam("since", type_=Time),
    ).execution_options(preserve_rowcount=True)


_FIRST = _first()
_EARLIER = select(api_requests).where(
    api_requests.c.key_id == bindparam("key_id"),
    api_requests.c.name == bindparam("name"),
    api_requests.c.at > bindparam("since", type_=Time),
)
_NAME = tuple_(api_requests.c.key_id, api_requests.c.name)
_PURGE = delete(api_requests).where(
    _NAME.in_(
        select(api_requests.c.key_id, api_requests.c.name)
        .where(api_requests.c.at <= bindparam("before", type_=Time))
        .limit(bindparam("most", type_=Integer))
    )
)


def create(connection: Connection, key: ApiKey, digest: bytes) -> None:
    """Store a new key.

    Raises:
        InvalidRequest: there is a key of that id or secret already.
    """
    row = {
        "id": key.id,
        "digest": digest,
        "name": key.name,
        "scopes": key.scopes,
        "domain": key.domain,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }
    if connection.execute(_INSERT, row).rowcount != 1:
        raise InvalidRequest(f"There is a key {key.id}, or one of that secret, already.")


def find(connection: Connection, digest: bytes) -> ApiKey | None:
    """Return the key whose secret has this digest, valid or not; None if there is none."""
    row = connection.execute(_FIND, {"of_digest": digest}).first()
    return None if row is None else _key_of(row)


def list_all(connection: Connection) -> Sequence[ApiKey]:
    """Return all keys in the order of their making, also those that are over."""
    return [_key_of(row) for row in connection.execute(_LIST)]


def revoke(
    connection: Connection, key_id: str, now: datetime, *, with_invites: bool = False
) -> tuple[ApiKey, Sequence[Invite]]:
    """End a key, with the resets that it has made; or also with its invites.

    A key that is revoked already stays as it is; what is open of it ends all the same.

    Returns:
        The key, and the invites that were open, as they are then.

    Raises:
        NotFound: no such key.
    """
    connection.execute(_REVOKE, {"of_id": key_id, "now": now})
    row = connection.execute(_GET, {"of_id": key_id}).first()
    if row is None:
        raise NotFound(f"There is no key {key_id}.")
    key = _key_of(row)
    source = key.authority.source
    return key, branches.revoke_of_key(connection, source, now, with_invites=with_invites)


def find_request(connection: Connection, once: Once, now: datetime) -> tuple[str, str] | None:
    """Return which invite a request has made, as domain and id; None if it is no repeat.

    Raises:
        OtherRequest: something else was asked for under that name.
    """
    asked = {"key_id": once.key_id, "name": once.name, "since": now - REPEATABLE}
    earlier = connection.execute(_EARLIER, asked).one_or_none()
    if earlier is None:
        return None
    if earlier.request != once.request:
        raise OtherRequest
    return earlier.domain, earlier.invite_id


def create_invite_once(
    connection: Connection, invite: Invite, digest: bytes, once: Once
) -> Invite:
    """Store a new invite, as `invites.create`, unless the request is a repeat.

    Invite and name are written together or not at all. A repeat, within `REPEATABLE` of
    the first, makes nothing: it gives the invite that the first has made ``digest`` as its
    new token, and returns it.

    Raises:
        OtherRequest: something else was asked for under that name.
        InvalidRequest: a repeat, and the invite of the first is not pending any more.
        Refused: as `invites.create`.
    """
    now = invite.created_at
    row: dict[str, Any] = {
        "key_id": once.key_id,
        "name": once.name,
        "request": once.request,
        "domain": invite.domain,
        "invite_id": invite.id,
        "at": now,
        "since": now - REPEATABLE,
    }
    connection.execute(_FIRST, row)
    made = find_request(connection, once, now)
    if made is None or made == (invite.domain, invite.id):
        invites.create(connection, invite, digest)
        return invite
    return invites.renew(connection, *made, digest, now, invite.source)


def purge_repeats(connection: Connection, before: datetime, at_most: int) -> int:
    """Forget requests that were first made by ``before``.

    Returns as `purging.purge_invites`.
    """
    return connection.execute(_PURGE, {"before": before, "most": at_most}).rowcount


def _key_of(row: Row[Any]) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        scopes=tuple(Scope(scope) for scope in row.scopes),
        domain=row.domain,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
