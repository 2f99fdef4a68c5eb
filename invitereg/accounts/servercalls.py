"""Calls to the server that keeps a domain's accounts: their time limit, and their errors."""

from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from invitereg.errors import (
    NotFound,
    Refused,
    UnacceptablePassword,
    Unavailable,
    UsernameTaken,
)
from invitereg.interfaces.server import (
    PATIENCE_SECONDS,
    AlreadyThere,
    IServer,
    NotThere,
    PasswordRefused,
    ServerFault,
)
from invitereg.interfaces.stores import ILeaseStore
from invitereg.runtime.deferreds import Deadline
from invitereg.runtime.logs import FaultLog

_server_log = Logger("invitereg.accounts.asking.Asking")
_log = Logger("invitereg.accounts.gone.GoneAccounts")

T = TypeVar("T")
P = ParamSpec("P")

_CONTROLS = 3
"""How many of the accounts that a server has confirmed last are remembered."""


class _HasClock(Protocol):
    clock: IReactorTime


S = TypeVar("S", bound=_HasClock)


def with_deadline(
    work: Callable[Concatenate[S, Deadline, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[S, P], Deferred[T]]:
    """Make a method of `IServer` from a coroutine function whose first argument is a deadline.

    The deadline is `PATIENCE_SECONDS` after the call, by the object's ``clock``.
    """

    def method(self: S, /, *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        deadline = Deadline(self.clock, PATIENCE_SECONDS)
        return Deferred.fromCoroutine(work(self, deadline, *args, **kwargs))

    return method


class ServerCalls:
    """Turn a server's answers and faults into results and refusals.

    Attributes:
        server: the server that is called.
        faults: the log of whether the server works.
    """

    def __init__(self, server: IServer, clock: IReactorTime) -> None:
        self.server = server
        self.faults = FaultLog(_server_log, f"the server of {server.domain}", clock.seconds)

    async def answer(self, call: Deferred[T]) -> T:
        """Return the result of a call to the server.

        Raises:
            Refused: for each `ServerFault`, as `refusal` says.
        """
        try:
            answer = await call
        except ServerFault as fault:
            raise self.refusal(fault) from None
        self.faults.worked()
        return answer

    def refusal(self, fault: ServerFault) -> Refused:
        """Return the refusal for a fault; a fault of the server itself is logged."""
        match fault:
            case AlreadyThere():
                return UsernameTaken()
            case PasswordRefused():
                return UnacceptablePassword(fault.text)
            case NotThere():
                return NotFound(fault.text)
            case _:
                return self.unavailable(fault)

    def unavailable(self, fault: ServerFault) -> Unavailable:
        """Log a fault of the server itself, and return the refusal for it."""
        return Unavailable(self.faults.failed(fault.text), fault.text)


class GoneAccounts:
    """Notice when a server no longer has an account, and end what the account left here.

    A server in trouble, such as one without file descriptors, says of every account that it
    does not exist, and a stranger may have caused that. So one answer ends nothing: right
    after it, the server must confirm a control, which is another account that must exist, and
    deny the first account once more.
    """

    def __init__(
        self, calls: ServerCalls, store: ILeaseStore, now: Callable[[], datetime]
    ) -> None:
        self._calls = calls
        self._domain: str = calls.server.domain
        self._store = store
        self._now = now
        # The usernames that the server has confirmed last, the latest first.
        self._confirmed: tuple[str, ...] = ()

    def confirm(self, username: str) -> None:
        """Note that the server has an account: from now on it serves as a control."""
        self.forget(username)
        self._confirmed = (username, *self._confirmed)[:_CONTROLS]

    def forget(self, username: str) -> None:
        """Note that an account was deleted: it is no control any more."""
        self._confirmed = tuple(one for one in self._confirmed if one != username)

    async def exists(self, username: str) -> bool:
        """Return whether the server has an account; if it no longer has, end what is left.

        Raises:
            Unavailable: the server does not tell, or the store does not answer.
        """
        if await self._has(username):
            return True
        if await self._store.traces(self._domain, username) is not None:
            await self.is_gone(username)
        return False

    async def is_gone(self, username: str) -> bool:
        """Return whether the server certainly has no such account; then end what is left.

        Raises as `exists`.
        """
        left = await self._store.traces(self._domain, username)
        if (
            await self._has(username)
            or not await self.confirms_control(username)
            or await self._has(username)
        ):
            return False
        self.forget(username)
        if left is None:
            return True
        ended = await self._store.end_gone(self._domain, username, left, self._now())
        if ended is not None:
            _log.info(
                "{username}@{domain} is gone at its server: its roles, its resets and "
                "{number} open invites are ended",
                username=username,
                domain=self._domain,
                number=len(ended),
            )
        return True

    async def confirms_control(self, username: str) -> bool | None:
        """Return whether the server confirms some account other than ``username``.

        None means that no other account is known. Raises as `exists`.
        """
        own = self._calls.server.own_username
        known = {*self._confirmed, *([own] if own else [])} - {username}
        for control in sorted(known):
            if await self._has(control):
                return True
        if not known:
            return None
        self._calls.faults.failed(
            f"{self._domain} says that it has no accounts that it had before "
            f"({', '.join(sorted(known))}): none is taken to be gone"
        )
        return False

    async def _has(self, username: str) -> bool:
        if not await self._calls.answer(self._calls.server.exists(username)):
            return False
        self.confirm(username)
        return True
