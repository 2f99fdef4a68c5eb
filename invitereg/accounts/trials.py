"""Tries what a server lets us do, on accounts that are made for it and removed again."""

import secrets
from typing import Any

from twisted.internet.defer import Deferred

from invitereg.interfaces.server import CheckPassword, IServer, ServerFault


async def try_all(server: IServer, check: CheckPassword | None = None) -> list[str]:
    """See `IServer.try_privileges`; ``check``, where there is one, is tried as well."""
    trial = _Trial(server, check)
    await trial.run()
    return list(dict.fromkeys(trial.found))


class _Trial:
    """Two accounts, and what could not be done with them.

    Attributes:
        found: that, as texts.
    """

    def __init__(self, server: IServer, check: CheckPassword | None) -> None:
        self.found: list[str] = []
        self._server = server
        self._check = check
        self._names = [f"invitereg-check-{secrets.token_hex(8)}" for _ in range(2)]
        self._password = secrets.token_urlsafe(24)

    async def run(self) -> None:
        """Try all of it, in an order in which each can be told apart."""
        if not await self._attempt(self._server.exists(self._names[0])):
            return
        made = [
            name
            for name in self._names
            if await self._attempt(self._server.create(name, self._password))
        ]
        if len(made) == len(self._names):
            await self._use(*made)
        for name in made:
            if not await self._attempt(self._server.delete(name)):
                address = f"{name}@{self._server.domain}"
                self.found.append(f"remove the account {address}, which was made to try this")

    async def _use(self, one: str, other: str) -> None:
        await self._attempt(self._server.set_password(one, self._password[::-1]))
        if self._check is not None:
            await self._attempt(self._check(one, self._password[::-1]))
        await self._attempt(self._server.end_sessions(one))
        await self._attempt(self._server.make_contacts(one, other))

    async def _attempt(self, work: Deferred[Any]) -> bool:
        try:
            await work
        except ServerFault as fault:
            self.found.append(fault.text)
            return False
        return True
