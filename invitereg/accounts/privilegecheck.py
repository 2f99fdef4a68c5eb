"""Tries what a server lets us do, on accounts that are made for it and removed again."""

import secrets
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from invitereg.accounts.admincommands import AdminCommands, GrantedPrivileges, account_fields
from invitereg.accounts.rosteraccess import RosterAccess
from invitereg.interfaces.server import (
    CheckPassword,
    IServer,
    OutcomeUnknown,
    ServerFault,
    ServerRefused,
    ServerUnreachable,
)
from invitereg.model.namespaces import NS_ADMIN
from invitereg.runtime.deferreds import Deadline
from invitereg.runtime.logs import quoted


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


DOUBT_SECONDS = 60.0
"""For so long a server is not tried again where it failed; each trial makes an account."""


class RosterProbe:
    """Tries it once for each connection, and again after a while where it did not work."""

    def __init__(
        self, commands: AdminCommands, rosters: RosterAccess, clock: IReactorTime
    ) -> None:
        """``clock`` must be one that never jumps."""
        self._commands = commands
        self._rosters = rosters
        self._clock = clock
        # What was granted when it was tried: another connection has a grant of its own.
        self._tried_with: GrantedPrivileges | None = None
        self._tried_at = 0.0
        self._problem: str | None = None
        self._left = ""

    async def problem(self, deadline: Deadline) -> str | None:
        """Return why contacts cannot be made, for the operator; None if they can.

        Raises:
            ServerRefused, ServerUnreachable: it could not be tried.
        """
        missing = self._rosters.missing()
        if missing is not None:
            # Without a connection nothing is granted either, and that is to be said then.
            await self._commands.knows(NS_ADMIN, deadline)
            return missing
        granted = self._rosters.granted
        if self._tried_with is not granted or self._is_doubtful():
            self._left = ""
            try:
                self._problem = await self._try(deadline)
            except ServerFault:
                if not self._left:
                    raise  # The next who asks tries again: nothing stays of it.
            self._tried_with, self._tried_at = granted, self._clock.seconds()
        if self._left:
            raise ServerUnreachable(self._left)
        return self._problem

    def _is_doubtful(self) -> bool:
        since = self._clock.seconds() - self._tried_at
        return bool(self._problem or self._left) and since >= DOUBT_SECONDS

    async def _try(self, deadline: Deadline) -> str | None:
        name = f"invitereg-check-{secrets.token_hex(8)}"
        try:
            await self._give("add-user", name, deadline)
        except OutcomeUnknown as fault:
            await self._remove(name, deadline)  # Nobody knows whether it was made.
            raise ServerUnreachable(fault.text) from None
        try:
            return await self._set(name, deadline)
        except OutcomeUnknown as fault:
            raise ServerUnreachable(fault.text) from None
        finally:
            await self._remove(name, deadline)

    async def _set(self, name: str, deadline: Deadline) -> str | None:
        """Give the account a contact, which need not exist."""
        try:
            await self._rosters.join(name, f"{name}-contact", deadline)
        except ServerRefused as fault:
            return fault.text
        return None

    async def _remove(self, name: str, deadline: Deadline) -> None:
        try:
            await self._give("delete-user", name, deadline)
        except ServerFault as fault:
            self._left = f"{fault.text}; an account may be left of a trial: {name}: remove it"

    async def _give(self, command: str, name: str, deadline: Deadline) -> None:
        password = secrets.token_urlsafe(24)
        fields = {
            **account_fields(f"{name}@{self._commands.domain}"),
            "password": password,
            "password-verify": password,
        }
        outcome = await self._commands.run(command, fields, deadline)
        if outcome.error:
            raise ServerRefused(
                f"{self._commands.domain} refused {command}: {quoted(outcome.error)}"
            )
