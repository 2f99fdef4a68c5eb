"""Keep rosters, and change both sides of a subscription in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import (
    Text,
    and_,
    bindparam,
    cast,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.engine import Connection

from invitereg.errors import NotFound, RosterFull
from invitereg.interfaces.queries import Subscribing
from invitereg.model.invites import Kind
from invitereg.model.roster import CONTACT_LENGTH, Owner, RosterItem, owner_of
from invitereg.model.subscribing import RosterPair, SubscriptionChange
from invitereg.store.rows import row_of, value_of
from invitereg.store.statements import OPEN, UNEXPIRED, of_account
from invitereg.store.tables import Time, accounts, invites, roster_items, uses

_OWN = of_account(roster_items)
_ONE = _OWN & (roster_items.c.jid == bindparam("of_jid"))
_GET_ALL = select(roster_items).where(_OWN).order_by(roster_items.c.jid)
_GET = select(roster_items).where(_ONE)
_ABOUT = select(roster_items).where(roster_items.c.jid == bindparam("of_jid"))
_ADD = insert(roster_items).inline()
_CHANGED = ("name", "groups", "subscription", "ask", "approved", "request", "listed")
_SET = update(roster_items).where(_ONE)
_REMOVE = delete(roster_items).where(_ONE)
_REMOVE_ALL = delete(roster_items).where(_OWN)
_NO_LONGER_APPROVED = (
    update(roster_items)
    .where(roster_items.c.jid == bindparam("of_jid"), roster_items.c.approved)
    .values(approved=False)
)
_LOCK = select(accounts.c.username).where(of_account(accounts)).with_for_update()
_COUNT = select(func.count()).select_from(roster_items).where(_OWN)
_COUNT_LISTED = _COUNT.where(roster_items.c.listed)
_COUNT_REQUESTS = _COUNT.where(roster_items.c.request.is_not(None))
_LENGTH_OF_OTHERS = select(
    func.sum(
        func.length(roster_items.c.jid)
        + func.length(roster_items.c.name)
        + func.length(cast(roster_items.c.groups, Text))
    )
).where(_OWN, roster_items.c.listed, roster_items.c.jid != bindparam("of_jid"))


def get(connection: Connection, domain: str, username: str) -> Mapping[str, RosterItem]:
    """Return all items by bare JID, also those that are not listed, in the JIDs' order."""
    rows = connection.execute(_GET_ALL, {"of_domain": domain, "of_username": username})
    return {row.jid: value_of(RosterItem, row) for row in rows}


def set_item(
    connection: Connection,
    domain: str,
    username: str,
    jid: str,
    name: str,
    groups: tuple[str, ...],
    limit: int,
) -> RosterItem:
    """Add an item, or change name and groups of one; returns it as it is then.

    Raises:
        NotFound: the account is gone.
        RosterFull: it would be one more than ``limit``.
    """
    owner = (domain, username)
    _lock(connection, owner)
    before = _item(connection, owner, jid)
    item = replace(before or RosterItem(jid=jid), name=name, groups=groups, listed=True)
    _check_room(connection, owner, before, item, limit, 0)
    _save(connection, owner, before, item)
    return item


def remove_item(
    connection: Connection, domain: str, username: str, jid: str
) -> SubscriptionChange:
    """Remove an item, and end the subscriptions in both directions (RFC 6121 §2.5.2).

    Raises:
        NotFound: there is no such item in the roster.
    """
    owner = (domain, username)
    pair = _pair(connection, owner, jid)
    if pair.user is None or not pair.user.listed:
        raise NotFound(f"There is no contact {jid} in the roster.")
    return _store(connection, owner, pair, pair.remove())


def subscribe(connection: Connection, asked: Subscribing) -> SubscriptionChange:
    """Carry out a subscription stanza for both sides.

    An invitation counts only if it is the contact's, for contacts, of the sender's domain,
    and neither expired nor revoked; if it changes anything, it takes one of its uses, but
    not if the account was made with it and is still in the contact's roster. Otherwise it
    is as if there were none.

    Raises:
        NotFound: the sender's account is gone.
        RosterFull: one of the rosters, or the contact's requests, are at their limit.
    """
    owner = (asked.domain, asked.username)
    pair = _pair(connection, owner, asked.contact)
    may = pair.may_use_invitation(asked.stanza)
    invited = may and _take_invitation(connection, asked, pair.contact)
    change = pair.send(asked.stanza, asked.request, invited=invited)
    roster, requests = asked.roster_limit, asked.requests_limit
    _check_room(connection, owner, pair.user, change.user, roster, requests)
    contact = owner_of(asked.contact)
    _check_room(connection, contact, pair.contact, change.contact, roster, requests)
    return _store(connection, owner, pair, change)


def join(connection: Connection, owner: Owner, inviter: str, limit: int) -> str | None:
    """Make a new account and its inviter contacts of each other.

    Returns:
        The inviter's JID; None if its account is gone or its roster full, and nothing done.
    """
    jid = f"{inviter}@{owner[0]}"
    pair = _pair(connection, owner, jid)
    if not pair.contact_exists or owner == owner_of(jid):
        return None
    change = pair.join()
    try:
        _check_room(connection, owner_of(jid), pair.contact, change.contact, limit, 0)
    except RosterFull:
        return None
    _store(connection, owner, pair, change)
    return jid


def remove_all(connection: Connection, domain: str, username: str) -> Sequence[Owner]:
    """Remove an account's roster, and end all its subscriptions, a few statements for all.

    To be called while the account still exists.

    Returns:
        The accounts whose rosters have changed by it.
    """
    owner, mine = (domain, username), f"{username}@{domain}"
    _lock(connection, owner, *_items_about(connection, mine))
    theirs = _items_about(connection, mine)
    changed = {}
    for jid, item in get(connection, domain, username).items():
        contact = owner_of(jid)
        if contact in theirs:
            pair = RosterPair(
                user_jid=mine, contact_jid=jid, user=item, contact=theirs.get(contact)
            )
            left = pair.remove().contact
            if left != pair.contact:
                changed[contact] = left
    kept = [
        {**_which(contact, mine), **_changes(item)}
        for contact, item in changed.items()
        if item is not None
    ]
    gone = [_which(contact, mine) for contact, item in changed.items() if item is None]
    if kept:
        connection.execute(_SET, kept)
    if gone:
        connection.execute(_REMOVE, gone)
    connection.execute(_REMOVE_ALL, {"of_domain": domain, "of_username": username})
    # Or they would let in whoever has that name next.
    connection.execute(_NO_LONGER_APPROVED, {"of_jid": mine})
    return sorted(changed)


def _items_about(connection: Connection, jid: str) -> dict[Owner, RosterItem]:
    """Return the items of all accounts for one contact."""
    rows = connection.execute(_ABOUT, {"of_jid": jid})
    return {(row.domain, row.username): value_of(RosterItem, row) for row in rows}


def _pair(connection: Connection, owner: Owner, jid: str) -> RosterPair:
    """Return the roster items of two accounts, locked until the end of the transaction."""
    contact, mine = owner_of(jid), f"{owner[1]}@{owner[0]}"
    exists = contact in _lock(connection, owner, contact)
    return RosterPair(
        user_jid=mine,
        contact_jid=jid,
        user=_item(connection, owner, jid),
        contact=_item(connection, contact, mine) if exists else None,
        contact_exists=exists,
    )


def _lock(connection: Connection, owner: Owner, *others: Owner) -> set[Owner]:
    """Keep accounts from being changed by others; returns those that exist.

    On SQLite, the transaction does so. Elsewhere each row is locked, always in the same order:
    nobody waits in a circle.

    Raises:
        NotFound: the owner is gone.
    """
    there = set()
    for domain, username in sorted({owner, *others}):
        which = {"of_domain": domain, "of_username": username}
        if connection.scalar(_LOCK, which) is not None:
            there.add((domain, username))
    if owner not in there:
        raise NotFound(f"There is no account {owner[1]}@{owner[0]}.")
    return there


def _store(
    connection: Connection, owner: Owner, pair: RosterPair, change: SubscriptionChange
) -> SubscriptionChange:
    _save(connection, owner, pair.user, change.user)
    if pair.contact_exists:
        _save(connection, owner_of(pair.contact_jid), pair.contact, change.contact)
    return change


def _item(connection: Connection, owner: Owner, jid: str) -> RosterItem | None:
    row = connection.execute(_GET, _which(owner, jid)).first()
    return None if row is None else value_of(RosterItem, row)


def _save(
    connection: Connection, owner: Owner, before: RosterItem | None, after: RosterItem | None
) -> None:
    if after == before:
        return
    if after is None:
        assert before is not None  # noqa: S101 - as they differ
        connection.execute(_REMOVE, _which(owner, before.jid))
        return
    if before is None:
        row = {"domain": owner[0], "username": owner[1], **row_of(after)}
        connection.execute(_ADD, row)
    else:
        connection.execute(_SET, {**_which(owner, after.jid), **_changes(after)})


def _check_room(
    connection: Connection,
    owner: Owner,
    before: RosterItem | None,
    after: RosterItem | None,
    roster_limit: int,
    requests_limit: int,
) -> None:
    """Raise RosterFull if what is added to an account's roster is one too many, or too long.

    Groups are counted as they are stored, in JSON.
    """
    if after is None:
        return
    which = _which(owner, after.jid)
    longer = after.listed and (not before or not before.listed or before.length < after.length)
    if longer:
        length = int(connection.scalar(_LENGTH_OF_OTHERS, which) or 0) + after.length
        if length > roster_limit * CONTACT_LENGTH:
            raise RosterFull
    newly_listed = after.listed and not (before and before.listed)
    if newly_listed and int(connection.scalar(_COUNT_LISTED, which) or 0) >= roster_limit:
        raise RosterFull
    newly_asked = after.request is not None and not (before and before.request is not None)
    if newly_asked and int(connection.scalar(_COUNT_REQUESTS, which) or 0) >= requests_limit:
        raise RosterFull


def _changes(item: RosterItem) -> dict[str, object]:
    return {name: getattr(item, name) for name in _CHANGED}


def _which(owner: Owner, jid: str) -> dict[str, object]:
    return {"of_domain": owner[0], "of_username": owner[1], "of_jid": jid}


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
    UNEXPIRED,
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


def _take_invitation(
    connection: Connection, asked: Subscribing, contacts_item: RosterItem | None
) -> bool:
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
        connection.execute(_ADD_USE, row_of(replace(use, invite_id=invite_id)))
        return True
    if contacts_item is None or not contacts_item.listed:
        return False
    return connection.scalar(_MADE_WITH_IT, which) is not None
