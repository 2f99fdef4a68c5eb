"""Rosters and subscriptions of accounts at the embedded domain (RFC 6121 §2, §3).

The store decides how a subscription stanza changes both rosters, in one transaction. This
module sends the results to the sessions of both accounts.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from twisted.internet.defer import Deferred, DeferredLock
from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.protocols.jabber.jid import JID
from twisted.words.xish import domish

from invitereg.embedded import rosterxml
from invitereg.embedded.addresses import bare_jid, parse_jid
from invitereg.embedded.delivery import Delivery
from invitereg.embedded.sessions import Session
from invitereg.interfaces.queries import Query, RosterChange, Subscribing
from invitereg.interfaces.stores import IStore
from invitereg.model.invites import Kind, Use, token_digest
from invitereg.model.namespaces import NS_PREAUTH
from invitereg.model.roster import Owner, RosterItem, owner_of
from invitereg.model.subscribing import (
    Deliver,
    Hide,
    Push,
    Show,
    Side,
    Stanza,
    SubscriptionChange,
)
from invitereg.policy.counters import guess_counters, stale_counters
from invitereg.policy.values import Address, Domain
from invitereg.usecases.throttles import TokenThrottle

REQUEST_BYTES = 4096
"""The longest subscription request that is kept."""


class Contacts:
    """Read and change rosters and subscriptions, and send the results to sessions.

    Attributes:
        domains: the domains that are served, by name; may be replaced while running.
    """

    def __init__(
        self,
        domains: Mapping[str, Domain],
        store: IStore,
        delivery: Delivery,
        now: Callable[[], datetime],
    ) -> None:
        self.domains = domains
        self._store = store
        self._tokens = TokenThrottle(store)
        self._delivery = delivery
        self._now = now
        # Of those whose roster is being read: how many read it, and how often it has changed.
        self._reading: Counter[Owner] = Counter()
        self._pushed: Counter[Owner] = Counter()
        self._last_change: int | None = None
        self._changes_lock = DeferredLock()

    async def roster(self, domain: str, username: str) -> Mapping[str, RosterItem]:
        """Return all roster items by bare JID, those that hold only a request among them."""
        return await self._store.get_roster(domain, username)

    async def listed(self, session: Session) -> Sequence[RosterItem]:
        """Return the roster for a session that requests it; later changes are pushed to it."""
        session.interested = True
        owner = (session.domain, session.username)
        self._reading[owner] += 1
        try:
            while True:
                pushed = self._pushed[owner]
                roster = await self.roster(*owner)
                # What was read before a change must not arrive after it.
                if pushed == self._pushed[owner]:
                    return [item for item in roster.values() if item.listed]
        finally:
            self._reading[owner] -= 1
            if not self._reading[owner]:
                del self._reading[owner], self._pushed[owner]

    async def set_item(
        self, session: Session, jid: str, name: str, groups: tuple[str, ...]
    ) -> None:
        """Add an item to a session's roster, or change one.

        Raises:
            RosterFull: there are as many as may be.
        """
        owner = (session.domain, session.username)
        limit = self.domains[session.domain].policy.limits.roster
        item = await self._store.set_item(*owner, jid, name, groups, limit)
        self._push(owner, item)

    async def remove_item(self, session: Session, jid: str) -> None:
        """Remove an item from a session's roster, and end its subscriptions.

        Raises:
            NotFound: there is no such item.
        """
        change = await self._store.remove_item(session.domain, session.username, jid)
        self._carry_out(change, session.account, jid)

    async def subscription(
        self, sender: JID, stanza: domish.Element, address: Address | None = None
    ) -> None:
        """Carry out ``subscribe``, ``subscribed``, ``unsubscribe`` or ``unsubscribed``.

        Call this for every such presence of a session, in the order in which they arrive, with
        the stanza as the client sent it.

        Args:
            sender: the session's full JID.
            stanza: with the contact in ``to``.
            address: of the client's connection; wrong tokens are counted for it.

        Raises:
            StanzaError: the error to reply with.
        """
        contact = bare_jid(parse_jid(stanza["to"]))
        self._check(sender, contact)
        request = rosterxml.addressed(stanza, sender.userhost(), contact.userhost())
        digest = None
        if stanza["type"] == Stanza.SUBSCRIBE:
            digest = await self._recognise(contact.host, address, request)
        text = rosterxml.write(request)
        if stanza["type"] == Stanza.SUBSCRIBE and len(text.encode()) > REQUEST_BYTES:
            why = f"A subscription request has at most {REQUEST_BYTES} bytes."
            raise StanzaError("policy-violation", "modify", why, "en")
        limits = self.domains[contact.host].policy.limits
        asked = Subscribing(
            stanza=Stanza(stanza["type"]),
            domain=sender.host,
            username=str(sender.user),
            contact=contact.userhost(),
            roster_limit=limits.roster,
            requests_limit=limits.roster_requests,
            request=text,
            digest=digest,
            use=self._use(sender, address),
        )
        change = await self._store.subscribe(asked)
        self._carry_out(change, sender.userhost(), contact.userhost(), request)

    def _check(self, sender: JID, contact: JID) -> None:
        if contact.host not in self.domains:
            raise StanzaError("remote-server-not-found", "cancel")
        if contact.user is None:
            raise StanzaError("service-unavailable", "cancel")
        if contact == bare_jid(sender):
            text = "An account is no contact of its own."
            raise StanzaError("not-allowed", "cancel", text, "en")

    def _use(self, sender: JID, address: Address | None) -> Use:
        return Use(
            domain=sender.host,
            username=str(sender.user),
            kind=Kind.CONTACT,
            at=self._now(),
            door="c2s",
            address=None if address is None else str(address),
        )

    async def carry_out_changes(self) -> None:
        """Send sessions the roster changes that another process or a registration has made.

        To be called every second. Sessions have read what was changed before the first call.
        """
        await self._changes_lock.run(lambda: Deferred.fromCoroutine(self._tell_changes()))

    async def _tell_changes(self) -> None:
        changes = await self._store.roster_changes(self._last_change)
        if self._last_change is None:
            self._last_change = changes[-1].number if changes else 0
            return
        for change in changes:
            await self._tell(change)
            self._last_change = change.number

    async def _tell(self, change: RosterChange) -> None:
        owner, contact = (change.domain, change.username), owner_of(change.jid)
        roster = await self.roster(*owner)
        item = roster.get(change.jid, RosterItem(jid=change.jid, listed=False))
        mine, theirs = JID(tuple=(owner[1], owner[0], None)), JID(change.jid)
        self._push(owner, item if item.listed else None, change.jid)
        of_owner = self._delivery.show if item.seen else self._delivery.hide
        of_contact = self._delivery.show if item.sees else self._delivery.hide
        of_owner(*owner, theirs)
        of_contact(*contact, mine)

    # --- what comes of it

    def _carry_out(
        self,
        change: SubscriptionChange,
        user: str,
        contact: str,
        sent: domish.Element | None = None,
    ) -> None:
        """Send what follows from a change; ``sent`` is the stanza that began it."""
        jids = {Side.USER: user, Side.CONTACT: contact}
        for effect in change.effects:
            match effect:
                case Push(to, item):
                    self._push(owner_of(jids[to]), item, jids[to.other])
                case Deliver(to, stanza):
                    told = rosterxml.subscription(stanza, jids[to.other], jids[to])
                    if to is Side.CONTACT and sent is not None and sent["type"] == stanza:
                        told = sent
                    self._deliver(owner_of(jids[to]), told)
                case Show(of):
                    self._delivery.show(*owner_of(jids[of]), JID(jids[of.other]))
                case Hide(of):
                    self._delivery.hide(*owner_of(jids[of]), JID(jids[of.other]))

    def _deliver(self, owner: Owner, stanza: domish.Element) -> None:
        """Send a request to available sessions, an answer to those with the roster (§3.1.6)."""
        asks = stanza["type"] == Stanza.SUBSCRIBE
        send = self._delivery.to_available if asks else self._delivery.to_interested
        send(*owner, lambda: stanza)

    def _push(self, owner: Owner, item: RosterItem | None, jid: str = "") -> None:
        if owner in self._reading:
            self._pushed[owner] += 1
        self._delivery.to_interested(*owner, lambda: rosterxml.push(item, jid))

    async def _recognise(
        self, domain: str, address: Address | None, request: domish.Element
    ) -> bytes | None:
        """Return the digest of a request's token, or None without a token that is known here.

        https://xmpp.org/extensions/xep-0379.html: the server's side.

        A known token is removed from the request, in whatever state its invite is: it is
        neither stored nor shown to the contact. An unknown token may be of the contact's own
        client, which checks it (XEP-0379 §3.4): it stays in the request, and counts as a guess.
        After too many guesses, tokens from that network are looked up one at a time. Of several
        tokens the first counts, and the others are removed.
        """
        found: list[domish.Element] = list(request.elements(NS_PREAUTH, "preauth"))
        _take_out(request, found[1:])
        token = str(found[0].getAttribute("token") or "") if found else ""
        if not token:
            return None
        policy, now, digest = self.domains[domain].policy, self._now(), token_digest(token)
        counters = guess_counters(policy, address)
        query = Query(domain=domain, now=now, digest=digest, counters=counters)
        findings = await self._tokens.look_up(query)
        known = findings.invite is not None
        if not policy.limits.allowlisted(address):
            # Written down either way: the time that it takes tells nobody which are known.
            counted = stale_counters(policy, address) if known else counters
            await self._store.hit(domain, counted, now)
        if not known:
            return None
        _take_out(request, found)
        return digest


def _take_out(request: domish.Element, elements: list[domish.Element]) -> None:
    request.children = [child for child in request.children if child not in elements]
