"""Notices that a server has an account no more, and ends what that has left here."""

from collections.abc import Callable
from datetime import datetime

from twisted.logger import Logger

from invitereg.accounts.asking import Asking
from invitereg.interfaces import ILeaseStore
from invitereg.questions import Traces


class GoneAccounts:
    """The accounts that one server had once.

    Only an answer that says so counts: a server that does not answer, or refuses to, has all
    its accounts.
    """

    _log = Logger()

    def __init__(self, asking: Asking, store: ILeaseStore, now: Callable[[], datetime]) -> None:
        self._asking = asking
        self._domain: str = asking.server.domain
        self._store = store
        self._now = now

    async def exists(self, username: str) -> bool:
        """Ask whether there is an account; if there is none, what is left of it ends.

        Raises:
            Unavailable: the server does not tell, or the store does not answer.
        """
        left = await self._store.traces(self._domain, username)
        if await self._asking.ask(self._asking.server.exists(username)):
            return True
        if left is not None:
            await self.end(username, left)
        return False

    async def end(self, username: str, left: Traces) -> None:
        """End what is left of an account, of which the server has said that it is not there.

        Args:
            username: whose it is.
            left: as the store has told before the server was asked.
        """
        ended = await self._store.end_gone(self._domain, username, left, self._now())
        if ended is not None:
            self._log.info(
                "{username}@{domain} is gone at its server: its roles, its resets and "
                "{number} open invites are ended",
                username=username,
                domain=self._domain,
                number=len(ended),
            )
