"""A domain's accounts at any server that has the standard commands for administrators.

They are given by its component (XEP-0114): XEP-0133 for accounts, XEP-0356 for rosters. It is
tried on Prosody 0.12 and 13, and for accounts on ejabberd 23.01, 24.12 and 26.07.
"""

import re
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from invitereg.accounts.admincommands import (
    AdminCommands,
    CommandOutcome,
    ComponentConnection,
    NoSuchCommand,
    Unprocessed,
    account_fields,
)
from invitereg.accounts.privilegecheck import RosterProbe, try_all
from invitereg.accounts.rosteraccess import RosterAccess
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
from invitereg.runtime.deferreds import Deadline
from invitereg.runtime.logs import quoted

_NO_SUCH_USER = "User does not exist"
_ALL_USERS = "all users"
_RANGE = re.compile(r"all users/@([0-9]{1,12})-([0-9]{1,12})")
_MARGIN = 25
"""So far an account may move in the list between two questions, as others come and go."""


async def is_registered(commands: AdminCommands, username: str, deadline: Deadline) -> bool:
    """Whether there is an account of that name.

    Raises:
        MissingPrivilege, ServerRefused, ServerUnreachable: it cannot be told.
    """
    jid = f"{username}@{commands.domain}"
    try:
        outcome = await commands.run("get-user-roster", account_fields(jid), deadline)
    except (NoSuchCommand, Unprocessed):
        return await _is_listed(commands, jid, deadline)
    except OutcomeUnknown as fault:
        raise ServerUnreachable(fault.text) from None
    if outcome.error == _NO_SUCH_USER:
        return False
    if outcome.error or not outcome.has_form:
        why = f": {quoted(outcome.error)}" if outcome.error else ""
        raise ServerUnreachable(
            f"{commands.domain} does not tell whether an account exists{why}"
        )
    return True


async def _is_listed(commands: AdminCommands, jid: str, deadline: Deadline) -> bool:
    try:
        ranges = await commands.items(_ALL_USERS, deadline)
    except NoSuchCommand:
        text = f"{commands.domain} does not tell who has an account. {commands.no_admin}"
        raise NoSuchCommand(text) from None
    wanted = jid.encode()
    for address, node, name in ranges:
        numbers = _RANGE.fullmatch(node)
        if numbers is None:
            if not address.endswith(f"@{commands.domain}"):
                raise _no_list(commands)
            if address == jid:
                return True
            continue
        last = name.rpartition(" -- ")[2]
        if _key(wanted) <= _key(last.encode()):
            break
    else:
        # None, or after the last of them: but some may have come meanwhile.
        numbers = _RANGE.fullmatch(ranges[-1][1]) if ranges else None
    if numbers is None:
        return False
    return await _is_in_range(commands, jid, int(numbers[1]), int(numbers[2]), deadline)


async def _is_in_range(
    commands: AdminCommands, jid: str, first: int, last: int, deadline: Deadline
) -> bool:
    node = f"{_ALL_USERS}/@{max(first - _MARGIN, 1)}-{last + _MARGIN}"
    listed = await commands.items(node, deadline)
    addresses = [address for address, _node, _name in listed]
    if jid in addresses:
        return True
    wanted, keys = _key(jid.encode()), [_key(address.encode()) for address in addresses]
    ends_before = len(keys) > last + _MARGIN - max(first - _MARGIN, 1) and wanted > keys[-1]
    if not keys or (first > _MARGIN + 1 and wanted < keys[0]) or ends_before:
        raise _no_list(commands)  # So many have come or gone meanwhile.
    return False


def _no_list(commands: AdminCommands) -> ServerUnreachable:
    return ServerUnreachable(f"{commands.domain} does not list its accounts as it should")


def _key(jid: bytes) -> bytes:
    """What ejabberd sorts accounts by: the bytes of the localpart."""
    return jid.rpartition(b"@")[0]


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

    def __init__(self, host: str, line: ComponentConnection, clock: IReactorTime) -> None:
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

    def warnings(self) -> Deferred[Sequence[str]]:
        """See `IServer`."""
        return _fire(self._warnings(self._deadline()))

    async def _warnings(self, deadline: Deadline) -> Sequence[str]:
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

    def _require_done(self, outcome: CommandOutcome, command: str) -> None:
        if outcome.error:
            raise ServerRefused(f"{self.domain} refused {command}: {quoted(outcome.error)}")


def _fire(work: Coroutine[Any, Any, T]) -> Deferred[T]:
    return Deferred.fromCoroutine(work)
