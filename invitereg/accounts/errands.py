"""Does at the server what was written down as to be done: by us, or by a command."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from invitereg.accounts.remote import RemoteAccounts
from invitereg.accounts.sealing import KeyPair
from invitereg.errors import Refused, Unavailable
from invitereg.interfaces.leases import Job, Task
from invitereg.interfaces.queries import Redemption
from invitereg.interfaces.server import MissingPrivilege, NotThere, ServerFault
from invitereg.interfaces.stores import ILeaseStore
from invitereg.model.accounts import Account
from invitereg.model.invites import Kind, Use
from invitereg.policy.notices import notices_about
from invitereg.policy.values import Domain

TAKEN = timedelta(seconds=30)
"""Nobody else takes up an errand for so long; far more than the server has for it."""
PROMPT_SECONDS = 2.0
LONGEST_PAUSE = timedelta(seconds=10)
PAUSE_WITHOUT_PRIVILEGE = timedelta(minutes=1)
GIVEN_UP = timedelta(days=7)
FEWEST_TRIES = 20
"""Before it is given up, however long the service was not there to try."""


class Checks(Protocol):
    """Tries a server for its operator."""

    async def faults(self) -> Sequence[str]:
        """List what it does not let us do."""

    async def doubts(self) -> Sequence[str]:
        """List what may be no intention of its operator; raises ServerFault."""


class Errands:
    """Carries out the errands of one domain."""

    _log = Logger()

    def __init__(
        self,
        accounts: RemoteAccounts,
        store: ILeaseStore,
        node: str,
        now: Callable[[], datetime],
        domains: Mapping[str, Domain],
        checks: Checks,
    ) -> None:
        """``node`` names this process as no other is named; ``checks`` try the server."""
        self._checks = checks
        self._domains = domains
        self._accounts = accounts
        self._server = accounts.server
        self._store = store
        self._node = node
        self._now = now
        self._keys = KeyPair()
        self._answers = {
            Task.EXISTS: self._exists,
            Task.KEY: self._key,
            Task.CREATE: self._create,
            Task.DELETE: self._delete,
            Task.CHECK: self._check,
            Task.DOUBTS: self._doubts,
            Task.ABILITY: self._ability,
        }

    async def promptly(self, clock: IReactorTime) -> None:
        """As `carry_out`, for who waits for it: it goes on by itself after a moment.

        It fails never, as what is wrong is said when all is tried again.
        """
        done = Deferred.fromCoroutine(self.carry_out())
        patience: Deferred[None] = deferLater(clock, PROMPT_SECONDS)
        await DeferredList([done, patience], fireOnOneCallback=True, consumeErrors=True)
        patience.cancel()

    async def carry_out(self) -> None:
        """Do what there is to be done; to be called every second."""
        now = self._now()
        found = await self._store.take_jobs(self._accounts.domain, self._node, now, now + TAKEN)
        for errand in found:
            if errand.task in self._answers:
                await self._store.finish_job(errand.number, await self._answer(errand))
            else:
                await self._try(errand)

    async def _try(self, errand: Job) -> None:
        """Do what has to be done in the end, or put it off."""
        try:
            if errand.task is Task.CONTACTS:
                contact = errand.details["contact"]
                await self._server.make_contacts(errand.username, contact)
            else:
                await self._server.end_sessions(errand.username)
        except ServerFault as fault:
            in_vain = isinstance(fault, NotThere) and await self._is_one_gone(errand)
            if not in_vain:
                self._accounts.faults.failed(fault.text)
                if errand.tries < FEWEST_TRIES or self._now() - errand.at < GIVEN_UP:
                    pause = _pause(errand, fault)
                    await self._store.postpone_job(errand.number, self._now() + pause)
                    return
            self._give_up(errand, fault.text)
        else:
            self._accounts.faults.worked()
        await self._store.finish_job(errand.number)

    async def _is_one_gone(self, errand: Job) -> bool:
        """Whether one of the accounts is gone beyond doubt; what it has left ends."""
        contact = errand.details.get("contact")
        try:
            return any(
                [
                    await self._accounts.is_gone(username)
                    for username in (errand.username, *([contact] if contact else []))
                ]
            )
        except Refused:
            return False

    def _give_up(self, errand: Job, cause: str) -> None:
        self._log.warn(
            "{task} of {username}@{domain} given up: {cause}",
            task=errand.task,
            username=errand.username,
            domain=errand.domain,
            cause=cause,
        )

    async def _answer(self, errand: Job) -> str:
        """What a command is told, as JSON: a value, or a refusal with its kind and text."""
        try:
            return json.dumps({"value": await self._answers[errand.task](errand)})
        except Unavailable as refusal:
            text = refusal.cause or str(refusal)
            return json.dumps({"refused": "Unavailable", "text": text})
        except Refused as refusal:
            text = str(refusal)
            return json.dumps({"refused": type(refusal).__name__, "text": text})
        except ServerFault as fault:
            return json.dumps({"refused": "Refused", "text": fault.text})

    async def _exists(self, errand: Job) -> bool:
        asked = self._accounts.recognise if errand.details else self._accounts.exists
        return await asked(errand.username)

    async def _key(self, _errand: Job) -> list[str]:
        return [self._node, self._keys.public]

    async def _create(self, errand: Job) -> None:
        now, details = self._now(), errand.details
        account = Account(
            domain=errand.domain,
            username=errand.username,
            created_at=now,
            roles=tuple(json.loads(details["roles"])),
        )
        use = Use(
            domain=errand.domain,
            username=errand.username,
            kind=Kind.ACCOUNT,
            at=now,
            door="cli",
        )
        notices = tuple(notices_about(self._domains[use.domain], use))
        asked = Redemption(account=account, use=use, operator=True, notices=notices)
        await self._accounts.redeem(asked, self._keys.open(details["password"]))

    async def _delete(self, errand: Job) -> None:
        until = errand.details.get("until")
        await self._accounts.delete(
            errand.username,
            self._now(),
            until=datetime.fromisoformat(until) if until else None,
        )
        self._log.info(
            "deleted {username}@{domain}", username=errand.username, domain=errand.domain
        )

    async def _check(self, _errand: Job) -> list[str]:
        return list(await self._checks.faults())

    async def _doubts(self, _errand: Job) -> list[str]:
        return list(await self._checks.doubts())

    async def _ability(self, _errand: Job) -> str | None:
        return await self._server.contacts_problem()


def _pause(errand: Job, fault: ServerFault) -> timedelta:
    if isinstance(fault, MissingPrivilege):
        return PAUSE_WITHOUT_PRIVILEGE
    return min(timedelta(seconds=2 ** min(errand.tries, 4) - 1), LONGEST_PAUSE)
