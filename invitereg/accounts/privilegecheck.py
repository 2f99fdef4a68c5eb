"""Try what a server lets us do, on accounts that are made for that and removed again."""

import secrets
from collections.abc import Awaitable

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
    """Try all of `IServer`, as `IServer.try_privileges`; and ``check``, unless it is None.

    The order is one in which failures can be told apart.
    """
    found: list[str] = []
    names = [f"invitereg-check-{secrets.token_hex(8)}" for _ in range(2)]
    password = secrets.token_urlsafe(24)

    async def attempt(call: Awaitable[object]) -> bool:
        try:
            await call
        except ServerFault as fault:
            found.append(fault.text)
            return False
        return True

    if not await attempt(server.exists(names[0])):
        return found
    made = [name for name in names if await attempt(server.create(name, password))]
    if made == names:
        await attempt(server.set_password(names[0], password[::-1]))
        if check is not None:
            await attempt(check(names[0], password[::-1]))
        await attempt(server.end_sessions(names[0]))
        await attempt(server.make_contacts(*names))
    for name in made:
        if not await attempt(server.delete(name)):
            address = f"{name}@{server.domain}"
            found.append(f"remove the account {address}, which was made to try this")
    return list(dict.fromkeys(found))


RETRY_SECONDS = 60.0
"""How long a server that failed is not tried again, as each trial makes an account."""


class RosterCheck:
    """Try whether a component can make contacts, on an account that is made for that.

    What a server announces (XEP-0356) and answers is no proof: ejabberd 24.12 and 26.07 grant
    the rosters, answer ``result`` to a set, and store ``subscription='none'``. It is tried once
    for each connection, and after `RETRY_SECONDS` if it failed.
    """

    def __init__(
        self, commands: AdminCommands, rosters: RosterAccess, clock: IReactorTime
    ) -> None:
        self._commands = commands
        self._rosters = rosters
        self._clock = clock
        # The grant at the last trial: each connection has a grant of its own.
        self._tried_with: GrantedPrivileges | None = None
        self._tried_at = 0.0
        self._problem: str | None = None
        self._left_over = ""

    async def problem(self, deadline: Deadline) -> str | None:
        """Return why contacts cannot be made, for the operator; None if they can.

        Raises:
            ServerRefused, ServerUnreachable: that could not be tried.
        """
        missing = self._rosters.missing()
        if missing is not None:
            # Raises if there is no connection, which is another reason for no grant.
            await self._commands.knows(NS_ADMIN, deadline)
            return missing
        granted = self._rosters.granted
        if self._tried_with is not granted or self._is_to_be_retried():
            self._left_over = ""
            try:
                self._problem = await self._try(deadline)
            except ServerFault:
                if not self._left_over:
                    raise  # Nothing is left, so the next call may try again.
            self._tried_with, self._tried_at = granted, self._clock.seconds()
        if self._left_over:
            raise ServerUnreachable(self._left_over)
        return self._problem

    def _is_to_be_retried(self) -> bool:
        since = self._clock.seconds() - self._tried_at
        return bool(self._problem or self._left_over) and since >= RETRY_SECONDS

    async def _try(self, deadline: Deadline) -> str | None:
        name = f"invitereg-check-{secrets.token_hex(8)}"
        try:
            await self._run("add-user", name, deadline)
        except OutcomeUnknown as fault:
            await self._remove(name, deadline)  # It may have been made.
            raise ServerUnreachable(fault.text) from None
        try:
            return await self._join(name, deadline)
        except OutcomeUnknown as fault:
            raise ServerUnreachable(fault.text) from None
        finally:
            await self._remove(name, deadline)

    async def _join(self, name: str, deadline: Deadline) -> str | None:
        """Give the trial account a contact, which need not exist; return why that failed."""
        try:
            await self._rosters.join(name, f"{name}-contact", deadline)
        except ServerRefused as fault:
            return fault.text
        return None

    async def _remove(self, name: str, deadline: Deadline) -> None:
        try:
            await self._run("delete-user", name, deadline)
        except ServerFault as fault:
            self._left_over = (
                f"{fault.text}; an account may be left of a trial: {name}: remove it"
            )

    async def _run(self, command: str, name: str, deadline: Deadline) -> None:
        domain, password = self._commands.domain, secrets.token_urlsafe(24)
        account = account_fields(f"{name}@{domain}")
        fields = {**account, "password": password, "password-verify": password}
        outcome = await self._commands.run(command, fields, deadline)
        if outcome.error:
            raise ServerRefused(f"{domain} refused {command}: {quoted(outcome.error)}")
