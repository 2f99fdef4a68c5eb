"""The store's own secrets: each takes a connection."""

import secrets

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import Connection

from invitereg.store.tables import settings

_SERVER_KEY = select(settings.c.value).where(settings.c.name == "server_key")
_SIGNING_KEY = select(settings.c.value).where(settings.c.name == "signing_key")
_ADD_SIGNING_KEY = (
    insert(settings)
    .values(name="signing_key", value=bindparam("key"))
    .on_conflict_do_nothing()
    .inline()
)


def server_key(connection: Connection) -> bytes:
    """Return a secret of 32 bytes that is the same for all who share the store."""
    key: bytes = connection.execute(_SERVER_KEY).scalar_one()
    return key


def signing_key(connection: Connection) -> bytes:
    """Return the secret that signs what browsers keep, of 32 bytes; made when first asked for.

    It is the same for all who share the store.
    """
    connection.execute(_ADD_SIGNING_KEY, {"key": secrets.token_bytes(32)})
    key: bytes = connection.execute(_SIGNING_KEY).scalar_one()
    return key
