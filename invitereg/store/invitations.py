"""Takes a use of a contact's invitation for a subscription (XEP-0379)."""

from dataclasses import replace

from sqlalchemy import and_, bindparam, exists, insert, or_, select, update
from sqlalchemy.engine import Connection

from invitereg.interfaces.queries import Subscribing
from invitereg.model.invites import Kind
from invitereg.model.roster import RosterItem
from invitereg.store.invites import OPEN
from invitereg.store.rows import use_row
from invitereg.store.tables import Time, invites, uses

_later = uses.alias("later")
# By the order of the history, as a clock may be set back.
_HAS_ANOTHER_BEARER = exists().where(
    _later.c.domain == uses.c.domain,
    _later.c.username == uses.c.username,
    _later.c.kind.in_([Kind.ACCOUNT, Kind.ACCOUNT_AND_CONTACT]),
    _later.c.seq > uses.c.seq,
)
_USED_BY_IT = exists().where(
    uses.c.domain == invites.c.domain,
    uses.c.invite_id == invites.c.id,
    uses.c.username == bindparam("of_username"),
    ~_HAS_ANOTHER_BEARER,
)
_ITS = and_(
    invites.c.domain == bindparam("of_domain"),
    invites.c.digest == bindparam("of_digest"),
    invites.c.inviter == bindparam("of_inviter"),
    invites.c.kind.in_([Kind.CONTACT, Kind.ACCOUNT_AND_CONTACT]),
    invites.c.revoked_at.is_(None),
    or_(invites.c.expires_at.is_(None), invites.c.expires_at > bindparam("now", type_=Time)),
)
_TAKE = (
    update(invites)
    .where(
        _ITS,
        OPEN,
        or_(invites.c.username.is_(None), invites.c.username == bindparam("of_username")),
        ~_USED_BY_IT,
    )
    .values(uses=invites.c.uses + 1, used_at=bindparam("now", type_=Time))
    .returning(invites.c.id)
)
_MADE_WITH_IT = select(invites.c.id).where(
    _ITS, invites.c.kind == Kind.ACCOUNT_AND_CONTACT, _USED_BY_IT
)
_ADD_USE = insert(uses).inline()


def take(connection: Connection, asked: Subscribing, contacts_item: RosterItem | None) -> bool:
    """Return whether the contact has invited the account; if need be, take a use.

    An account that was made with the invitation has taken its use with that. But once the
    inviter has removed it from the roster, it does not let it in again. What a deleted account
    of the same name has used counts for nothing.

    Args:
        connection: to the database.
        asked: the subscription, with what came with it.
        contacts_item: the inviter's for the account.
    """
    use = asked.use
    username, _, domain = asked.contact.rpartition("@")
    if asked.digest is None or use is None or domain != asked.domain:
        return False
    which = {
        "of_domain": domain,
        "of_digest": asked.digest,
        "of_inviter": username,
        "of_username": asked.username,
        "now": use.at,
    }
    invite_id = connection.scalar(_TAKE, which)
    if invite_id is not None:
        connection.execute(_ADD_USE, use_row(replace(use, invite_id=invite_id)))
        return True
    if contacts_item is None or not contacts_item.listed:
        return False
    return connection.scalar(_MADE_WITH_IT, which) is not None
