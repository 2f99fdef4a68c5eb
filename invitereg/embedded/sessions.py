"""The sessions of the embedded domain, and what ends them."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.words.protocols.jabber.jid import JID

from invitereg.embedded.stanzaxml import StanzaCopies
from invitereg.errors import Refused
from invitereg.interfaces.stores import IAccountStore

_log = Logger("invitereg.domain.sessions.Sessions")


class Outgoing(Protocol):
    """The bytes that wait for a client; `invitereg.xmpp.c2s.flow.Outbox` implements it."""

    @property
    def lagging(self) -> bool:
        """Whether so much waits for the client that others may not add to it."""

    def when_drained(self) -> Deferred[None]:
        """Fire when nothing waits any more, or the client is gone."""


class SessionStream(Protocol):
    """The stream of a session; `invitereg.xmpp.c2s.stream.ClientStream` implements it."""

    @property
    def outbox(self) -> Outgoing:
        """The output that waits to be sent to the client."""

    def send(self, obj: str | bytes) -> None:
        """Write a stanza's XML; harmless if the stream has ended."""

    def end(self, condition: str, text: str | None = None) -> None:
        """End the stream with a stream error."""


class Session:
    """A connection with a full JID, and what the domain knows of it.

    Attributes:
        jid: the full JID; ``address`` is the same as text.
        account: the bare JID as text, made of ``username`` and ``domain``.
        credentials_set_at: when the password was set that opened the session.
        interested: whether it has requested the roster and gets roster pushes (RFC 6121 §2.2).
        presence: its last available presence; None while it is unavailable.
        priority: of that presence (RFC 6121 §4.7.2.3).
        audience: bare JIDs of the contacts that receive its presence, connected or not.
        directed: bare JIDs of others that received directed presence (RFC 6121 §4.6).
        changes: counts changes of who may see whom; see `Presence`.
        over: whether it has been forgotten; it receives nothing any more.
        outbox: what waits to be sent to the client.
    """

    def __init__(
        self, jid: JID, credentials_set_at: datetime | None, stream: SessionStream
    ) -> None:
        if jid.user is None or jid.resource is None:
            raise ValueError("a session has a full JID")
        self.jid = jid
        self.domain: str = jid.host
        self.username: str = jid.user
        self.address: str = jid.full()
        self.account: str = jid.userhost()
        self.credentials_set_at = credentials_set_at
        self.interested = False
        self.presence: StanzaCopies | None = None
        self.priority = 0
        self.audience: set[str] = set()
        self.directed: set[str] = set()
        self.changes = 0
        self.over = False
        self.outbox = stream.outbox
        self.send: Callable[[bytes], None] = stream.send
        self.end: Callable[..., None] = stream.end

    def disconnected(self) -> None:
        """Write nothing any more, and release the connection that is gone."""
        self.send = self.end = lambda *_: None

    def shares_presence_with(self, account: str) -> bool:
        """Return whether the bare JID ``account`` may know that this session is connected."""
        return account == self.account or account in self.audience | self.directed


class Sessions:
    """The sessions of this process: one for each full JID, and a limited number an account.

    One session too many ends the oldest. If the new one were refused instead, dead connections
    that have not timed out yet would lock people out of their account.
    """

    def __init__(self, store: IAccountStore, per_account: int = 20) -> None:
        self._store = store
        self._per_account = per_account
        self._sessions: dict[str, dict[str, Session]] = {}
        self._last_end: int | None = None
        self._spared: set[Session] = set()
        # What is to be done when a session makes room for another.
        self.left: Callable[[Session], None] = self.remove

    def of(self, account: str) -> list[Session]:
        """Return the sessions of the account with this bare JID."""
        return list(self._sessions.get(account, {}).values())

    def available(self, account: str) -> list[Session]:
        """Return the sessions of the account that have sent initial presence."""
        return [session for session in self.of(account) if session.presence is not None]

    def get(self, jid: JID) -> Session | None:
        return self._sessions.get(jid.userhost(), {}).get(jid.full())

    async def add(self, session: Session) -> None:
        """Add a session; it replaces one with the same resource (RFC 6120 §7.7.2.2).

        The session ends if the password was changed, or the account removed, since it logged
        in. It is added before that is checked, so that a change after the check finds it here.

        Raises:
            Refused: the check could not be made; the session has ended.
        """
        previous = self._sessions.get(session.account, {}).get(session.address)
        if previous is not None:
            previous.end("conflict", "Replaced by a new connection with this resource.")
            self.left(previous)
        mine = self._sessions.setdefault(session.account, {})
        mine[session.address] = session
        if len(mine) > self._per_account:
            # Not resource-constraint: the client would come back, and end another one.
            oldest = next(iter(mine.values()))
            oldest.end("conflict", "Replaced by a new connection: there are too many.")
            self.left(oldest)
        try:
            await self._end_outdated(session.domain, session.username, [session])
        except Refused as refusal:
            # It must not stay unchecked, and its stream is bound already.
            session.end("resource-constraint", refusal.text)
            raise

    def remove(self, session: Session) -> None:
        """Forget a session that is over; harmless if it was never added, or was replaced."""
        session.over = True
        self._spared.discard(session)
        mine = self._sessions.get(session.account, {})
        if mine.get(session.address) is session:
            del mine[session.address]
            if not mine:
                del self._sessions[session.account]

    def spare(self, session: Session) -> None:
        """Do not end a session that is changing its own account, until `settle` is called.

        Between the change and the reply to it, the session looks outdated.
        """
        self._spared.add(session)

    async def settle(self, session: Session) -> None:
        """End the sessions of an account that its change has outdated, this one among them."""
        self._spared.discard(session)
        try:
            await self._end_outdated(session.domain, session.username, self.of(session.account))
        except Refused as refusal:
            # The others are found by `carry_out_ends`; this may have been passed over there.
            session.end("resource-constraint", refusal.text)

    async def carry_out_ends(self) -> None:
        """End the sessions of accounts whose password or existence any process has changed.

        To be called every second. Changes before the first call do not matter, because no
        session outlives its process.
        """
        ends = await self._store.session_ends(self._last_end)
        if self._last_end is None:
            self._last_end = ends[-1].number if ends else 0
            return
        for end in ends:
            sessions = self.of(f"{end.username}@{end.domain}")
            if sessions:
                await self._end_outdated(end.domain, end.username, sessions)
            self._last_end = end.number

    async def _end_outdated(
        self, domain: str, username: str, sessions: Iterable[Session]
    ) -> None:
        """End the sessions that were opened with another password than the account has now.

        The password itself decides, not the time of the change, so that clocks need not agree.
        A session that has changed the password meanwhile is left to `settle`.
        """
        opened = [(session, session.credentials_set_at) for session in sessions]
        found = await self._store.get_account(domain, username)
        credentials = found and found.credentials
        text = "The password has changed." if found else "The account was removed."
        for session, credentials_set_at in opened:
            if credentials and credentials.changed_at == credentials_set_at:
                continue
            if session in self._spared or session.credentials_set_at != credentials_set_at:
                continue
            _log.info(
                "session of {account} ended: password or account has changed",
                account=session.account,
            )
            session.end("not-authorized", text)
