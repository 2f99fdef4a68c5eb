"""Who is in the middle of which ad-hoc command (XEP-0050 §3.3)."""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from twisted.words.protocols.jabber.jid import JID

LIFETIME_SECONDS = 600.0
MAX_PER_USER = 10


class UnknownSession(Exception):
    """This command of this user has never had such a session."""


class ExpiredSession(Exception):
    """The session is over: completed, canceled, or timed out."""


@dataclass(slots=True, kw_only=True)
class Session:
    """One execution of a command.

    Attributes:
        jid: the full JID that executes it, which alone may go on.
        language: that it began in, and stays in.
        stages: what has been asked so far, first to last.
        answers: what was answered to all of these but the last.
        touched: when it was last gone on with, by the clock.
    """

    id: str
    jid: JID
    node: str
    language: str
    stages: Sequence[Any] = ()
    answers: Sequence[Any] = ()
    touched: float = field(default=0.0)


class CommandSessions:
    """The sessions that are open: a few for each user, and none for long.

    An id says for whom it was made, under a key of this process: so one that is over can be
    told from one that never was, and nothing is kept of it.
    """

    def __init__(
        self,
        seconds: Callable[[], float],
        lifetime: float = LIFETIME_SECONDS,
        max_per_user: int = MAX_PER_USER,
    ) -> None:
        self._seconds = seconds
        self._lifetime = lifetime
        self._max_per_user = max_per_user
        self._key = secrets.token_bytes(32)
        self._last = 0
        # Both from the one untouched for longest to the latest.
        self._open: OrderedDict[str, Session] = OrderedDict()
        self._of_users: dict[str, OrderedDict[str, Session]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, jid: JID, node: str, language: str) -> Session:
        """A session of its own id, which is not open until it is kept."""
        self._last += 1
        number = f"{self._last:x}"
        session_id = f"{number}-{self._seal(number, jid, node)}"
        return Session(id=session_id, jid=jid, node=node, language=language)

    def keep(self, session: Session) -> None:
        """Leave a session open; the user's oldest makes room if there are too many."""
        self._forget_expired()
        session.touched = self._seconds()
        self._open[session.id] = session
        of_user = self._of_users.setdefault(session.jid.userhost(), OrderedDict())
        of_user[session.id] = session
        if len(of_user) > self._max_per_user:
            self._remove(next(iter(of_user.values())))

    def take(self, session_id: str, jid: JID, node: str) -> Session:
        """Take an open session out, to go on with it; it is over unless it is kept again.

        Raises:
            UnknownSession: it is no session of this command and user.
            ExpiredSession: it was one.
        """
        self._forget_expired()
        number, _, seal = session_id.partition("-")
        if not hmac.compare_digest(seal.encode(), self._seal(number, jid, node).encode()):
            raise UnknownSession
        session = self._open.get(session_id)
        if session is None:
            raise ExpiredSession
        self._remove(session)
        return session

    def _seal(self, number: str, jid: JID, node: str) -> str:
        text = "\0".join((number, jid.full(), node))
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()[:32]

    def _forget_expired(self) -> None:
        before = self._seconds() - self._lifetime
        while self._open:
            oldest = next(iter(self._open.values()))
            if oldest.touched > before:
                return
            self._remove(oldest)

    def _remove(self, session: Session) -> None:
        del self._open[session.id]
        user = session.jid.userhost()
        of_user = self._of_users[user]
        del of_user[session.id]
        if not of_user:
            del self._of_users[user]
