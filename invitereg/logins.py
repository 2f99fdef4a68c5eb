"""How many failed logins are let through."""

from collections.abc import Callable, Mapping
from datetime import datetime

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
        self, domains: Mapping[str, Domain], store: IInviteStore, now: Callable[[], datetime]
    ) -> None:
        self.domains = domains
        self._store = store
        self._now = now

    async def count(
        self, domain: str, address: Address | None, username: str
    ) -> tuple[int, ...] | None:
        """Count an attempt; returns what `forget` takes, or None if it must be refused."""
        counters = login_counters(self.domains[domain].policy, address, username)
        if not counters:
            return ()
        return await self._store.hit(domain, counters, self._now())

    async def forget(self, counted: tuple[int, ...]) -> None:
        """The attempt succeeded: it is no failure."""
        if counted:
            await self._store.unhit(counted)
