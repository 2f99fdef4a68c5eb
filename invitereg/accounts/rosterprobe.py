"""Finds out whether a component can make contacts, on an account that is made for it.

What a server announces (XEP-0356) and answers is no proof: ejabberd 24.12 and 26.07 grant the
rosters, answer ``result`` to what is set, and set ``subscription='none'``.
"""

import secrets

from twisted.internet.interfaces import IReactorTime

from invitereg.accounts.admincommands import (
    NS_ADMIN,
    AdminCommands,
    Deadline,
    Granted,
    account_fields,
)
from invitereg.accounts.rosteraccess import RosterAccess
from invitereg.interfaces.server import (
    OutcomeUnknown,
    ServerFault,
    ServerRefused,
    ServerUnreachable,
)
from invitereg.runtime.logs import quoted

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
        self._tried_with: Granted | None = None
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
