"""How many failed logins are let through."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from invitereg.interfaces import IInviteStore
from invitereg.policy.counters import login_counters
from invitereg.policy.values import Address, Domain


class LoginThrottle:
    """Counts logins that fail, in the store, before any password is hashed.

    Every attempt is counted before it is made and forgotten when it succeeds: so a hundred
    attempts at once are no better than one after the other. A crash in between leaves one
    failure too many, until its period is over.
    """

    def __init__(
        self, domains: Mapping[str, Domain], store: Any, now: Callable[[], datetime]
    ) -> None:
        self.domains = domains
        self._store = IInviteStore(store)
        self._now = now

    async def count(
        self, domain: str, address: Address | None, username: str
    ) -> tuple[int, ...] | None:
        """Count an attempt; returns what `forget` takes, or None if it must be refused."""
        counters = login_counters(self.domains[domain].policy, address, username)
        if not counters:
            return ()
        counted: tuple[int, ...] | None = await self._store.hit(domain, counters, self._now())
        return counted

    async def forget(self, counted: tuple[int, ...]) -> None:
        """The attempt succeeded: it is no failure."""
        if counted:
            await self._store.unhit(counted)
