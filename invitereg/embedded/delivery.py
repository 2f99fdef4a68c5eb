"""Deliver stanzas to the sessions of local accounts (RFC 6121 §8.5).

Every stanza is written to its recipient before the call returns, so what one session sends
another arrives in order (RFC 6120 §10.1). Nothing is kept for accounts without a session. A
session whose client does not read is treated as if it were not connected, so no sender can make
more wait for it than may be kept.
"""

from collections.abc import Callable, Iterable, Sequence

from twisted.words.protocols.jabber.jid import JID
from twisted.words.xish import domish

from invitereg.embedded.sessions import Session, Sessions
from invitereg.embedded.stanzaxml import StanzaCopies, unavailable


class Delivery:
    """Deliver stanzas to the sessions of this process.

    No method waits or fails. Stanzas that are passed in are neither kept nor changed. A stanza
    without a recipient is sent with the session's full JID as ``to``; a subscription stanza
    keeps the bare JID (RFC 6121 §3.1.3).
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    # --- what one entity sends another

    def message(self, message: domish.Element, to: JID) -> bool:
        """Deliver a message; return False if it must bounce (RFC 6121 §8.5.2 and §8.5.3).

        An error never bounces, and neither does a headline for which there is no session.
        """
        kind = message.getAttribute("type")
        session = self._reading(to) if to.resource is not None else None
        if session is not None:
            session.send(StanzaCopies(message).to(session.address))
            return True
        if kind == "error":
            return True
        if kind == "groupchat" or (to.resource is not None and kind != "chat"):
            return False
        ready = self._ready(to.userhost())
        if kind == "headline":
            _send(ready, message, to.full())
            return True
        best = max((s.priority for s in ready), default=0)
        _send([s for s in ready if s.priority == best], message, to.full())
        return bool(ready)

    def is_ready(self, domain: str, username: str) -> bool:
        """Return whether the account has a session that takes messages to its bare JID."""
        return bool(self._ready(f"{username}@{domain}"))

    def to_all_ready(self, domain: str, username: str, message: domish.Element) -> bool:
        """Deliver the domain's message to sessions that take it; return whether any does."""
        ready = self._ready(f"{username}@{domain}")
        _send(ready, message, f"{username}@{domain}")
        return bool(ready)

    def iq(self, iq: domish.Element, sender: str, to: JID) -> bool:
        """Deliver an IQ to a full JID; return False if it must bounce (RFC 6121 §8.5.3).

        A request reaches only sessions that share their presence with the bare JID ``sender``.
        Others get the same error as without a session, because an answer would tell them that
        the account is connected (RFC 6121 §8.5.3.1 and §11).
        """
        session = self._reading(to)
        if session is None:
            return False
        request = iq.getAttribute("type") in ("get", "set")
        if request and not session.shares_presence_with(sender):
            return False
        session.send(StanzaCopies(iq).to(session.address))
        return True

    def presence(self, presence: domish.Element, to: JID) -> bool:
        """Deliver directed presence; return whether there was a session."""
        if to.resource is not None:
            session = self._reading(to)
            recipients = [session] if session is not None else []
        else:
            available = self._sessions.available(to.userhost())
            recipients = [session for session in available if not session.outbox.lagging]
        _send(recipients, presence, to.full())
        return bool(recipients)

    def _reading(self, to: JID) -> Session | None:
        session = self._sessions.get(to)
        return None if session is None or session.outbox.lagging else session

    def _ready(self, account: str) -> list[Session]:
        """Return the account's sessions that take messages to its bare JID."""
        available = self._sessions.available(account)
        return [one for one in available if one.priority >= 0 and not one.outbox.lagging]

    def broadcast(self, copies: StanzaCopies, accounts: Iterable[str]) -> None:
        """Send a copy to all available sessions of these accounts, given by bare JID."""
        for account in accounts:
            sessions = self._sessions.available(account)
            if sessions:
                copy = copies.to(account)
                for session in sessions:
                    session.send(copy)

    # --- what becomes of contacts; see `invitereg.embedded.contacts.Delivery`

    def to_interested(
        self, domain: str, username: str, make: Callable[[], domish.Element]
    ) -> None:
        """Send a new stanza to each session that has asked for its roster."""
        for session in self._sessions.of(f"{username}@{domain}"):
            if session.interested:
                _send_new(session, make())

    def to_available(
        self, domain: str, username: str, make: Callable[[], domish.Element]
    ) -> None:
        """Send a new stanza to each session that has sent initial presence."""
        for session in self._sessions.available(f"{username}@{domain}"):
            _send_new(session, make())

    def show(self, domain: str, username: str, contact: JID) -> None:
        """Send an account's current presence to the available sessions of a contact.

        A contact without a session is remembered, and gets the presence when it connects.
        """
        account, viewer = f"{username}@{domain}", contact.userhost()
        self._note_change(account, viewer)
        for session in self._sessions.of(account):
            if session.presence is not None:
                session.audience.add(viewer)
                self.broadcast(session.presence, [viewer])

    def hide(self, domain: str, username: str, contact: JID) -> None:
        """Send an account's "unavailable" to a contact's available sessions."""
        account, viewer = f"{username}@{domain}", contact.userhost()
        self._note_change(account, viewer)
        for session in self._sessions.of(account):
            if viewer in session.audience | session.directed:
                self.broadcast(unavailable(session.address), [viewer])
            session.audience.discard(viewer)
            session.directed.discard(viewer)

    def _note_change(self, *accounts: str) -> None:
        for account in accounts:
            for session in self._sessions.of(account):
                session.changes += 1


def _send_new(session: Session, stanza: domish.Element) -> None:
    """Send a stanza to its ``to``; a roster push has none and is for this session."""
    session.send(StanzaCopies(stanza).to(stanza.getAttribute("to") or session.address))


def _send(sessions: Sequence[Session], stanza: domish.Element, to: str) -> None:
    if sessions:
        copy = StanzaCopies(stanza).to(to)
        for session in sessions:
            session.send(copy)
