"""The rosters of the `MemoryStore`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from zope.interface import implementer

from invitereg.errors import NotFound, RosterFull
from invitereg.exchange import Exchange, Pair
from invitereg.interfaces import Redemption
from invitereg.model import Invite, Kind
from invitereg.roster import Owner, RosterItem, owner_of
from invitereg.rosterstore import IRosterStore, RosterChange, Subscribing
from invitereg.store.memory_domain import Domain
from invitereg.store.memory_firing import fired

Roster = dict[str, RosterItem]


@implementer(IRosterStore)
class MemoryRosters:
    """Rosters in memory. Each method is described in its interface."""

    def __init__(self) -> None:
        self._domains: dict[str, Domain] = {}
        self._rosters: dict[Owner, Roster] = {}
        self._changes: list[RosterChange] = []

    def _at(self, domain: str) -> Domain:
        return self._domains.setdefault(domain, Domain())

    @fired
    def get_roster(self, domain: str, username: str) -> Mapping[str, RosterItem]:
        """See `IRosterStore`."""
        return dict(sorted(self._rosters.get((domain, username), {}).items()))

    @fired
    def set_item(
        self,
        domain: str,
        username: str,
        jid: str,
        name: str,
        groups: tuple[str, ...],
        limit: int,
    ) -> RosterItem:
        """See `IRosterStore`."""
        roster = self._roster((domain, username))
        item = replace(
            roster.get(jid) or RosterItem(jid=jid), name=name, groups=groups, listed=True
        )
        _check_room(roster, item, limit, 0)
        roster[jid] = item
        return item

    @fired
    def remove_item(self, domain: str, username: str, jid: str) -> Exchange:
        """See `IRosterStore`."""
        pair = self._pair((domain, username), jid)
        if pair.user is None or not pair.user.listed:
            raise NotFound(f"There is no contact {jid} in the roster.")
        return self._keep(pair, pair.remove())

    @fired
    def subscribe(self, subscribing: Subscribing) -> Exchange:
        """See `IRosterStore`."""
        asked = subscribing
        pair = self._pair((asked.domain, asked.username), asked.contact)
        invite = self._invitation(asked) if pair.may_use_invitation(asked.stanza) else None
        again = invite is not None and self._used(asked, invite)
        if again and not (pair.contact and pair.contact.listed):
            invite = None
        exchange = pair.send(asked.stanza, asked.request, invited=invite is not None)
        for jid, item in ((pair.user_jid, exchange.user), (pair.contact_jid, exchange.contact)):
            if item is not None:
                roster = self._rosters.get(owner_of(jid), {})
                _check_room(roster, item, asked.roster_limit, asked.requests_limit)
        if invite is not None and asked.use is not None and not again:
            self._at(asked.domain).take_use(invite)
            self._at(asked.domain).uses.append(replace(asked.use, invite_id=invite.id))
        return self._keep(pair, exchange)

    @fired
    def roster_changes(self, after: int | None) -> Sequence[RosterChange]:
        """See `IRosterStore`."""
        if after is None:
            return self._changes[-1:]
        return [change for change in self._changes if change.number > after]

    def join_contacts(self, redemption: Redemption, inviter: str) -> None:
        """Make a new account and its inviter contacts, if that one exists and has room."""
        domain, username = redemption.account.domain, redemption.account.username
        pair = self._pair((domain, username), f"{inviter}@{domain}")
        if not pair.contact_exists or inviter == username:
            return
        exchange = pair.join()
        assert exchange.contact is not None  # noqa: S101 - they are contacts now
        try:
            _check_room(
                self._roster((domain, inviter)), exchange.contact, redemption.roster_limit, 0
            )
        except RosterFull:
            return
        self._keep(pair, exchange)
        self._changed(pair.contact_jid, pair.user_jid)

    def drop_contacts(self, domain: str, username: str) -> None:
        """Remove an account's roster, and end all its subscriptions."""
        jid = f"{username}@{domain}"
        for contact in sorted(self._rosters.get((domain, username), {}), key=owner_of):
            pair = self._pair((domain, username), contact)
            exchange = pair.remove()
            if pair.contact_exists and exchange.contact != pair.contact:
                self._keep(pair, exchange)
                self._changed(contact, jid)
        self._rosters.pop((domain, username), None)
        for roster in self._rosters.values():
            if jid in roster:
                roster[jid] = replace(roster[jid], approved=False)

    def _exists(self, account: Owner) -> bool:
        return account[1] in self._at(account[0]).accounts

    def _roster(self, owner: Owner) -> Roster:
        if not self._exists(owner):
            raise NotFound(f"There is no account {owner[1]}@{owner[0]}.")
        return self._rosters.setdefault(owner, {})

    def _pair(self, owner: Owner, jid: str) -> Pair:
        contact, mine = owner_of(jid), f"{owner[1]}@{owner[0]}"
        return Pair(
            user_jid=mine,
            contact_jid=jid,
            user=self._roster(owner).get(jid),
            contact=self._rosters.get(contact, {}).get(mine),
            contact_exists=self._exists(contact),
        )

    def _keep(self, pair: Pair, exchange: Exchange) -> Exchange:
        self._put(pair.user_jid, pair.contact_jid, exchange.user)
        if pair.contact_exists:
            self._put(pair.contact_jid, pair.user_jid, exchange.contact)
        return exchange

    def _put(self, owner: str, jid: str, item: RosterItem | None) -> None:
        roster = self._roster(owner_of(owner))
        if item is None:
            roster.pop(jid, None)
        else:
            roster[jid] = item

    def _changed(self, owner: str, jid: str) -> None:
        domain, username = owner_of(owner)
        number = len(self._changes) + 1
        change = RosterChange(number=number, domain=domain, username=username, jid=jid)
        self._changes.append(change)

    def _invitation(self, asked: Subscribing) -> Invite | None:
        """The contact's invite that came with a subscription, if it is good for that."""
        inviter, _, domain = asked.contact.rpartition("@")
        at = self._at(domain)
        invite = at.invites.get(at.tokens.get(asked.digest or b"", ""))
        if invite is None or asked.use is None or domain != asked.domain:
            return None
        if invite.kind not in (Kind.CONTACT, Kind.ACCOUNT_AND_CONTACT):
            return None
        over = invite.revoked_at is not None or invite.expired(asked.use.at)
        if over or invite.inviter != inviter:
            return None
        if self._used(asked, invite):
            return invite if invite.kind is Kind.ACCOUNT_AND_CONTACT else None
        fits = invite.username in (None, asked.username)
        return invite if fits and not invite.used_up else None

    def _used(self, asked: Subscribing, invite: Invite) -> bool:
        key = (invite.id, asked.username)
        return any((u.invite_id, u.username) == key for u in self._at(asked.domain).uses)


def _check_room(
    roster: Mapping[str, RosterItem], item: RosterItem, limit: int, requests: int
) -> None:
    """Raise RosterFull if an item is one too many in a roster."""
    before = roster.get(item.jid) or RosterItem(jid=item.jid, listed=False)
    listed = sum(one.listed for one in roster.values())
    if item.listed and not before.listed and listed >= limit:
        raise RosterFull
    waiting = sum(one.request is not None for one in roster.values())
    if item.request is not None and before.request is None and waiting >= requests:
        raise RosterFull
