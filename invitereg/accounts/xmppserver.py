"""A domain's accounts at any server that has the standard commands for administrators.

They are called as a component of the server (XEP-0114): accounts by XEP-0133, rosters by
XEP-0356. Tested with Prosody 0.12 and 13, and for accounts with ejabberd 23.01, 24.12, 26.07.

No standard tells whether an account exists. What servers answer was found by trying:

- Prosody's ``get-user-roster`` (XEP-0133 §4.11) says that a user does not exist.
- ejabberd 23.01 and 24.12 lack that command, and their other commands answer alike for those
  who exist and those who do not. But their service discovery lists "all users", in ranges of a
  sorting of its own where there are many.
- ejabberd 26.07 has the command, which fails for who does not exist as for any other reason:
  then its list decides.
"""

import re
from collections.abc import Mapping, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from invitereg.accounts.admincommands import (
    AdminCommands,
    ComponentConnection,
    NoSuchCommand,
    Unprocessed,
    account_fields,
)
from invitereg.accounts.privilegecheck import RosterCheck, try_all
from invitereg.accounts.rosteraccess import RosterAccess
from invitereg.accounts.servercalls import with_deadline
from invitereg.interfaces.server import (
    OWN_INVITES,
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
_NODE_INVITE = "urn:xmpp:invite#invite"  # XEP-0401
_EXISTS = "Account already exists"  # These three are the servers' own words.
_RANGE = re.compile(r"all users/@([0-9]{1,12})-([0-9]{1,12})")
_MARGIN = 25
"""How far an account may move in the list between two queries, as others come and go."""


async def is_registered(commands: AdminCommands, username: str, deadline: Deadline) -> bool:
    """Return whether a server has an account of that name.

    Raises:
        MissingPrivilege, ServerRefused, ServerUnreachable: the server does not tell.
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
        # After the last range, if any; but accounts may have been added meanwhile.
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
        raise _no_list(commands)  # More than `_MARGIN` have come or gone meanwhile.
    return False


def _no_list(commands: AdminCommands) -> ServerUnreachable:
    return ServerUnreachable(f"{commands.domain} does not list its accounts as it should")


def _key(jid: bytes) -> bytes:
    """Return the key by which ejabberd sorts accounts: the bytes of the localpart."""
    return jid.rpartition(b"@")[0]


@implementer(IServer)
class XMPPServer:
    """Call the server of one domain as a component of it.

    Attributes:
        domain: the domain's name, in its normal form.
        clock: what tells the deadlines of calls.
        rosters: the rosters of the domain's users.
    """

    own_username: str | None = None  # A component needs no account.

    def __init__(self, host: str, component: ComponentConnection, clock: IReactorTime) -> None:
        """``host`` is the domain as its server spells it."""
        self.domain = prepare_domain(host)
        self.clock = clock
        self._host = host
        self._commands = AdminCommands(component, host)
        self.rosters = RosterAccess(component, host)
        self._check = RosterCheck(self._commands, self.rosters, clock)

    def _account(self, username: str) -> dict[str, str]:
        return account_fields(f"{username}@{self._host}")

    @with_deadline
    async def exists(self, deadline: Deadline, username: str) -> bool:
        return await is_registered(self._commands, username, deadline)

    @with_deadline
    async def create(self, deadline: Deadline, username: str, password: str) -> None:
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
        # The status ``completed`` proves nothing.
        if not await self._is_there_now(username, deadline):
            # Or the account was added, and the server cannot read it.
            raise OutcomeUnknown(
                f"{self.domain} says that it added {username}, and that it has no such account"
            )

    @with_deadline
    async def set_password(self, deadline: Deadline, username: str, password: str) -> None:
        await self._require(username, deadline)
        fields = {**self._account(username), "password": password}
        await self._run("change-user-password", fields, deadline)

    @with_deadline
    async def delete(self, deadline: Deadline, username: str) -> None:
        await self._require(username, deadline)
        await self._run("delete-user", self._account(username), deadline)
        if await self._is_there_now(username, deadline):
            raise ServerRefused(f"{self.domain} did not delete {username}: see its log")

    @with_deadline
    async def end_sessions(self, deadline: Deadline, username: str) -> None:
        await self._run("end-user-session", self._account(username), deadline)

    @with_deadline
    async def make_contacts(self, deadline: Deadline, username: str, contact: str) -> None:
        for name in (username, contact):
            await self._require(name, deadline)
        await self.rosters.join(username, contact, deadline)
        try:
            await self.rosters.join(contact, username, deadline)
        except ServerUnreachable as fault:
            raise OutcomeUnknown(fault.text) from None  # The first half is done.

    @with_deadline
    async def contacts_problem(self, deadline: Deadline) -> str | None:
        return await self._check.problem(deadline)

    @with_deadline
    async def warnings(self, deadline: Deadline) -> Sequence[str]:
        return [OWN_INVITES] if await self._commands.knows(_NODE_INVITE, deadline) else []

    def try_privileges(self) -> Deferred[Sequence[str]]:
        return Deferred.fromCoroutine(try_all(self))

    async def _run(self, command: str, fields: Mapping[str, str], deadline: Deadline) -> None:
        outcome = await self._commands.run(command, fields, deadline)
        if outcome.error:
            raise ServerRefused(f"{self.domain} refused {command}: {quoted(outcome.error)}")

    async def _require(self, username: str, deadline: Deadline) -> None:
        if not await is_registered(self._commands, username, deadline):
            raise NotThere(f"There is no account {username}@{self._host}.")

    async def _is_there_now(self, username: str, deadline: Deadline) -> bool:
        """Return whether an account exists after a change; raise OutcomeUnknown if unknown."""
        try:
            return await is_registered(self._commands, username, deadline)
        except ServerFault as fault:
            raise OutcomeUnknown(fault.text) from None
