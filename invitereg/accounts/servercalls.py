"""What a server answers, in the words that the doors know."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

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
    AlreadyThere,
    IServer,
    NotThere,
    PasswordRefused,
    ServerFault,
)
from invitereg.interfaces.stores import ILeaseStore
from invitereg.runtime.logs import FaultLog

_server_log = Logger("invitereg.accounts.asking.Asking")
_log = Logger("invitereg.accounts.gone.GoneAccounts")

T = TypeVar("T")


class ServerCalls:
    """Asks one server.

    Attributes:
        server: the one that is asked.
        faults: where it is noted that the server does not work, and does again.
    """

    def __init__(self, server: IServer, clock: IReactorTime) -> None:
        """``clock`` must be one that never jumps."""
        self.server = server
        self.faults = FaultLog(_server_log, f"the server of {server.domain}", clock.seconds)

    async def ask(self, asking: Deferred[T]) -> T:
        """What the server says; its faults as what the doors know."""
        try:
            answer = await asking
        except ServerFault as fault:
            raise self.refusal(fault) from None
        self.faults.worked()
        return answer

    def refusal(self, fault: ServerFault) -> Refused:
        """What a door is told for a fault."""
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
        """Note a fault that is the server's own."""
        return Unavailable(self.faults.failed(fault.text), fault.text)


_CONTROLS = 3
"""How many accounts are remembered that the server has confirmed last."""


class GoneAccounts:
    """The accounts that one server had once.

    A server in trouble, such as one that has no file descriptors left, says of every account
    that it does not exist, and a stranger may have caused that. So one answer ends nothing:
    in the same breath the server must tell of a control, another account that is there, and
    deny the first once more.
    """

    def __init__(
        self, calls: ServerCalls, store: ILeaseStore, now: Callable[[], datetime]
    ) -> None:
        self._calls = calls
        self._domain: str = calls.server.domain
        self._store = store
        self._now = now
        # Of what it has lately confirmed, the last first.
        self._confirmed: tuple[str, ...] = ()

    def confirm(self, username: str) -> None:
        """Note that there is an account, which the server must tell of from now on."""
        self.forget(username)
        self._confirmed = (username, *self._confirmed)[:_CONTROLS]

    def forget(self, username: str) -> None:
        """Note that an account was deleted: the server need not tell of it."""
        self._confirmed = tuple(one for one in self._confirmed if one != username)

    async def exists(self, username: str) -> bool:
        """Ask whether there is an account; if there is none any more, what is left of it ends.

        Raises:
            Unavailable: the server does not tell, or the store does not answer.
        """
        if await self._has(username):
            return True
        if await self._store.traces(self._domain, username) is not None:
            await self.is_gone(username)
        return False

    async def is_gone(self, username: str) -> bool:
        """Whether there is no such account beyond doubt; then what is left of it ends.

        Raises as `exists`.
        """
        left = await self._store.traces(self._domain, username)
        if (
            await self._has(username)
            or not await self.is_told_of_control(username)
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

    async def is_told_of_control(self, username: str) -> bool | None:
        """Whether the server tells of another account than ``username`` that must be there.

        None if no such account is known. Raises as `exists`.
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
        if not await self._calls.ask(self._calls.server.exists(username)):
            return False
        self.confirm(username)
        return True
