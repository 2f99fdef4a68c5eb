"""Notices that a server has an account no more, and ends what that has left here."""

from collections.abc import Callable
from datetime import datetime

from twisted.logger import Logger

from invitereg.accounts.asking import Asking
from invitereg.interfaces.stores import ILeaseStore

_CONTROLS = 3
"""How many accounts are remembered that the server has confirmed last."""


class GoneAccounts:
    """The accounts that one server had once.

    A server in trouble, such as one that has no file descriptors left, says of every account
    that it does not exist, and a stranger may have caused that. So one answer ends nothing:
    in the same breath the server must tell of a control, another account that is there, and
    deny the first once more.
    """

    _log = Logger()

    def __init__(self, asking: Asking, store: ILeaseStore, now: Callable[[], datetime]) -> None:
        self._asking = asking
        self._domain: str = asking.server.domain
        self._store = store
        self._now = now
        # Of what it has lately confirmed, the last first.
        self._confirmed: tuple[str, ...] = ()

    def confirm(self, username: str) -> None:
        """Note that there is an account, which the server must tell of from now on."""
        self.forget(username)
        self._confirmed = (username, *self._confirmed)[:_CONTROLS]

    def forget(self, username: str) -> None:
        """Note that an account was deleted: the server need not tell of it."""
        self._confirmed = tuple(one for one in self._confirmed if one != username)

    async def exists(self, username: str) -> bool:
        """Ask whether there is an account; if there is none any more, what is left of it ends.

        Raises:
            Unavailable: the server does not tell, or the store does not answer.
        """
        if await self._has(username):
            return True
        if await self._store.traces(self._domain, username) is not None:
            await self.is_gone(username)
        return False

    async def is_gone(self, username: str) -> bool:
        """Whether there is no such account beyond doubt; then what is left of it ends.

        Raises as `exists`.
        """
        left = await self._store.traces(self._domain, username)
        if (
            await self._has(username)
            or not await self.is_told_of_control(username)
            or await self._has(username)
        ):
            return False
        self.forget(username)
        if left is None:
            return True
        ended = await self._store.end_gone(self._domain, username, left, self._now())
        if ended is not None:
            self._log.info(
                "{username}@{domain} is gone at its server: its roles, its resets and "
                "{number} open invites are ended",
                username=username,
                domain=self._domain,
                number=len(ended),
            )
        return True

    async def is_told_of_control(self, username: str) -> bool | None:
        """Whether the server tells of another account than ``username`` that must be there.

        None if no such account is known. Raises as `exists`.
        """
        own = self._asking.server.own_username
        known = {*self._confirmed, *([own] if own else [])} - {username}
        for control in sorted(known):
            if await self._has(control):
                return True
        if not known:
            return None
        self._asking.faults.failed(
            f"{self._domain} says that it has no accounts that it had before "
            f"({', '.join(sorted(known))}): none is taken to be gone"
        )
        return False

    async def _has(self, username: str) -> bool:
        if not await self._asking.ask(self._asking.server.exists(username)):
            return False
        self.confirm(username)
        return True
