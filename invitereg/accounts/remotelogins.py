"""What another server is asked about a domain's accounts, and about their passwords."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger

from invitereg.errors import (
    NotFound,
    Refused,
    UnacceptablePassword,
    Unavailable,
    UsernameTaken,
)
from invitereg.logs import FaultLog
from invitereg.model import ScramKeys
from invitereg.server import (
    AlreadyThere,
    IServer,
    NotThere,
    PasswordRefused,
    ServerFault,
    ServerUnreachable,
)

T = TypeVar("T")

_SINCE_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_NO_LOGIN = (
    "a client of {domain} has tried to log in here, but its accounts are at another server: "
    "hand clients over to that (c2s.upstream), or let them connect to it"
)

PasswordCheck = Callable[[str, str], Deferred[bool]]
"""Whether a password, the second, is that of the username, the first; fails as `IServer`."""


class RemoteLogins:
    """The passwords of one domain, which ``server`` keeps.

    Attributes:
        server: an `IServer`.
        domain: its name.
        faults: what it fails at.
    """

    _log = Logger()

    def __init__(
        self, server: Any, clock: Any, now: Callable[[], datetime], check: PasswordCheck
    ) -> None:
        """``clock`` must be one that never jumps; ``now`` may."""
        self.server = IServer(server)
        self.domain: str = self.server.domain
        self.faults = FaultLog(self._log, f"the server of {self.domain}", clock.seconds)
        self._now = now
        self._check = check

    def get_scram_keys(
        self,
        domain: str,  # noqa: ARG002
        username: str,  # noqa: ARG002
        mechanism: str,  # noqa: ARG002
    ) -> Deferred[tuple[ScramKeys, datetime | None]]:
        """See `IAccounts.get_scram_keys`: the server tells nobody its keys.

        Keys that fit no password would tell people that theirs is wrong.
        """
        return fail(self._unavailable(ServerUnreachable(_NO_LOGIN.format(domain=self.domain))))

    def check_password(
        self,
        domain: str,  # noqa: ARG002
        username: str,
        password: str,
    ) -> Deferred[datetime | None]:
        """See `IAccounts.check_password`; the server does not say since when it is right."""
        return Deferred.fromCoroutine(self._check_password(username, password))

    async def _check_password(self, username: str, password: str) -> datetime | None:
        return _SINCE_EVER if await self._ask(self._check(username, password)) else None

    def change_password(
        self,
        domain: str,  # noqa: ARG002
        username: str,
        password: str,
        since: datetime,  # noqa: ARG002
    ) -> Deferred[datetime]:
        """See `IAccounts.change_password`; the server does not say what was set since."""
        asked = self._ask(self.server.set_password(username, password))
        return Deferred.fromCoroutine(asked).addCallback(lambda _done: self._now())

    async def _ask(self, asking: Deferred[T]) -> T:
        """What the server says; its faults as what the doors know."""
        try:
            answer = await asking
        except ServerFault as fault:
            raise self._refusal(fault) from None
        self.faults.worked()
        return answer

    def _refusal(self, fault: ServerFault) -> Refused:
        match fault:
            case AlreadyThere():
                return UsernameTaken()
            case PasswordRefused():
                return UnacceptablePassword(fault.text)
            case NotThere():
                return NotFound(fault.text)
            case _:
                return self._unavailable(fault)

    def _unavailable(self, fault: ServerFault) -> Unavailable:
        return Unavailable(self.faults.failed(fault.text))
