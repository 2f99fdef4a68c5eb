"""Accounts kept by invitereg itself, as SCRAM keys in the store."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from invitereg.accounts.scram import decoy_keys, derive_keys, fits
from invitereg.interfaces.accounts import IAccounts, ILogins, IPasswords
from invitereg.interfaces.queries import Redemption
from invitereg.interfaces.stores import IStore
from invitereg.model.accounts import PLAIN, SCRAM_SHA_256, Credentials, ScramKeys
from invitereg.model.invites import Use
from invitereg.runtime.deferreds import deferred
from invitereg.runtime.meter import Meter


class FunctionRunner(Protocol):
    """Run functions that take long: `invitereg.runtime.threads` has two implementations."""

    def run(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Call ``function`` where it does not block the reactor."""


@implementer(IAccounts, IPasswords, ILogins)
class EmbeddedAccounts:
    """Keep one domain's accounts: a single transaction makes an account and its use."""

    def __init__(
        self,
        domain: str,
        store: IStore,
        executor: FunctionRunner,
        now: Callable[[], datetime],
        iterations: int,
        scram: Sequence[str] = (SCRAM_SHA_256,),
        meter: Meter | None = None,
    ) -> None:
        """``scram`` names the mechanisms that keys are stored for, the strongest first."""
        self._domain = domain
        self._store = store
        self._executor = executor
        self._now = now
        self._iterations = iterations
        self._scram = tuple(scram)
        self._meter = meter or Meter()
        self.mechanisms = (*self._scram, PLAIN)

    @deferred
    async def redeem(self, redemption: Redemption, password: str) -> None:
        account = replace(redemption.account, credentials=await self._hash(password))
        await self._store.redeem(replace(redemption, account=account))

    @deferred
    async def reset(self, use: Use, password: str) -> None:
        await self._store.reset(use, await self._hash(password))

    @deferred
    async def exists(self, username: str) -> bool:
        return await self._store.get_account(self._domain, username) is not None

    recognise = exists

    def contacts_problem(self) -> Deferred[str | None]:
        return succeed(None)

    @deferred
    async def get_scram_keys(
        self, username: str, mechanism: str
    ) -> tuple[ScramKeys, datetime | None]:
        # The secret is read for known names, too, so that both cases take the same steps.
        secret = await self._store.server_key()
        account = await self._store.get_account(self._domain, username)
        credentials = account and account.credentials
        keys = credentials and credentials.for_mechanism(mechanism)
        if credentials and keys:
            return keys, credentials.changed_at
        name = f"{username}@{self._domain}"
        return decoy_keys(mechanism, secret, name, self._iterations), None

    @deferred
    async def check_password(self, username: str, password: str) -> datetime | None:
        keys, changed_at = await self.get_scram_keys(username, self._scram[0])
        try:
            right = await self._executor.run(self._fits, keys, password)
        except ValueError:
            return None
        return changed_at if right else None

    @deferred
    async def change_password(self, username: str, password: str, since: datetime) -> datetime:
        credentials = await self._hash(password)
        await self._store.set_credentials(self._domain, username, credentials, since)
        return credentials.changed_at

    def delete(
        self,
        username: str,
        now: datetime,
        *,
        until: datetime | None = None,
        since: datetime | None = None,
    ) -> Deferred[None]:
        return self._store.delete_account(self._domain, username, now, until=until, since=since)

    async def _hash(self, password: str) -> Credentials:
        keys = await self._executor.run(self._derive, password)
        return Credentials(keys=keys, changed_at=self._now())

    def _derive(self, password: str) -> tuple[ScramKeys, ...]:
        with self._meter.hashing():
            return tuple(
                derive_keys(mechanism, password, self._iterations) for mechanism in self._scram
            )

    def _fits(self, keys: ScramKeys, password: str) -> bool:
        with self._meter.hashing():
            return fits(keys, password)
