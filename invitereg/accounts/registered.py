"""Finds out whether a server has an account, by what it tells its administrators.

No standard asks for that alone. What answers truly was found out by trying: Prosody 0.12's
``get-user-roster`` (XEP-0133 §4.11) says that a user does not exist; ejabberd 23.01 and 24.12
have no such command, and elsewhere answer alike for those who exist and those who do not, but
their service discovery lists "all users", in ranges of its own sorting where they are many.
ejabberd 26.07 has the command, and fails at it for who does not exist as for any other reason:
then its list decides.
"""

import re

from invitereg.accounts.admincommands import (
    AdminCommands,
    Deadline,
    NoSuchCommand,
    Unprocessed,
    account_fields,
)
from invitereg.interfaces.server import OutcomeUnknown, ServerUnreachable
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
