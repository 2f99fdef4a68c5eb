"""Looks at the server behind a domain: when the service starts, and when its operator asks."""

import time
from collections.abc import Callable, Sequence

from twisted.logger import Logger

from invitereg.interfaces.server import IServer, ServerFault
from invitereg.runtime.logs import FaultLog
from invitereg.xmpp.component.hostping import HostPing

LOOK_SECONDS = 10.0
"""How long a server that was not there is left alone."""


class ServerChecks:
    """What can be found out about the server of one domain.

    Attributes:
        ping: asks it over its component, where it has one.
        by_component: its accounts are made over that, too.
    """

    _log = Logger()

    def __init__(
        self,
        server: IServer,
        faults: FaultLog,
        *,
        by_component: bool,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask nothing yet.

        Args:
            server: whose accounts are used.
            faults: where it is noted that it cannot be asked.
            by_component: see above.
            seconds: a clock that never jumps.
        """
        self.ping: HostPing | None = None
        self._server = server
        self._faults = faults
        self.by_component = by_component
        self._looked = False
        self._seconds = seconds
        self._next_look = seconds()

    async def faults(self) -> Sequence[str]:
        """List what the server does not let us do, tried on accounts that are made for it."""
        unanswered = await self.ping.problem() if self.ping is not None else None
        if unanswered is not None and self.by_component:
            return [unanswered]
        tried = await self._server.try_privileges()
        return [*([unanswered] if unanswered else []), *tried]

    async def doubts(self) -> Sequence[str]:
        """List what may be no intention of the server's operator; raises ServerFault."""
        found: Sequence[str] = await self._server.doubts()
        return found

    async def look(self) -> None:
        """Do what `start` does, until the server is there; to be called every second."""
        if not self._looked and self._seconds() >= self._next_look:
            self._next_look = self._seconds() + LOOK_SECONDS
            await self.start()

    async def start(self) -> None:
        """Tell the log what is known to be missing, once; later is for who asks."""
        if self._looked:
            return
        self._looked = True
        try:
            problem = await self._server.contacts_problem()
            doubts = await self.doubts()
        except ServerFault as fault:
            self._looked = False
            self._faults.failed(fault.text)
            return
        self._faults.worked()
        if problem is not None:
            self._warn(f"nobody can be made a contact by an invitation: {problem}")
        for doubt in doubts:
            self._warn(doubt)

    async def nothing(self) -> None:
        """Do nothing more when the server has answered its component."""

    def _warn(self, text: str) -> None:
        self._log.warn(
            "look at the server of {domain}: {text}", domain=self._server.domain, text=text
        )
