"""Takes over invites that another program has made, with the tokens that they have there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, exists, or_, select
from sqlalchemy.engine import Connection

from invitereg.errors import NotFound, UsernameReserved, UsernameTaken
from invitereg.model.invites import Invite
from invitereg.store.invites import create
from invitereg.store.tables import invites, uses

_KNOWN = select(
    or_(
        exists().where(
            invites.c.domain == bindparam("of_domain"),
            or_(invites.c.id == bindparam("of_id"), invites.c.digest == bindparam("of_digest")),
        ),
        # One that was used, and has been purged since, must not come back.
        exists().where(
            uses.c.domain == bindparam("of_domain"), uses.c.invite_id == bindparam("of_id")
        ),
    )
)


@dataclass(frozen=True, slots=True)
class Adopted:
    """How many were added, as ``invites``, ``expired``, ``unchanged``, and ``skipped``.

    Attributes:
        reasons: why, for each that was skipped.
    """

    counts: Mapping[str, int]
    reasons: tuple[str, ...]


def adopt(
    connection: Connection, found: Iterable[tuple[Invite, bytes]], now: datetime
) -> Adopted:
    """Add invites with their digests, within a transaction; what is over or known is left out.

    Each is known by its id, which must be the same whenever it is found: one that was renewed,
    revoked or used here stays as it is.

    A name that is not free, or a reset of an account that is not here, is skipped.
    """
    counts = dict.fromkeys(("invites", "expired", "unchanged", "skipped"), 0)
    reasons = []
    for invite, digest in found:
        which = {"of_domain": invite.domain, "of_id": invite.id, "of_digest": digest}
        if connection.scalar(_KNOWN, which):
            counts["unchanged"] += 1
        elif invite.expired(now):
            counts["expired"] += 1
        else:
            connection.exec_driver_sql("SAVEPOINT adoption")
            try:
                create(connection, invite, digest)
            except (NotFound, UsernameReserved, UsernameTaken) as error:
                connection.exec_driver_sql("ROLLBACK TO adoption")
                counts["skipped"] += 1
                reasons.append(f"{invite.kind} invite for {invite.username}: {error}")
            else:
                counts["invites"] += 1
            connection.exec_driver_sql("RELEASE adoption")
    return Adopted(counts, tuple(reasons))
