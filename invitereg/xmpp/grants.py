"""What the tokens are good for that people have sent to the component."""

from collections import OrderedDict
from collections.abc import Callable

from twisted.words.protocols.jabber.jid import JID

from invitereg.registrar import Grant

REMEMBERED_SECONDS = 600.0
MOST_REMEMBERED = 1000


class RememberedGrants:
    """Keeps the latest grant of each account for ten minutes, and those of 1,000 accounts.

    It is one session's, and one for each account, so that nobody can push out many.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        """``seconds`` is a clock that never jumps."""
        self._seconds = seconds
        self._by_account: OrderedDict[str, tuple[str | None, float, Grant]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_account)

    def get(self, session: JID) -> Grant | None:
        """Return what a session's token is good for; None if it has sent none lately."""
        resource, until, grant = self._by_account.get(session.userhost(), ("", 0.0, None))
        return grant if resource == session.resource and self._seconds() < until else None

    def remember(self, session: JID, grant: Grant) -> None:
        """Keep a grant in place of the account's last one."""
        account = session.userhost()
        until = self._seconds() + REMEMBERED_SECONDS
        self._by_account[account] = session.resource, until, grant
        self._by_account.move_to_end(account)
        if len(self._by_account) > MOST_REMEMBERED:
            self._by_account.popitem(last=False)

    def forget(self, session: JID) -> None:
        """Forget the grant of the session's account."""
        self._by_account.pop(session.userhost(), None)
