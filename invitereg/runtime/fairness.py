"""Share the reactor's time: who has used up their part of it waits, and all others do not."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

SHARE = 0.2
"""Part of the time that one may use for good, while others may use the rest."""
BURST = 0.25
"""Seconds that one may use at once."""
_MOST = 10_000


class TimeBudgets:
    """Knows how much of the reactor's time each has used: an account, or a network.

    For each there is the moment at which their part of the time will have caught up with what
    they have used, as in the leaky bucket of ITU-T I.371. Those who have used nothing lately
    are forgotten.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        """``seconds`` is a clock that never jumps."""
        self._seconds = seconds
        self._even_at: OrderedDict[Hashable, float] = OrderedDict()
        self._measuring = False

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._even_at)

    @contextmanager
    def spending(self, who: Hashable) -> Iterator[None]:
        """Measure what is done within, for somebody; None is nobody's.

        What is done within that for somebody else counts for the first.
        """
        if who is None or self._measuring:
            yield
            return
        self._measuring = True
        began = self._seconds()
        try:
            yield
        finally:
            self._measuring = False
            self._spent(who, began, self._seconds())

    def seconds_to_wait(self, who: Hashable) -> float:
        """Return how long somebody has to wait; 0 if they may go on now."""
        ahead = self._even_at.get(who, 0.0) - self._seconds()
        return max(0.0, ahead - BURST / SHARE)

    def _spent(self, who: Hashable, began: float, now: float) -> None:
        if now <= began:
            return
        self._even_at[who] = max(self._even_at.get(who, 0.0), began) + (now - began) / SHARE
        self._even_at.move_to_end(who)
        oldest, oldest_even_at = next(iter(self._even_at.items()))
        if oldest_even_at <= now or len(self._even_at) > _MOST:
            del self._even_at[oldest]
