"""Accounts at another server, for a process that cannot reach it: the running service does it.

A component's address at a server is the service's, so a command posts an errand in the store
and waits for the answer.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from invitereg import errors
from invitereg.accounts.jobs import seal
from invitereg.errors import InvalidRequest, Refused
from invitereg.interfaces.accounts import IAccounts
from invitereg.interfaces.leases import Job, Task
from invitereg.interfaces.queries import Redemption
from invitereg.interfaces.stores import IStore

WAIT_SECONDS = 10.0
_LOOK_SECONDS = 0.1
_NOBODY = (
    "The server of {domain} is asked by the service, but none is running "
    "(nobody has answered within {seconds:.0f} seconds). Nothing was done."
)
_SLOW = (
    "The service has begun, but did not finish within {seconds:.0f} seconds. It may still: "
    "look again later."
)


@implementer(IAccounts)
class DelegatedAccounts:
    """The accounts of one domain, by way of the service. Its methods block the thread."""

    def __init__(
        self,
        domain: str,
        store: IStore,
        now: Callable[[], datetime],
        sleep: Callable[[float], object],
        patience: float = WAIT_SECONDS,
    ) -> None:
        self.domain = domain
        self._store = store
        self._now = now
        self._sleep = sleep
        self._patience = patience

    def redeem(self, redemption: Redemption, password: str) -> Deferred[None]:
        """See `IAccounts.redeem`; for the operator's own accounts only."""
        return Deferred.fromCoroutine(self._redeem(redemption, password))

    async def _redeem(self, redemption: Redemption, password: str) -> None:
        account = redemption.account
        node, public = await self.ask(Task.KEY, account.username)
        details = {
            "password": seal(password, public),
            "roles": json.dumps(account.roles),
        }
        await self.ask(Task.CREATE, account.username, node=node, details=details)

    def exists(self, username: str) -> Deferred[bool]:
        """See `IAccounts.exists`; what is known here is not asked for."""
        return Deferred.fromCoroutine(self._exists(username, {}))

    def recognise(self, username: str) -> Deferred[bool]:
        """See `IAccounts.recognise`."""
        return Deferred.fromCoroutine(self._exists(username, {"learn": "yes"}))

    async def _exists(self, username: str, details: dict[str, str]) -> bool:
        if await self._store.get_account(self.domain, username) is not None:
            return True
        return bool(await self.ask(Task.EXISTS, username, details=details))

    def contacts_problem(self) -> Deferred[str | None]:
        """See `IAccounts.contacts_problem`."""
        return Deferred.fromCoroutine(self.ask(Task.ABILITY, ""))

    def delete(
        self,
        username: str,
        now: datetime,  # noqa: ARG002
        *,
        until: datetime | None = None,
        since: datetime | None = None,  # noqa: ARG002
    ) -> Deferred[None]:
        """See `IAccounts.delete`."""
        details = {} if until is None else {"until": until.isoformat()}
        return Deferred.fromCoroutine(self.ask(Task.DELETE, username, details=details))

    async def ask(
        self,
        task: Task,
        username: str,
        node: str | None = None,
        details: dict[str, str] | None = None,
    ) -> Any:
        """Post an errand, and wait for its answer.

        Raises:
            Refused: as the service says; or there is none, or it takes too long.
        """
        now = self._now()
        number = await self._store.add_job(
            Job(
                domain=self.domain,
                username=username,
                task=task,
                at=now,
                details=details or {},
                node=node,
                expires=now + timedelta(seconds=self._patience),
            )
        )
        answer = await self._wait(number, self._patience)
        if answer is None and await self._store.withdraw_job(number):
            raise InvalidRequest(_NOBODY.format(domain=self.domain, seconds=self._patience))
        if answer is None:  # A service has begun.
            answer = await self._wait(number, WAIT_SECONDS - self._patience)
        if answer is None:
            seconds = max(self._patience, WAIT_SECONDS)
            raise InvalidRequest(_SLOW.format(domain=self.domain, seconds=seconds))
        return _value(answer)

    async def _wait(self, number: int, seconds: float) -> str | None:
        """Return the answer, looking at once and for so long; None if there is none."""
        for _ in range(round(seconds / _LOOK_SECONDS)):
            answer = await self._answer(number)
            if answer is not None:
                return answer
            self._sleep(_LOOK_SECONDS)
        return await self._answer(number)

    async def _answer(self, number: int) -> str | None:
        errand = await self._store.get_job(number)
        if errand is None or errand.answer is None:
            return None
        await self._store.finish_job(number)
        return errand.answer


def _value(answer: str) -> Any:
    """What an answer says; raises what it refuses."""
    said = json.loads(answer)
    if "refused" not in said:
        return said["value"]
    kind = getattr(errors, said["refused"], Refused)
    if kind in (errors.UsernameTaken, errors.NotFound, errors.UnacceptablePassword):
        raise kind(said["text"])
    raise InvalidRequest(said["text"])
