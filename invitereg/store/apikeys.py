"""Keep the keys of the HTTP API."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, select, update
from sqlalchemy.engine import Connection

from invitereg.errors import InvalidRequest, NotFound
from invitereg.interfaces.apikeys import ApiKey
from invitereg.model.invites import Invite
from invitereg.store import branches
from invitereg.store.rows import columns_of, row_of, value_of, values_of
from invitereg.store.statements import insert_new
from invitereg.store.tables import Time, api_keys

_columns = columns_of(ApiKey, api_keys)
_INSERT = insert_new(api_keys)
_FIND = select(*_columns).where(api_keys.c.digest == bindparam("of_digest"))
_LIST = select(*_columns).order_by(api_keys.c.seq)
_GET = select(*_columns).where(api_keys.c.id == bindparam("of_id"))
_REVOKE = (
    update(api_keys)
    .where(api_keys.c.id == bindparam("of_id"), api_keys.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("now", type_=Time))
)


def create(connection: Connection, key: ApiKey, digest: bytes) -> None:
    """Store a new key.

    Raises:
        InvalidRequest: there is a key of that id or secret already.
    """
    row = row_of(key) | {"digest": digest}
    if connection.execute(_INSERT, row).rowcount != 1:
        raise InvalidRequest(f"There is a key {key.id}, or one of that secret, already.")


def find(connection: Connection, digest: bytes) -> ApiKey | None:
    """Return the key whose secret has this digest, valid or not; None if there is none."""
    row = connection.execute(_FIND, {"of_digest": digest}).first()
    return None if row is None else value_of(ApiKey, row)


def list_all(connection: Connection) -> Sequence[ApiKey]:
    """Return all keys in the order of their making, also those that are over."""
    return values_of(ApiKey, connection.execute(_LIST))


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
    key = value_of(ApiKey, row)
    source = key.authority.source
    return key, branches.revoke_of_key(connection, source, now, with_invites=with_invites)
