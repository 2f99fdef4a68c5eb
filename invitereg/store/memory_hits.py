"""What the `MemoryStore` counts."""

from datetime import datetime

from invitereg.errors import Throttled
from invitereg.policy.counters import Counter
from invitereg.policy.values import Tally


class Hits:
    """Hits on counters, by number."""

    def __init__(self) -> None:
        self._hits: dict[int, tuple[str, str, str, datetime]] = {}
        self._last = 0

    def tally(self, domain: str, counter: Counter, now: datetime) -> Tally:
        """How many count at ``now``."""
        since, ahead = counter.since(now), counter.before(now)
        wanted = (domain, counter.name, counter.key)
        moments = [
            hit[3]
            for hit in self._hits.values()
            if hit[:3] == wanted and since < hit[3] <= ahead
        ]
        return Tally(count=len(moments), oldest=min(moments, default=None))

    def require_below_limit(self, domain: str, counter: Counter, now: datetime) -> None:
        """Raises Throttled if the counter is at its limit."""
        tally = self.tally(domain, counter, now)
        if tally.count >= counter.limit.max:
            raise Throttled(counter.retry_after(tally, now))

    def add(self, domain: str, counter: Counter, now: datetime) -> int:
        """Count one hit, whatever the limit; returns its number."""
        self._last += 1
        self._hits[self._last] = (domain, counter.name, counter.key, now)
        return self._last

    def remove(self, number: int) -> None:
        """Take a hit back."""
        self._hits.pop(number, None)

    def purge(self, domain: str, name: str, before: datetime, at_most: int) -> int:
        """Forget old hits on all counters of a name; returns how many."""
        old = [
            number
            for number, hit in self._hits.items()
            if hit[:2] == (domain, name) and hit[3] <= before
        ][:at_most]
        for number in old:
            self.remove(number)
        return len(old)
