"""Do what is due at intervals: requests of other processes, and the removal of old data."""

from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from twisted.application.internet import TimerService
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from invitereg.config import Config
from invitereg.errors import Refused
from invitereg.interfaces.apikeys import REPEATABLE
from invitereg.interfaces.stores import IStore
from invitereg.policy.counters import counter_limits
from invitereg.policy.values import Domain, Policy

_log = Logger("invitereg.upkeep.Upkeep")

TICK_SECONDS = 1.0
MINUTE_SECONDS = 60.0
ROUND_SECONDS = 3600.0
STEADY_SECONDS = 600.0
"""How long the time of day must not have been changed before anything is removed."""
JUMP_SECONDS = 10.0
ROWS = 500
"""How many rows one step removes: nobody who waits for the database may notice it."""
REMOVALS_AT_ONCE = 20
SESSION_ENDS_KEPT = timedelta(days=1)
"""How long to keep ended sessions; services read them every second, but one may be stopped."""

PeriodicTask = Callable[[], Coroutine[Any, Any, None] | None]
Removal = Callable[[], "Deferred[int]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Periods after which old data is removed; None keeps it for ever.

    Attributes:
        addresses: of clients, in the history.
        invites: from when they were over.
    """

    addresses: timedelta | None
    invites: timedelta | None


def retention_of(config: Config) -> Retention:
    """Return the periods that a configuration has."""
    return Retention(addresses=config.keep_addresses, invites=config.keep_invites)


class Maintenance(MultiService):
    """Do what other processes have requested in the store, and remove old data.

    Attributes:
        retention: may be replaced while running.
    """

    def __init__(
        self,
        clock: IReactorTime,
        now: Callable[[], datetime],
        store: IStore,
        domains: Mapping[str, Domain],
        retention: Retention,
        *,
        each_second: Iterable[PeriodicTask] = (),
        each_minute: Iterable[PeriodicTask] = (),
        each_round: Iterable[Callable[[int], "Deferred[int]"]] = (),
    ) -> None:
        """Prepare; nothing is done before the start.

        Args:
            clock: never jumps.
            now: the time of day, which may jump.
            store: where requests of other processes are, and what is removed.
            domains: those that are served, by name; may be updated while running.
            retention: the periods after which data is removed.
            each_second: what to do every second.
            each_minute: what to do every minute.
            each_round: remove at most so many rows, and return how many; called every hour,
                and again as long as they remove as many.
        """
        super().__init__()
        self.retention = retention
        self._each_round = each_round
        self._clock = clock
        self._now = now
        self._store = store
        self._domains = domains
        self._removals: deque[Removal] = deque()
        self._seen = (clock.seconds(), now())
        self._next_round = clock.seconds() + STEADY_SECONDS
        for task in (*each_second, self._tidy):
            self._repeat(TICK_SECONDS, task)
        for task in each_minute:
            self._repeat(MINUTE_SECONDS, task)

    def stopService(self) -> None:
        """Begin nothing more.

        This waits for nothing that is under way, unlike Twisted's own: the store and the
        servers end that when they stop, which is afterwards.
        """
        super().stopService()

    async def _tidy(self) -> None:
        """Continue to remove old data, or begin with it every hour."""
        self._watch_clock()
        if not self._removals:
            if self._clock.seconds() < self._next_round:
                return
            self._next_round = self._clock.seconds() + ROUND_SECONDS
            self._removals.extend(self._round(await self._store.list_domains()))
        for _ in range(min(REMOVALS_AT_ONCE, len(self._removals))):
            # Taken out first: one that fails waits for the next round.
            chore = self._removals.popleft()
            if await chore() == ROWS:
                self._removals.append(chore)
                return

    def _watch_clock(self) -> None:
        """Remove nothing for a while after the time of day has been changed.

        By a clock that is years ahead, everything is old.
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
        self._removals.clear()
        self._next_round = max(self._next_round, seconds + STEADY_SECONDS)

    def _round(self, kept: Iterable[str]) -> Iterator[Removal]:
        """Yield all that is to be removed now; ``kept``: the domains that there is data of."""
        now, store = self._now(), self._store
        for name in kept:
            if self.retention.addresses is not None:
                before = now - self.retention.addresses
                yield partial(store.forget_addresses, name, before, ROWS)
                yield partial(store.purge_used_networks, name, before, ROWS)
            if self.retention.invites is not None:
                yield partial(store.purge_invites, name, now - self.retention.invites, ROWS)
            yield partial(store.purge_names, name, now, ROWS)
            served = self._domains.get(name)  # It may be served no more.
            policy = served.policy if served else Policy()
            for counter, limit in counter_limits(policy).items():
                yield partial(store.purge_hits, name, counter, now - limit.period, ROWS)
        yield partial(store.purge_requests, now - REPEATABLE, ROWS)
        yield partial(store.purge_jobs, now, ROWS)
        yield partial(store.purge_session_ends, now - SESSION_ENDS_KEPT, ROWS)
        for remove in self._each_round:
            yield partial(remove, ROWS)

    def _repeat(self, seconds: float, task: PeriodicTask) -> None:
        timer = TimerService(seconds, lambda: Deferred.fromCoroutine(self._try(task)))
        timer.clock = self._clock
        self.addService(timer)

    async def _try(self, task: PeriodicTask) -> None:
        try:
            await maybeDeferred(task)
        except Refused as refusal:
            # The store says in the log what is wrong; this has only to go on.
            _log.debug("upkeep is put off: {refusal}", refusal=refusal)
        except Exception:
            _log.failure("upkeep failed, and goes on")
