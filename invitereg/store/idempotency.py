"""Know the requests of the HTTP API that may be repeated, by their idempotency keys.

Every function takes a connection within a transaction.
"""

from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import Connection

from invitereg.errors import OtherRequest
from invitereg.interfaces.apikeys import REPEATABLE, IdempotencyKey
from invitereg.model.invites import Invite
from invitereg.store.tables import Time, api_requests

_NEW = insert(api_requests)
# Takes the name of a request, unless one that may still be repeated has it.
_CLAIM = _NEW.on_conflict_do_update(
    index_elements=["key_id", "name"],
    set_={name: _NEW.excluded[name] for name in ("request", "domain", "invite_id", "at")},
    where=api_requests.c.at <= bindparam("since", type_=Time),
)
_EARLIER = select(api_requests).where(
    api_requests.c.key_id == bindparam("key_id"),
    api_requests.c.name == bindparam("name"),
    api_requests.c.at > bindparam("since", type_=Time),
)


def claim(
    connection: Connection, key: IdempotencyKey, invite: Invite
) -> tuple[str, str] | None:
    """Take an idempotency key for the request that makes an invite.

    Returns:
        Domain and id of the invite that the first request has made, if this is a repeat
        within `REPEATABLE`; None if it is the first.

    Raises:
        OtherRequest: something else was asked for under that key.
    """
    now = invite.created_at
    row: dict[str, object] = {
        "key_id": key.key_id,
        "name": key.name,
        "request": key.request,
        "domain": invite.domain,
        "invite_id": invite.id,
        "at": now,
        "since": now - REPEATABLE,
    }
    connection.execute(_CLAIM, row)
    made = find_request(connection, key, now)
    return None if made == (invite.domain, invite.id) else made


def find_request(
    connection: Connection, key: IdempotencyKey, now: datetime
) -> tuple[str, str] | None:
    """Return which invite a request has made, as domain and id; None if it is no repeat.

    Raises:
        OtherRequest: something else was asked for under that key.
    """
    asked = {"key_id": key.key_id, "name": key.name, "since": now - REPEATABLE}
    earlier = connection.execute(_EARLIER, asked).one_or_none()
    if earlier is None:
        return None
    if earlier.request != key.request:
        raise OtherRequest
    return earlier.domain, earlier.invite_id
