"""Accounts kept by invitereg itself, as SCRAM keys in the store."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from invitereg.accounts.scram import SCRAM_SHA_1, SCRAM_SHA_256, decoy_keys, derive_keys, fits
from invitereg.config.backendkeys import Accounts
from invitereg.interfaces import IAccounts, IStore, Redemption
from invitereg.metrics import Meter
from invitereg.model.accounts import Credentials, ScramKeys
from invitereg.model.invites import Use


class Work(Protocol):
    """Where hashing runs: `invitereg.threads` has one with threads and one without."""

    def run(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Call ``function`` where it does not block the reactor."""


def scram_mechanisms(keys: Accounts) -> tuple[str, ...]:
    """Return the SCRAM mechanisms that a domain's keys are stored for, the strongest first."""
    return (SCRAM_SHA_256, SCRAM_SHA_1) if keys.scram_sha_1 else (SCRAM_SHA_256,)


@implementer(IAccounts)
class EmbeddedAccounts:
    """The backend of the embedded domain: one transaction makes account and use.

    Attributes:
        mechanisms: the SCRAM mechanisms that keys are stored for, the strongest first.
    """

    def __init__(
        self,
        store: IStore,
        work: Work,
        now: Callable[[], datetime],
        iterations: int,
        mechanisms: Sequence[str] = (SCRAM_SHA_256,),
        meter: Meter | None = None,
    ) -> None:
        self._store = store
        self._work = work
        self._now = now
        self._iterations = iterations
        self._meter = meter or Meter()
        self.mechanisms = tuple(mechanisms)

    @classmethod
    def configured(
        cls,
        keys: Accounts,
        store: IStore,
        work: Work,
        now: Callable[[], datetime],
        meter: Meter | None = None,
    ) -> "EmbeddedAccounts":
        """Return the backend of a domain as it is configured."""
        return cls(store, work, now, keys.scram_iterations, scram_mechanisms(keys), meter)

    def redeem(self, redemption: Redemption, password: str) -> Deferred[None]:
        """See `IAccounts.redeem`."""
        return Deferred.fromCoroutine(self._redeem(redemption, password))

    async def _redeem(self, redemption: Redemption, password: str) -> None:
        account = replace(redemption.account, credentials=await self._hash(password))
        await self._store.redeem(replace(redemption, account=account))

    def reset(self, use: Use, password: str) -> Deferred[None]:
        """See `IAccounts.reset`."""
        return Deferred.fromCoroutine(self._reset(use, password))

    async def _reset(self, use: Use, password: str) -> None:
        await self._store.reset(use, await self._hash(password))

    def exists(self, domain: str, username: str) -> Deferred[bool]:
        """See `IAccounts.exists`."""
        return self._store.get_account(domain, username).addCallback(
            lambda account: account is not None
        )

    def recognise(self, domain: str, username: str) -> Deferred[bool]:
        """See `IAccounts.recognise`."""
        return self.exists(domain, username)

    def contacts_problem(self, domain: str) -> Deferred[str | None]:  # noqa: ARG002
        """See `IAccounts.contacts_problem`."""
        return succeed(None)

    def get_scram_keys(
        self, domain: str, username: str, mechanism: str
    ) -> Deferred[tuple[ScramKeys, datetime | None]]:
        """See `IAccounts.get_scram_keys`."""
        return Deferred.fromCoroutine(self._get_keys(domain, username, mechanism))

    async def _get_keys(
        self, domain: str, username: str, mechanism: str
    ) -> tuple[ScramKeys, datetime | None]:
        # The secret is read for known names too, so that both ways take the same steps.
        secret = await self._store.server_key()
        account = await self._store.get_account(domain, username)
        credentials = account and account.credentials
        keys = credentials and credentials.for_mechanism(mechanism)
        if credentials and keys:
            return keys, credentials.changed_at
        name = f"{username}@{domain}"
        return decoy_keys(mechanism, secret, name, self._iterations), None

    def check_password(
        self, domain: str, username: str, password: str
    ) -> Deferred[datetime | None]:
        """See `IAccounts.check_password`."""
        return Deferred.fromCoroutine(self._check(domain, username, password))

    async def _check(self, domain: str, username: str, password: str) -> datetime | None:
        keys, changed_at = await self._get_keys(domain, username, self.mechanisms[0])
        try:
            right = await self._work.run(self._fits, keys, password)
        except ValueError:
            return None
        return changed_at if right else None

    def change_password(
        self, domain: str, username: str, password: str, since: datetime
    ) -> Deferred[datetime]:
        """See `IAccounts.change_password`."""
        return Deferred.fromCoroutine(self._change(domain, username, password, since))

    async def _change(
        self, domain: str, username: str, password: str, since: datetime
    ) -> datetime:
        credentials = await self._hash(password)
        await self._store.set_credentials(domain, username, credentials, since)
        return credentials.changed_at

    def delete(
        self,
        domain: str,
        username: str,
        now: datetime,
        *,
        until: datetime | None = None,
        since: datetime | None = None,
    ) -> Deferred[None]:
        """See `IAccounts.delete`."""
        return self._store.delete_account(domain, username, now, until=until, since=since)

    async def _hash(self, password: str) -> Credentials:
        keys = await self._work.run(self._derive, password)
        return Credentials(keys=keys, changed_at=self._now())

    def _derive(self, password: str) -> tuple[ScramKeys, ...]:
        with self._meter.hashing():
            return tuple(
                derive_keys(mechanism, password, self._iterations)
                for mechanism in self.mechanisms
            )

    def _fits(self, keys: ScramKeys, password: str) -> bool:
        with self._meter.hashing():
            return fits(keys, password)
