"""Undoes the renewal of an invite whose new link nobody has seen."""

from dataclasses import dataclass

from sqlalchemy import bindparam, select, update
from sqlalchemy.engine import Connection

from invitereg.store.tables import invites

_THIS = (invites.c.domain == bindparam("of_domain")) & (invites.c.id == bindparam("of_id"))
_GET = select(invites.c.digest, invites.c.source).where(_THIS)
_PUT_BACK = (
    update(invites)
    .where(_THIS, invites.c.digest == bindparam("unseen"))
    .values(digest=bindparam("old_digest"), source=bindparam("old_source"))
    .execution_options(preserve_rowcount=True)
)


@dataclass(frozen=True, slots=True)
class Opener:
    """What opens an invite: the digest of its token, and whose token it is."""

    digest: bytes
    source: str


def get_opener(connection: Connection, domain: str, invite_id: str) -> Opener | None:
    """Return what opens an invite now; None if there is no such invite."""
    row = connection.execute(_GET, {"of_domain": domain, "of_id": invite_id}).one_or_none()
    return None if row is None else Opener(row.digest, row.source)


def put_back(
    connection: Connection, domain: str, invite_id: str, old: Opener, unseen: bytes
) -> bool:
    """Let an invite be opened as before a renewal, whose token has the digest ``unseen``.

    False, and nothing is done, if it has another token by now.
    """
    change = {
        "of_domain": domain,
        "of_id": invite_id,
        "unseen": unseen,
        "old_digest": old.digest,
        "old_source": old.source,
    }
    return connection.execute(_PUT_BACK, change).rowcount == 1
