"""What each release is expected to do; docs/gateway.md says the same to operators."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import wraps
from typing import Any

REGISTRATION = "registration by invite, in apps and on the web"
CONTACTS = "the inviter and who registers are contacts"
RESET = "password reset by a link"
DELETION = "old sessions end at a reset or a deletion"
OWN_ACCOUNT = "password change, and deletion by the user, in the app"
NOTICES = "welcome message, messages to watchers"
LOGIN = "log-in by SCRAM and PLAIN, STARTTLS and direct TLS"
UNBOUND = "log-in of clients that miss channel binding"
UNSIGNED = "log-in of clients that check for a downgrade (XEP-0474)"
BOUND = "channel binding itself (SCRAM-…-PLUS)"
RESUMPTION = "stream resumption (XEP-0198)"
SASL2 = "SASL2 (XEP-0388)"
PROXY = "the client's address by PROXY protocol"
IMPORT = "`invitereg import prosody`"


@dataclass(frozen=True)
class Table:
    """A table of the docs: a server with a backend, and what it can.

    Attributes:
        heading: of the first column, which tells it from other tables.
        package: Debian's.
        versions: those that were tried, oldest first: a column each.
        rows: whether each can what the row is about.
    """

    heading: str
    package: str
    versions: tuple[str, ...]
    rows: dict[str, tuple[bool, ...]]

    def can(self, row: str, version: str) -> bool:
        """Whether a version can it; one that is not in the table is as the one before it."""
        number = sum(_numbers(known) <= _numbers(version) for known in self.versions)
        return self.rows[row][max(number - 1, 0)]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


_ALL, _NONE = (True, True, True), (False, False, False)
PROSODY = Table(
    "Prosody, backend `xmpp`",
    "prosody",
    ("0.12.3", "13.0.1", "13.0.7"),
    {
        REGISTRATION: _ALL,
        CONTACTS: _ALL,
        RESET: _ALL,
        DELETION: _ALL,
        OWN_ACCOUNT: _ALL,
        NOTICES: _ALL,
        LOGIN: _ALL,
        UNBOUND: _ALL,
        UNSIGNED: _ALL,
        BOUND: _NONE,
        RESUMPTION: _ALL,
        SASL2: (False, True, True),
        PROXY: (False, True, True),
        IMPORT: _ALL,
    },
)
EJABBERD = Table(
    "ejabberd, backend `ejabberd`",
    "ejabberd",
    ("23.01", "24.12", "26.07"),
    {
        REGISTRATION: _ALL,
        CONTACTS: _ALL,
        RESET: _ALL,
        DELETION: _ALL,
        OWN_ACCOUNT: _NONE,
        NOTICES: _ALL,
        LOGIN: _ALL,
        UNBOUND: _ALL,
        UNSIGNED: _ALL,
        BOUND: _NONE,
        RESUMPTION: _ALL,
        SASL2: (False, True, True),
        PROXY: _ALL,
    },
)
COMPONENT = Table(
    "ejabberd, backend `xmpp`",
    "ejabberd",
    ("23.01", "24.12", "26.07"),
    {
        REGISTRATION: _ALL,
        CONTACTS: _NONE,
        RESET: _ALL,
        DELETION: _ALL,
        NOTICES: _ALL,
    },
)
TABLES = (PROSODY, EJABBERD, COMPONENT)

Check = Callable[[Any, bool], Coroutine[Any, Any, None]]


def row(name: str) -> Callable[[Check], Callable[[Any], Coroutine[Any, Any, None]]]:
    """Let a test be of a row of its case's ``table``: it is told whether its release can it."""

    def of_row(check: Check) -> Callable[[Any], Coroutine[Any, Any, None]]:
        @wraps(check)
        async def test(case: Any) -> None:
            await check(case, case.table.can(name, case.version))

        test.row = name  # type: ignore[attr-defined]
        return test

    return of_row
