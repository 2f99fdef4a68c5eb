"""How many failed logins are let through."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from invitereg.errors import LoginThrottled
from invitereg.interfaces.queries import LoginAttempt
from invitereg.interfaces.stores import IAccountStore
from invitereg.policy.counters import account_counter, login_counters
from invitereg.policy.networks import neighbourhood
from invitereg.policy.values import Address, Domain

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CountedLogin:
    """An attempt that may be made.

    Attributes:
        attempt: None where logins are not counted.
        numbers: of what was counted, as the store knows it.
    """

    attempt: LoginAttempt | None = None
    numbers: tuple[int, ...] = ()


class LoginThrottle:
    """Counts logins that fail, in the store, before any password is hashed or sent to a server.

    Every attempt is counted before it is made and forgotten when it succeeds: so a hundred
    attempts at once are no better than one after the other. A crash in between leaves one
    failure too many, until its period is over.
    """

    def __init__(
        self, domains: Mapping[str, Domain], store: IAccountStore, now: Callable[[], datetime]
    ) -> None:
        self.domains = domains
        self._store = store
        self._now = now

    async def attempt(
        self,
        domain: str,
        address: Address | None,
        username: str,
        verify: Callable[[], Awaitable[T | None]],
    ) -> T | None:
        """Count an attempt, verify it, and forget that it was counted if it succeeds.

        Args:
            domain: the account's.
            address: the client's; without one, as at a UNIX socket, nothing is counted.
            username: the account's.
            verify: checks what the client knows; None is a failure.

        Returns:
            What ``verify`` does.

        Raises:
            LoginThrottled: there were too many failures; nothing was verified.
        """
        counted = await self._count(domain, address, username)
        if counted is None:
            raise LoginThrottled
        verified = await verify()
        if verified is not None and counted.attempt is not None:
            await self._store.login_succeeded(counted.attempt, counted.numbers, self._now())
        return verified

    async def _count(
        self, domain: str, address: Address | None, username: str
    ) -> CountedLogin | None:
        """Count an attempt; None if it must be refused."""
        policy = self.domains[domain].policy
        counters = login_counters(policy, address, username)
        if not counters:
            return CountedLogin()
        attempt = LoginAttempt(
            domain=domain,
            username=username,
            network=neighbourhood(address),
            counters=counters,
            elsewhere=account_counter(policy, username),
        )
        numbers = await self._store.count_login(attempt, self._now())
        return None if numbers is None else CountedLogin(attempt, numbers)
