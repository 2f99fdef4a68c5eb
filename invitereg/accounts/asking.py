"""What a server answers, in the words that the doors know."""

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
from invitereg.runtime.logs import FaultLog

T = TypeVar("T")


class Asking:
    """Asks one server.

    Attributes:
        server: the one that is asked.
        faults: where it is noted that the server does not work, and does again.
    """

    _log = Logger()

    def __init__(self, server: IServer, clock: IReactorTime) -> None:
        """``clock`` must be one that never jumps."""
        self.server = server
        self.faults = FaultLog(self._log, f"the server of {server.domain}", clock.seconds)

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
