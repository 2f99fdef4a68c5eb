"""Rates and work under way, by sender, so that a few cannot use up what is for all."""

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from invitereg.errors import Throttled

MINUTE = 60.0
_SHORT = 64


class Rate:
    """Counts what each key does within a minute; of too many keys, the first are forgotten."""

    def __init__(self, most: int, seconds: Callable[[], float], keys: int = 10000) -> None:
        self._most = most
        self._seconds = seconds
        self._keys = keys
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def allows(self, key: str) -> bool:
        """Whether one more would not be too many."""
        return self._counted(_short(key))[1] < self._most

    def add(self, key: str) -> bool:
        """Count one more; False, and it is not counted, if it is one too many."""
        key = _short(key)
        began, count = self._counted(key)
        if count >= self._most:
            return False
        self._counts[key] = (began, count + 1)
        if len(self._counts) > self._keys:
            self._counts.popitem(last=False)
        return True

    def _counted(self, key: str) -> tuple[float, int]:
        """Return when the minute of a key began, and how many there were since."""
        now = self._seconds()
        began, count = self._counts.get(key, (now, 0))
        return (now, 0) if now - began >= MINUTE else (began, count)


def _short(key: str) -> str:
    """Return a key that takes little memory: a foreign address may have thousands of bytes."""
    return key if len(key) <= _SHORT else hashlib.sha256(key.encode()).hexdigest()


class FairRate:
    """Limits each key, and all of them together, by which the busiest are refused first.

    Once all together have done as much as they may within a minute, a key that has done less
    than ``share`` in its own may go on: a few keys that use up the total shut nobody out.
    """

    def __init__(
        self, each: int, together: int, share: int, seconds: Callable[[], float]
    ) -> None:
        """At most ``each`` a minute by one key, and ``together`` by those beyond ``share``."""
        self._share = share
        self._each = Rate(each, seconds)
        self._shares = Rate(share, seconds)
        self._together = Rate(together, seconds)

    def __len__(self) -> int:
        return len(self._each)

    def add(self, key: str) -> bool:
        """Count one more; False, and it is not counted, if it is one too many."""
        if not self.allows(key):
            return False
        self._each.add(key)
        self._shares.add(key)
        self._together.add("")
        return True

    def allows(self, key: str) -> bool:
        """Whether one more would not be too many."""
        return self._each.allows(key) and (
            self._together.allows("") or self._shares.allows(key)
        )


def add_to_all(limits: Sequence[tuple[Rate | FairRate, str]]) -> bool:
    """Count one more under each key; False, and none is counted, if it is too many for one.

    So what somebody is refused takes nothing of what others may do.
    """
    if not all(rate.allows(key) for rate, key in limits):
        return False
    for rate, key in limits:
        rate.add(key)
    return True


class UnderWay:
    """Limits how much of each key is worked on at the same time."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._counts)

    @contextmanager
    def one_more(self, limits: Iterable[tuple[str, int]]) -> Iterator[None]:
        """Count the body of a ``with`` under each key while it runs.

        Args:
            limits: keys, each with how much of it may be under way.

        Raises:
            Throttled: that is reached for one of them.
        """
        keys = []
        for key, most in limits:
            if self._counts[key] >= most:
                raise Throttled(MINUTE)
            keys.append(key)
        self._counts.update(keys)
        try:
            yield
        finally:
            self._counts.subtract(keys)
            self._counts += Counter()  # forgets those with nothing under way
