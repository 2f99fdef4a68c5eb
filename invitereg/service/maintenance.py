"""What the service does by itself while it runs."""

from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from invitereg.config import Config
from invitereg.errors import Refused
from invitereg.interfaces.apikeys import REPEATABLE
from invitereg.interfaces.stores import IStore
from invitereg.policy.counters import periods
from invitereg.policy.values import Domain, Policy
from invitereg.runtime.logs import BoundedLog

_log = Logger("invitereg.upkeep.Upkeep")

TICK_SECONDS = 1.0
LOGS_SECONDS = 60.0
ROUND_SECONDS = 3600.0
STEADY_SECONDS = 600.0
"""How long the clock must have run evenly before anything is removed by it."""
JUMP_SECONDS = 10.0
ROWS = 500
"""What one step removes: who waits for the database meanwhile must not notice."""
CHORES_AT_ONCE = 20
SESSION_ENDS_KEPT = timedelta(days=1)
"""Services read within a second whose sessions are over, but one may have stood still."""

Chore = Callable[[], "Deferred[int]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """How long what is kept that nobody needs; None is for ever.

    Attributes:
        addresses: of clients, in the history.
        invites: from when they were over.
    """

    addresses: timedelta | None
    invites: timedelta | None


def keep_of(config: Config) -> Keep:
    """What is configured."""
    return Keep(addresses=config.keep_addresses, invites=config.keep_invites)


class Upkeep:
    """Does what other processes ask for by way of the store, and removes what is old.

    Attributes:
        keep: may be replaced while running.
    """

    def __init__(
        self,
        clock: IReactorTime,
        now: Callable[[], datetime],
        store: IStore,
        each_second: Iterable[Callable[[], Coroutine[Any, Any, None]]],
        domains: Mapping[str, Domain],
        keep: Keep,
        logs: Sequence[BoundedLog] = (),
        each_round: Iterable[Callable[[int], "Deferred[int]"]] = (),
    ) -> None:
        """``clock`` must be one that never jumps; ``now`` may.

        ``each_second`` is what to look for in the store every second, ``each_round`` what
        removes at most so many rows of its own, and returns how many.
        """
        self.keep = keep
        self._each_round = each_round
        self._clock = clock
        self._now = now
        self._store = store
        self._each_second = each_second
        self._domains = domains
        self._logs = logs
        self._chores: deque[Chore] = deque()
        self._seen = (clock.seconds(), now())
        self._next_round = clock.seconds() + STEADY_SECONDS
        self._calls: list[LoopingCall] = []

    def start(self) -> None:
        """Begin to do each thing in its interval."""
        for work in (*self._each_second, self._tidy):
            self._repeat(TICK_SECONDS, work)
        self._repeat(LOGS_SECONDS, self._sum_up)

    def stop(self) -> None:
        """Begin nothing more."""
        for call in self._calls:
            if call.running:
                call.stop()

    async def _sum_up(self) -> None:
        for log in self._logs:
            log.sum_up()

    async def _tidy(self) -> None:
        """Go on with what there is to remove, or begin with it every hour."""
        self._watch_clock()
        if not self._chores:
            if self._clock.seconds() < self._next_round:
                return
            self._next_round = self._clock.seconds() + ROUND_SECONDS
            self._chores.extend(self._round(await self._store.list_domains()))
        for _ in range(min(CHORES_AT_ONCE, len(self._chores))):
            # Taken out first: one that fails waits for the next round.
            chore = self._chores.popleft()
            if await chore() == ROWS:
                self._chores.append(chore)
                return

    def _watch_clock(self) -> None:
        """Remove nothing for a while if the time of day has been changed.

        By a clock that is years ahead, everything would be old.
        """
        seconds, now = self._clock.seconds(), self._now()
        elapsed = timedelta(seconds=seconds - self._seen[0])
        jump = (now - self._seen[1] - elapsed).total_seconds()
        self._seen = (seconds, now)
        if abs(jump) < JUMP_SECONDS:
            return
        _log.warn(
            "the system's clock was changed by {jump:+.0f} seconds; nothing old is removed "
            "for {pause:.0f} minutes",
            jump=jump,
            pause=STEADY_SECONDS / 60,
        )
        self._chores.clear()
        self._next_round = max(self._next_round, seconds + STEADY_SECONDS)

    def _round(self, kept: Iterable[str]) -> Iterator[Chore]:
        """All that there is to do, once an hour, for each domain that something is kept of."""
        now, store = self._now(), self._store
        for name in kept:
            if self.keep.addresses is not None:
                before = now - self.keep.addresses
                yield partial(store.forget_addresses, name, before, ROWS)
                yield partial(store.purge_used_networks, name, before, ROWS)
            if self.keep.invites is not None:
                yield partial(store.purge_invites, name, now - self.keep.invites, ROWS)
            yield partial(store.purge_names, name, now, ROWS)
            for counter, period in periods(self._policy(name)).items():
                yield partial(store.purge_hits, name, counter, now - period, ROWS)
        yield partial(store.purge_repeats, now - REPEATABLE, ROWS)
        yield partial(store.purge_jobs, now, ROWS)
        yield partial(store.purge_session_ends, now - SESSION_ENDS_KEPT, ROWS)
        for remove in self._each_round:
            yield partial(remove, ROWS)

    def _policy(self, domain: str) -> Policy:
        """Return a domain's policy; the usual one for a domain that is not served any more."""
        served = self._domains.get(domain)
        return served.policy if served else Policy()

    def _repeat(self, seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        call = LoopingCall(lambda: Deferred.fromCoroutine(self._try(work)))
        call.clock = self._clock
        self._calls.append(call)
        call.start(seconds)

    async def _try(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except Refused as refusal:
            # The store says in the log what is wrong; this has only to go on.
            _log.debug("upkeep is put off: {refusal}", refusal=refusal)
        except Exception:
            _log.failure("upkeep failed, and goes on")
