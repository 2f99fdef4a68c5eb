"""A domain's accounts at any server that has the standard commands for administrators.

They are given by its component (XEP-0114): XEP-0133 for accounts, XEP-0356 for rosters. It is
tried on Prosody 0.12 and 13, and for accounts on ejabberd 23.01, 24.12 and 26.07.
"""

from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from invitereg.accounts.admincommands import (
    AdminCommands,
    Deadline,
    Line,
    Outcome,
    account_fields,
)
from invitereg.accounts.registered import is_registered
from invitereg.accounts.rosteraccess import RosterAccess
from invitereg.accounts.rosterprobe import RosterProbe
from invitereg.accounts.trials import try_all
from invitereg.interfaces.server import (
    OWN_INVITES,
    PATIENCE_SECONDS,
    AlreadyThere,
    IServer,
    NotThere,
    OutcomeUnknown,
    ServerFault,
    ServerRefused,
    ServerUnreachable,
)
from invitereg.model.names import prepare_domain
from invitereg.runtime.logs import quoted

T = TypeVar("T")

_INVITE = "urn:xmpp:invite#invite"
_EXISTS = "Account already exists"  # Prosody's words


@implementer(IServer)
class XMPPServer:
    """The server of one domain, over a component of its.

    Attributes:
        rosters: those of its users.
    """

    own_username: str | None = None  # We act by a component.

    def __init__(self, host: str, line: Line, clock: IReactorTime) -> None:
        """``host`` is the domain as its server spells it; ``clock`` is one of Twisted's."""
        self.domain = prepare_domain(host)
        self._host = host
        self._clock = clock
        self._commands = AdminCommands(line, host)
        self.rosters = RosterAccess(line, host)
        self._probe = RosterProbe(self._commands, self.rosters, clock)

    def _jid(self, username: str) -> str:
        return f"{username}@{self._host}"

    def _account(self, username: str) -> dict[str, str]:
        return account_fields(self._jid(username))

    def _deadline(self) -> Deadline:
        return Deadline(self._clock, PATIENCE_SECONDS)

    def exists(self, username: str) -> Deferred[bool]:
        """See `IServer`."""
        return _fire(is_registered(self._commands, username, self._deadline()))

    def create(self, username: str, password: str) -> Deferred[None]:
        """See `IServer`."""
        return _fire(self._create(username, password, self._deadline()))

    async def _create(self, username: str, password: str, deadline: Deadline) -> None:
        fields = {
            **self._account(username),
            "password": password,
            "password-verify": password,
        }
        outcome = await self._commands.run("add-user", fields, deadline)
        if outcome.error == _EXISTS:
            raise AlreadyThere(outcome.error)
        if outcome.error:
            raise ServerRefused(f"{self.domain} adds no user: {quoted(outcome.error)}")
        # `completed` alone says nothing.
        if not await self._is_there_now(username, deadline):
            # Or it did, and cannot read it.
            text = (
                f"{self.domain} says that it added {username}, and that it has no such account"
            )
            raise OutcomeUnknown(text)

    def set_password(self, username: str, password: str) -> Deferred[None]:
        """See `IServer`."""
        return _fire(self._set_password(username, password, self._deadline()))

    async def _set_password(self, username: str, password: str, deadline: Deadline) -> None:
        await self._require(username, deadline)
        fields = {**self._account(username), "password": password}
        outcome = await self._commands.run("change-user-password", fields, deadline)
        self._require_done(outcome, "change-user-password")

    def delete(self, username: str) -> Deferred[None]:
        """See `IServer`."""
        return _fire(self._delete(username, self._deadline()))

    async def _delete(self, username: str, deadline: Deadline) -> None:
        await self._require(username, deadline)
        outcome = await self._commands.run("delete-user", self._account(username), deadline)
        self._require_done(outcome, "delete-user")
        if await self._is_there_now(username, deadline):
            raise ServerRefused(f"{self.domain} did not delete {username}: see its log")

    def end_sessions(self, username: str) -> Deferred[None]:
        """See `IServer`."""
        return _fire(self._end_sessions(username, self._deadline()))

    async def _end_sessions(self, username: str, deadline: Deadline) -> None:
        command = "end-user-session"
        self._require_done(
            await self._commands.run(command, self._account(username), deadline), command
        )

    def make_contacts(self, username: str, contact: str) -> Deferred[None]:
        """See `IServer`."""
        return _fire(self._make_contacts(username, contact, self._deadline()))

    async def _make_contacts(self, username: str, contact: str, deadline: Deadline) -> None:
        for name in (username, contact):
            await self._require(name, deadline)
        await self.rosters.join(username, contact, deadline)
        try:
            await self.rosters.join(contact, username, deadline)
        except ServerUnreachable as fault:
            raise OutcomeUnknown(fault.text) from None  # The first half is done.

    def contacts_problem(self) -> Deferred[str | None]:
        """See `IServer`."""
        return _fire(self._probe.problem(self._deadline()))

    def doubts(self) -> Deferred[Sequence[str]]:
        """See `IServer`."""
        return _fire(self._doubts(self._deadline()))

    async def _doubts(self, deadline: Deadline) -> Sequence[str]:
        return [OWN_INVITES] if await self._commands.knows(_INVITE, deadline) else []

    def try_privileges(self) -> Deferred[Sequence[str]]:
        """See `IServer`."""
        return _fire(try_all(self))

    async def _require(self, username: str, deadline: Deadline) -> None:
        if not await is_registered(self._commands, username, deadline):
            raise NotThere(f"There is no account {self._jid(username)}.")

    async def _is_there_now(self, username: str, deadline: Deadline) -> bool:
        """Whether there is the account, after something was done that may have changed it."""
        try:
            return await is_registered(self._commands, username, deadline)
        except ServerFault as fault:
            raise OutcomeUnknown(fault.text) from None

    def _require_done(self, outcome: Outcome, command: str) -> None:
        if outcome.error:
            raise ServerRefused(f"{self.domain} refused {command}: {quoted(outcome.error)}")


def _fire(work: Coroutine[Any, Any, T]) -> Deferred[T]:
    return Deferred.fromCoroutine(work)
