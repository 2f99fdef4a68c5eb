"""Who is connected to the embedded domain, and the end of it."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Protocol

from twisted.logger import Logger
from twisted.words.protocols.jabber.jid import JID
from twisted.words.xish import domish

from invitereg.errors import Refused
from invitereg.interfaces import IAccountStore


class Session(Protocol):
    """A connection with a full JID; `invitereg.xmpp.stream.ClientStream` is one."""

    jid: JID | None
    credentials_set_at: datetime | None
    priority: int | None

    def send(self, obj: Any) -> None:
        """Write an element, unless it has ended."""

    def end(self, condition: str, text: str | None = None) -> None:
        """End it with a stream error."""


class Sessions:
    """The sessions of this process, at most one for each full JID."""

    _log = Logger()

    def __init__(self, store: Any) -> None:
        self._store = IAccountStore(store)
        self._sessions: dict[tuple[str, str], dict[str, Session]] = {}
        self._last_end: int | None = None
        self._spared: set[Session] = set()

    def of(self, domain: str, username: str) -> Iterator[Session]:
        """The sessions of one account."""
        return iter(list(self._sessions.get((domain, username), {}).values()))

    def deliver(self, domain: str, username: str, message: domish.Element) -> bool:
        """Write a message to all sessions that take some; False if there are none."""
        sessions = self.of(domain, username)
        taking = [s for s in sessions if s.priority is not None and s.priority >= 0]
        for session in taking:
            session.send(message)
        return bool(taking)

    async def add(self, session: Session) -> None:
        """Take a session in; one with the same resource makes room (RFC 6120 §7.7.2.2).

        The password may have changed, or the account may have gone, between login and now:
        then the session ends. It is taken in before that is asked, so that a change after
        the question finds it here.
        """
        domain, username, resource = _parts(session)
        mine = self._sessions.setdefault((domain, username), {})
        previous = mine.get(resource)
        mine[resource] = session
        if previous is not None:
            previous.end("conflict", "Replaced by a new connection with this resource.")
        try:
            await self._end_outdated(domain, username, [session])
        except Refused as refusal:
            # It must not stay unchecked, and its stream is bound already.
            session.end("resource-constraint", refusal.text)
            raise

    def remove(self, session: Session) -> None:
        """Forget a session that is over; harmless if it was never taken in or replaced."""
        self._spared.discard(session)
        if session.jid is None:
            return
        domain, username, resource = _parts(session)
        mine = self._sessions.get((domain, username), {})
        if mine.get(resource) is session:
            del mine[resource]
            if not mine:
                del self._sessions[domain, username]

    def spare(self, session: Session) -> None:
        """Do not end a session that changes its own account, until `settle` is called.

        Between the change and the answer to it, the session may look outdated.
        """
        self._spared.add(session)

    async def settle(self, session: Session) -> None:
        """End what the change has outdated: other sessions of the account, or also this one."""
        self._spared.discard(session)
        domain, username, _resource = _parts(session)
        try:
            await self._end_outdated(domain, username, list(self.of(domain, username)))
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
            sessions = list(self.of(end.domain, end.username))
            if sessions:
                await self._end_outdated(end.domain, end.username, sessions)
            self._last_end = end.number

    async def _end_outdated(
        self, domain: str, username: str, sessions: Iterable[Session]
    ) -> None:
        """End those that were opened with another password than the account has now.

        Whether the account has it, and not when it was set, decides: so nothing depends on
        clocks that agree.
        """
        account = await self._store.get_account(domain, username)
        credentials = account and account.credentials
        text = "The password has changed." if account else "The account was removed."
        for session in sessions:
            if credentials and credentials.changed_at == session.credentials_set_at:
                continue
            if session in self._spared:
                continue
            self._log.info(
                "session of {username}@{domain} ended: password or account has changed",
                username=username,
                domain=domain,
            )
            session.end("not-authorized", text)


def _parts(session: Session) -> tuple[str, str, str]:
    jid = session.jid
    if jid is None or jid.user is None or jid.resource is None:
        raise ValueError("a session has a full JID")
    return jid.host, jid.user, jid.resource
