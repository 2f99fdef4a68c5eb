"""Presence of sessions: who receives it, and whose presence they receive (RFC 6121 §4).

The contacts that receive a session's presence are its audience. It is read from the store when
the session becomes available; from then on `Contacts` updates it by `Delivery.show` and
`Delivery.hide`: at once for changes by sessions of this process, within a second for those of
other processes. So changes and the end of presence need no store, and cannot fail.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from twisted.logger import Logger
from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.protocols.jabber.jid import JID
from twisted.words.xish import domish

from invitereg.embedded.contacts import Contacts
from invitereg.embedded.delivery import Delivery
from invitereg.embedded.rosterxml import parse_request, subscription
from invitereg.embedded.sessions import Session, Sessions
from invitereg.embedded.stanzaxml import StanzaCopies, unavailable
from invitereg.model.roster import RosterItem
from invitereg.model.subscribing import Stanza
from invitereg.runtime.logs import CAUSES_PER_MINUTE, PerMinute

_log = Logger("invitereg.domain.presence.Presence")

PRIORITIES = range(-128, 128)
PRESENCE_LENGTH = 16 * 1024
"""The longest presence that is sent to all contacts, in bytes."""
_NUMBER = re.compile(r"[-+]?[0-9]{1,3}")

Roster = Mapping[str, RosterItem]


class Presence:
    """Send each session's presence to everybody who may see it."""

    def __init__(
        self,
        sessions: Sessions,
        delivery: Delivery,
        contacts: Contacts,
        arrived: Callable[[str, str], None],
    ) -> None:
        """Prepare to serve sessions.

        ``arrived`` is called with domain and username when an account can read messages.
        """
        self._sessions = sessions
        self._delivery = delivery
        self._contacts = contacts
        self._arrived = arrived
        self._lines = PerMinute(CAUSES_PER_MINUTE)

    async def available(self, session: Session, presence: domish.Element) -> None:
        """Broadcast presence; after the first one, send the session all others' (§4.2, §4.4).

        Raises:
            StanzaError: the priority is not valid, or the presence is too long to be kept.
            Unavailable: the store cannot be read. Nothing was sent, the session is unchanged.
        """
        priority = read_priority(presence)
        first = session.presence is None
        read = not first and session.priority >= 0
        copies = StanzaCopies(presence)
        if len(copies) > PRESENCE_LENGTH:
            text = f"A presence has at most {PRESENCE_LENGTH} bytes as it is sent on."
            raise StanzaError("policy-violation", "modify", text, "en")
        # From now on, contacts that are approved meanwhile are shown this presence.
        session.presence, session.priority = copies, priority
        if first:
            await self._introduce(session, copies)
        else:
            self._delivery.broadcast(copies, [session.account, *session.audience])
        if session.presence is not None and priority >= 0 and not read:
            self._arrived(session.domain, session.username)

    async def _introduce(self, session: Session, presence: StanzaCopies) -> None:
        try:
            roster = await self._settled_roster(session)
        except Exception:
            if not session.over:
                self._take_back(session)
            raise
        if session.over:
            return
        session.audience = {contact for contact, item in roster.items() if item.seen}
        self._delivery.broadcast(presence, [session.account, *session.audience])
        await self._tell(session, roster)

    def _take_back(self, session: Session) -> None:
        """Make a session unavailable again, whose first presence could not be sent."""
        seen = [session.account, *session.audience]
        session.presence, session.priority, session.audience = None, 0, set()
        self._delivery.broadcast(unavailable(session.address), seen)

    async def _settled_roster(self, session: Session) -> Roster:
        """Return the roster from the store, read while no subscription has changed."""
        while True:
            changes = session.changes
            roster = await self._contacts.roster(session.domain, session.username)
            if session.changes == changes or session.over:
                return roster

    async def _tell(self, session: Session, roster: Roster) -> None:
        """Send a new session the presence of its contacts, and open subscription requests.

        Whether a contact's session is visible is in that session's audience (§4.3.2), which was
        read from the contact's roster and is kept up to date.
        """
        for other in self._sessions.available(session.account):
            if other is not session and other.presence is not None:
                session.send(other.presence.to(session.account))
        for item in roster.values():
            if item.request is not None:
                self._ask_again(session, item.request)
        for contact, item in roster.items():
            await session.outbox.when_drained()
            if session.over:
                return
            if item.sees:
                self._answer_probe(session, contact)

    def _ask_again(self, session: Session, request: str) -> None:
        try:
            stanza = parse_request(request)
        except domish.ParserError:
            if self._lines.one_more():
                _log.error("a stored request to {account} is no XML", account=session.account)
        else:
            session.send(StanzaCopies(stanza).to(session.account))

    def _answer_probe(self, session: Session, contact: str) -> None:
        for theirs in self._sessions.available(contact):
            if theirs.presence is not None and session.account in theirs.audience:
                session.send(theirs.presence.to(session.account))

    async def probe(self, session: Session, to: JID) -> None:
        """Send a session the presence of a contact, if it may see it (§4.3.2).

        Otherwise answer "unsubscribed", also where there is no such account.

        Raises:
            Unavailable: the store cannot be read.
        """
        contact = to.userhost()
        item = (await self._contacts.roster(session.domain, session.username)).get(contact)
        if item is not None and item.sees:
            self._answer_probe(session, contact)
        elif to.user is not None and contact != session.account:
            told = subscription(Stanza.UNSUBSCRIBED, contact, session.account)
            session.send(StanzaCopies(told).to(session.account))

    def directed(self, session: Session, presence: domish.Element, to: JID) -> None:
        """Deliver directed presence; remember its recipient, for "unavailable" later (§4.6)."""
        account = to.userhost()
        was_there = self._delivery.presence(presence, to)
        if presence.getAttribute("type") == "unavailable":
            # Other sessions of the account may have been told, too, and still think so.
            others = [s for s in self._sessions.available(account) if s.address != to.full()]
            if to.resource is None or not others:
                session.directed.discard(account)
        elif was_there and account != session.account:
            session.directed.add(account)

    def unavailable(self, session: Session, presence: domish.Element) -> None:
        """Send "unavailable" to everybody who received the session's presence (§4.5.2).

        A presence that is longer than may be kept is replaced by an empty one.
        """
        copies = StanzaCopies(presence)
        if len(copies) > PRESENCE_LENGTH:
            copies = unavailable(session.address)
        self._delivery.broadcast(copies, [session.account])
        self._withdraw(session, copies)

    def leave(self, session: Session) -> None:
        """Forget a session whose stream is over; harmless if called again."""
        if session.over:
            return
        self._sessions.remove(session)
        if session.presence is not None:
            self._delivery.broadcast(unavailable(session.address), [session.account])
        self._withdraw(session, unavailable(session.address))

    def _withdraw(self, session: Session, copies: StanzaCopies) -> None:
        told = session.audience | session.directed
        session.presence, session.priority = None, 0
        session.audience, session.directed = set(), set()
        self._delivery.broadcast(copies, told)


def read_priority(presence: domish.Element) -> int:
    """Return the priority of a presence stanza; 0 if it has none (§4.7.2.3).

    Raises:
        StanzaError: it is no number from -128 to 127.
    """
    element: Any = presence.priority
    if element is None:
        return 0
    number = str(element).strip()
    if not _NUMBER.fullmatch(number) or int(number) not in PRIORITIES:
        text = "The priority is a number from -128 to 127."
        raise StanzaError("bad-request", "modify", text, "en")
    return int(number)
