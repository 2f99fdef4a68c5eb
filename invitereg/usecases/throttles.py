"""Throttles: how many failed logins, and how many unknown tokens, are let through."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TypeVar

from twisted.internet.defer import DeferredLock

from invitereg.errors import InvalidInvite, LoginThrottled, Overloaded, Refused, Throttled
from invitereg.interfaces.queries import Findings, LoginAttempt, Query
from invitereg.interfaces.stores import IAccountStore, IInviteStore
from invitereg.policy.counters import (
    account_counter,
    guess_counters,
    login_counters,
    seconds_to_wait,
    stale_counters,
)
from invitereg.policy.networks import neighbourhood
from invitereg.policy.values import Address, Domain, Policy, Request
from invitereg.runtime.deferreds import shielded

T = TypeVar("T")


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
        policy = self.domains[domain].policy
        counters = login_counters(policy, address, username)
        if not counters:
            return await verify()
        attempt = LoginAttempt(
            domain=domain,
            username=username,
            network=neighbourhood(address),
            counters=counters,
            elsewhere=account_counter(policy, username),
        )
        numbers = await self._store.count_login(attempt, self._now())
        if numbers is None:
            raise LoginThrottled
        verified = await verify()
        if verified is not None:
            await self._store.login_succeeded(attempt, numbers, self._now())
        return verified


MAX_WAITING = 1000
"""How many look-ups of one network may wait: more than it has connections at all doors."""
_MAX_NETWORKS = 1000


class TokenThrottle:
    """Looks tokens up, and counts those that are unknown by the network that tries them.

    A token that exists is never refused, so what comes past the limit is looked up as well:
    of each network one at a time, so that it costs others nothing. This process remembers
    which networks are past it; each answer of the store says it anew.
    """

    def __init__(self, store: IInviteStore) -> None:
        self._store = store
        self._turns: OrderedDict[tuple[str, str, str], DeferredLock] = OrderedDict()

    async def look_up(self, query: Query) -> Findings:
        """Answer a query; its counters, if any, are `guess_counters`.

        Raises:
            Overloaded: too many look-ups of this network wait already.
        """
        if not query.counters:
            return await self._store.look_up(query)
        networks = [(query.domain, each.name, each.key) for each in query.counters]
        # Who guesses from many nested networks waits for the turn of the widest.
        turns = [self._turns[network] for network in networks if network in self._turns]
        findings = await self._in_turn(turns[-1] if turns else None, query)
        limits = [each.limit.max for each in query.counters]
        for network, most, tally in zip(networks, limits, findings.tallies, strict=True):
            self._remember(network, guessing=tally.count >= most)
        return findings

    async def count(
        self,
        policy: Policy,
        request: Request,
        findings: Findings,
        refusal: Refused,
        now: datetime,
    ) -> Refused:
        """Count a token that was refused, and return the refusal to answer with.

        An unknown one is a guess, whichever rule refused it. All take as much work, and one
        that is over gets the answer of an unknown one, also past the limit: so nobody learns
        which tokens there were.
        """
        if policy.limits.allowlisted(request.address):
            return refusal
        guesses = guess_counters(policy, request.address, request.scripted)
        seconds = seconds_to_wait(guesses, findings.tallies, now)
        if seconds is not None:
            return Throttled(seconds) if isinstance(refusal, InvalidInvite) else refusal
        unknown = findings.invite is None
        counters = guesses if unknown else stale_counters(policy, request.address)
        await self._store.hit(request.domain, counters, now)
        return refusal

    async def _in_turn(self, turn: DeferredLock | None, query: Query) -> Findings:
        if turn is None:
            return await self._store.look_up(query)
        if len(turn.waiting) >= MAX_WAITING:
            raise Overloaded(retry_after=1.0)
        await turn.acquire()

        def release(findings: T) -> T:
            turn.release()
            return findings

        # Who hangs up does not end the turn: the store is still at work then.
        return await shielded(self._store.look_up(query).addBoth(release))

    def _remember(self, network: tuple[str, str, str], *, guessing: bool) -> None:
        turn = self._turns.get(network)
        if guessing:
            self._turns[network] = turn or DeferredLock()
            self._turns.move_to_end(network)
            if len(self._turns) > _MAX_NETWORKS:
                unused = (oldest for oldest, turn in self._turns.items() if not turn.locked)
                self._turns.pop(next(unused, ("", "", "")), None)
        elif turn is not None and not turn.locked:
            del self._turns[network]
