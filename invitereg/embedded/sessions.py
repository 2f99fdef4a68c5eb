"""Who is connected to the embedded domain, and the end of it."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.words.protocols.jabber.jid import JID

from invitereg.embedded.stanzaxml import Copies
from invitereg.errors import Refused
from invitereg.interfaces.stores import IAccountStore

_log = Logger("invitereg.domain.sessions.Sessions")


class Outgoing(Protocol):
    """Hold what is on its way to a client; `invitereg.xmpp.c2s.flow.Outbox` is one."""

    @property
    def lagging(self) -> bool:
        """Whether so much waits that others cannot add to it."""

    def when_taken(self) -> Deferred[None]:
        """Fire when nothing waits any more, or when it no longer matters."""


class Connection(Protocol):
    """What a session is spoken to by; `invitereg.xmpp.c2s.stream.ClientStream` is one."""

    @property
    def outbox(self) -> Outgoing:
        """Return what is on its way to it."""

    def send(self, obj: str | bytes) -> None:
        """Write a stanza's XML; harmless if it has ended."""

    def end(self, condition: str, text: str | None = None) -> None:
        """End it with a stream error."""


class Session:
    """A connection with a full JID, and all that the domain remembers of it.

    Attributes:
        jid: its full JID; ``address`` is that as text.
        account: the bare JID as text, made of ``username`` and ``domain``.
        credentials_set_at: when the password was set that opened it.
        interested: it has asked for the roster, and is told of every change (RFC 6121 §2.2).
        presence: its last available presence, while it is available.
        priority: that presence's (RFC 6121 §4.7.2.3).
        audience: bare JIDs of the contacts that were sent that presence, or would have been
            if they were connected.
        directed: bare JIDs of others that were sent presence by name (RFC 6121 §4.6).
        changes: counts what has changed in who sees whom here; see `Presence`.
        over: it has been forgotten, and gets nothing any more.
        outbox: what is on its way to the client.
    """

    def __init__(
        self, jid: JID, credentials_set_at: datetime | None, connection: Connection
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
        self.presence: Copies | None = None
        self.priority = 0
        self.audience: set[str] = set()
        self.directed: set[str] = set()
        self.changes = 0
        self.over = False
        self.outbox = connection.outbox
        self.send: Callable[[bytes], None] = connection.send
        self.end: Callable[..., None] = connection.end

    def disconnected(self) -> None:
        """Write nothing any more, and keep nothing of a connection that is gone."""
        self.send = self.end = _nobody

    def shares_presence_with(self, account: str) -> bool:
        """Whether the bare JID ``account`` may know that this is connected."""
        return account == self.account or account in self.audience | self.directed


def _nobody(_text: str | bytes, _more: str | None = None) -> None:
    """Nobody is there any more."""


class Sessions:
    """The sessions of this process: at most one for each full JID, and some for an account.

    A new one too many ends the oldest. To refuse it instead would lock people out by their
    own connections that are dead, and that nobody has noticed yet.
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
        """The sessions of the account with this bare JID."""
        return list(self._sessions.get(account, {}).values())

    def available(self, account: str) -> list[Session]:
        """Those of its sessions that have sent initial presence."""
        return [session for session in self.of(account) if session.presence is not None]

    def get(self, jid: JID) -> Session | None:
        """The session with this full JID."""
        return self._sessions.get(jid.userhost(), {}).get(jid.full())

    async def add(self, session: Session) -> None:
        """Take a session in; one with the same resource makes room (RFC 6120 §7.7.2.2).

        The password may have changed, or the account may have gone, between login and now:
        then the session ends. It is taken in before that is asked, so that a change after
        the question finds it here.
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
        """Forget a session that is over; harmless if it was never taken in or replaced."""
        session.over = True
        self._spared.discard(session)
        mine = self._sessions.get(session.account, {})
        if mine.get(session.address) is session:
            del mine[session.address]
            if not mine:
                del self._sessions[session.account]

    def spare(self, session: Session) -> None:
        """Do not end a session that changes its own account, until `settle` is called.

        Between the change and the answer to it, the session may look outdated.
        """
        self._spared.add(session)

    async def settle(self, session: Session) -> None:
        """End what the change has outdated: other sessions of the account, or also this one."""
        self._spared.discard(session)
        try:
            await self._end_outdated(session.domain, session.username, self.of(session.account))
        except Refused as refusal:
            # The others are found by `carry_out_ends`; this may have been passed over there.
            session.end("resource-constraint", refusal.text)

    async def carry_out_ends(self) -> None:
        """End the sessions that the store says are over, whichever process said so.

        To be called every second; what was asked before the first call is over anyway, as
        sessions do not outlive their process.
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
        """End those that were opened with another password than the account has now.

        Whether the account has it, and not when it was set, decides: so nothing depends on
        clocks that agree. One that has changed it itself meanwhile is judged in `settle`.
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
