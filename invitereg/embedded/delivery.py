"""How stanzas reach the sessions of local accounts (RFC 6121 §8.5).

Everything is written to its recipient before the call returns, so what one session sends
another arrives in order (RFC 6120 §10.1). Nothing is kept for those who are not connected. A
session that does not read what it was sent is passed over by all that one entity sends another,
as if it were not connected: so nobody can send it more than is kept for it.
"""

from collections.abc import Callable, Iterable, Sequence

from twisted.words.protocols.jabber.jid import JID
from twisted.words.xish import domish

from invitereg.embedded.sessions import Session, Sessions
from invitereg.embedded.stanzaxml import Copies, unavailable


class Delivery:
    """Delivers to the sessions of this process."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    # --- what one entity sends another

    def message(self, message: domish.Element, to: JID) -> bool:
        """Deliver a message; False if it must come back (RFC 6121 §8.5.2 and §8.5.3).

        An error never comes back, and neither does a headline that nobody is there to read.
        """
        kind = message.getAttribute("type")
        session = self._reading(to) if to.resource is not None else None
        if session is not None:
            session.send(Copies(message).to(session.address))
            return True
        if kind == "error":
            return True
        if kind == "groupchat" or (to.resource is not None and kind != "chat"):
            return False
        ready = self._ready(to.userhost())
        if kind == "headline":
            _send(ready, message, to)
            return True
        best = max((s.priority for s in ready), default=0)
        _send([s for s in ready if s.priority == best], message, to)
        return bool(ready)

    def is_ready(self, domain: str, username: str) -> bool:
        """Return whether an account has a session that takes the domain's own messages."""
        return bool(self._ready(f"{username}@{domain}"))

    def to_all_ready(self, domain: str, username: str, message: domish.Element) -> bool:
        """Deliver the domain's own message to all sessions that take some; False if none do."""
        ready = self._ready(f"{username}@{domain}")
        if ready:
            copy = Copies(message).to(f"{username}@{domain}")
            for session in ready:
                session.send(copy)
        return bool(ready)

    def iq(self, iq: domish.Element, sender: str, to: JID) -> bool:
        """Deliver an IQ to a full JID; False if it must come back (RFC 6121 §8.5.3).

        A request reaches only sessions that share their presence with the bare JID
        ``sender``. To all others they look as if they were not there: the answer to a
        request would tell who is connected (RFC 6121 §8.5.3.1 and §11).
        """
        session = self._reading(to)
        if session is None:
            return False
        request = iq.getAttribute("type") in ("get", "set")
        if request and not session.shares_presence_with(sender):
            return False
        session.send(Copies(iq).to(session.address))
        return True

    def presence(self, presence: domish.Element, to: JID) -> bool:
        """Deliver presence that names its recipient; returns whether anybody was there."""
        if to.resource is not None:
            session = self._reading(to)
            recipients = [session] if session is not None else []
        else:
            available = self._sessions.available(to.userhost())
            recipients = [session for session in available if not session.outbox.lagging]
        _send(recipients, presence, to)
        return bool(recipients)

    def _reading(self, to: JID) -> Session | None:
        session = self._sessions.get(to)
        return None if session is None or session.outbox.lagging else session

    def _ready(self, account: str) -> list[Session]:
        """The sessions of an account that take messages which name none of them."""
        available = self._sessions.available(account)
        return [one for one in available if one.priority >= 0 and not one.outbox.lagging]

    def broadcast(self, copies: Copies, accounts: Iterable[str]) -> None:
        """Send the available sessions of these bare JIDs a copy."""
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
        """Send the contact's available sessions the present presence of all of an account's.

        A contact that is not connected is remembered, and shown it when it comes.
        """
        account, viewer = f"{username}@{domain}", contact.userhost()
        self._note_change(account, viewer)
        for session in self._sessions.of(account):
            if session.presence is not None:
                session.audience.add(viewer)
                self.broadcast(session.presence, [viewer])

    def hide(self, domain: str, username: str, contact: JID) -> None:
        """Send the contact's available sessions "unavailable" from all of an account's."""
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
    """Send a stanza to whom it names: a push names nobody, and is for this session."""
    session.send(Copies(stanza).to(stanza.getAttribute("to") or session.address))


def _send(sessions: Sequence[Session], stanza: domish.Element, to: JID) -> None:
    if sessions:
        copy = Copies(stanza).to(to.full())
        for session in sessions:
            session.send(copy)
