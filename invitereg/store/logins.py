"""Hold logins to their limits, and know in which networks an account has been used.

Whoever guesses an account's password from many networks is held to a limit for all of them
together. It does not hold where the account has been used: so nobody locks its owner out. Of
each such network an HMAC is kept, which tells nothing without the server's key.

Every function takes a connection within a transaction.
"""

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, exists, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import Connection

from invitereg.interfaces.queries import LoginAttempt
from invitereg.store import hits
from invitereg.store.statements import of_account
from invitereg.store.tables import settings, used_networks

AT_MOST = 20
"""How many networks of one account are known: those of the latest logins."""
_DIGEST_BYTES = 16

_OF_ACCOUNT = of_account(used_networks)
_IS_USED = select(exists().where(_OF_ACCOUNT, used_networks.c.digest == bindparam("of_digest")))
_USE = insert(used_networks)
_USE_AGAIN = _USE.on_conflict_do_update(
    index_elements=["domain", "username", "digest"], set_={"at": _USE.excluded.at}
)
_LATEST = (
    select(used_networks.c.digest)
    .where(_OF_ACCOUNT)
    .order_by(used_networks.c.at.desc(), used_networks.c.digest)
    .limit(AT_MOST)
)
_FORGET_OLDEST = delete(used_networks).where(
    _OF_ACCOUNT, used_networks.c.digest.not_in(_LATEST)
)
_FORGET = delete(used_networks).where(_OF_ACCOUNT)


def count(
    connection: Connection, attempt: LoginAttempt, now: datetime
) -> tuple[int, ...] | None:
    """Count an attempt as a failure, until `succeeded`.

    Returns:
        What `succeeded` takes, or None if a limit was reached: then it must be refused.
    """
    which = _which(connection, attempt)
    elsewhere = attempt.elsewhere
    if connection.scalar(_IS_USED, which):
        elsewhere = replace(elsewhere, key=f"{elsewhere.key} {which['of_digest'].hex()}")
    return hits.add_all(connection, attempt.domain, (*attempt.counters, elsewhere), now)


def succeeded(
    connection: Connection, attempt: LoginAttempt, numbers: Sequence[int], now: datetime
) -> None:
    """Count an attempt no longer, and remember that the account was used in its network."""
    hits.remove(connection, numbers)
    which = _which(connection, attempt)
    row = {name.removeprefix("of_"): value for name, value in which.items()}
    connection.execute(_USE_AGAIN, {**row, "at": now})
    connection.execute(_FORGET_OLDEST, which)


def forget(connection: Connection, domain: str, username: str) -> None:
    """Forget where an account was used: it is deleted."""
    connection.execute(_FORGET, {"of_domain": domain, "of_username": username})


def _which(connection: Connection, attempt: LoginAttempt) -> dict[str, Any]:
    """Return the parameters that name an attempt's account and network.

    The same network is another one for each account: who reads the table cannot tell which
    accounts were used in the same place.
    """
    text = "\0".join(("used network", attempt.domain, attempt.username, attempt.network))
    digest = hmac.digest(server_key(connection), text.encode(), "sha256")
    return {
        "of_domain": attempt.domain,
        "of_username": attempt.username,
        "of_digest": digest[:_DIGEST_BYTES],
    }


_KEY = select(settings.c.value).where(settings.c.name == bindparam("of_name"))
_ADD_SIGNING_KEY = (
    insert(settings)
    .values(name="signing_key", value=bindparam("key"))
    .on_conflict_do_nothing()
    .inline()
)


def server_key(connection: Connection) -> bytes:
    """Return a secret of 32 bytes that is the same for all who share the store."""
    key: bytes = connection.execute(_KEY, {"of_name": "server_key"}).scalar_one()
    return key


def signing_key(connection: Connection) -> bytes:
    """Return the secret that signs what browsers keep, of 32 bytes; made when first asked for.

    It is the same for all who share the store.
    """
    connection.execute(_ADD_SIGNING_KEY, {"key": secrets.token_bytes(32)})
    key: bytes = connection.execute(_KEY, {"of_name": "signing_key"}).scalar_one()
    return key
