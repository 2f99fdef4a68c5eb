"""Accounts at another server, for a process that cannot call it: the running service does.

A server takes one connection of a component, and that is the service's. So a command writes a
job into the store, and waits for the service's answer.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from zope.interface import implementer

from invitereg import errors
from invitereg.accounts.jobs import seal
from invitereg.errors import InvalidRequest, Refused
from invitereg.interfaces.accounts import IAccounts
from invitereg.interfaces.leases import Job, Task
from invitereg.interfaces.queries import Redemption
from invitereg.interfaces.stores import IStore
from invitereg.runtime.deferreds import deferred

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
    """Delegate work on the accounts of one domain to the service.

    Each method blocks the thread that calls it.

    Attributes:
        domain: the domain's name.
    """

    def __init__(
        self,
        domain: str,
        store: IStore,
        now: Callable[[], datetime],
        sleep: Callable[[float], object],
        patience: float = WAIT_SECONDS,
    ) -> None:
        """Prepare; jobs are written by the methods.

        Args:
            domain: the domain's name.
            store: where the jobs are written.
            now: the time of day.
            sleep: blocks the thread for so many seconds.
            patience: seconds after which a job is withdrawn that no service has begun.
        """
        self.domain = domain
        self._store = store
        self._now = now
        self._sleep = sleep
        self._patience = patience

    @deferred
    async def redeem(self, redemption: Redemption, password: str) -> None:
        """Make an account as the operator: of the redemption, its roles alone are heeded."""
        account = redemption.account
        node, public = await self.ask(Task.KEY, account.username)
        details = {"password": seal(password, public), "roles": json.dumps(account.roles)}
        await self.ask(Task.CREATE, account.username, node=node, details=details)

    @deferred
    async def exists(self, username: str) -> bool:
        return await self._exists(username, {})

    @deferred
    async def recognise(self, username: str) -> bool:
        return await self._exists(username, {"learn": "yes"})

    async def _exists(self, username: str, details: dict[str, str]) -> bool:
        if await self._store.get_account(self.domain, username) is not None:
            return True
        return bool(await self.ask(Task.EXISTS, username, details=details))

    @deferred
    async def contacts_problem(self) -> str | None:
        problem: str | None = await self.ask(Task.ABILITY, "")
        return problem

    @deferred
    async def delete(
        self,
        username: str,
        now: datetime,  # noqa: ARG002 - the service has its own clock
        *,
        until: datetime | None = None,
        since: datetime | None = None,  # noqa: ARG002 - no command has logged in
    ) -> None:
        details = {} if until is None else {"until": until.isoformat()}
        await self.ask(Task.DELETE, username, details=details)

    async def ask(
        self,
        task: Task,
        username: str,
        node: str | None = None,
        details: dict[str, str] | None = None,
    ) -> Any:
        """Write a job, wait for its answer, and return the answer's JSON value.

        Raises:
            Refused: the service refuses, none is running, or it takes too long.
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
        """Return a job's answer, looked up at once and for so long; None if there is none."""
        for _ in range(round(seconds / _LOOK_SECONDS)):
            answer = await self._answer(number)
            if answer is not None:
                return answer
            self._sleep(_LOOK_SECONDS)
        return await self._answer(number)

    async def _answer(self, number: int) -> str | None:
        job = await self._store.get_job(number)
        if job is None or job.answer is None:
            return None
        await self._store.finish_job(number)
        return job.answer


def _value(answer: str) -> Any:
    """Return the value of an answer, or raise the refusal in it."""
    said = json.loads(answer)
    if "refused" not in said:
        return said["value"]
    kind = getattr(errors, said["refused"], Refused)
    if kind in (errors.UsernameTaken, errors.NotFound, errors.UnacceptablePassword):
        raise kind(said["text"])
    raise InvalidRequest(said["text"])
