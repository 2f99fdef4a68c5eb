"""Share the reactor's time fairly: whoever has used up their share waits, and nobody else."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

SHARE = 0.2
"""The part of the time that one account or network may use continuously."""
BURST = 0.25
"""Seconds that one account or network may use at once."""
_MOST = 10_000


class TimeBudgets:
    """Measure how much of the reactor's time each account or network has used.

    A leaky bucket (ITU-T I.371): for each, the moment is kept at which their share of the time
    equals what they have used. Whoever has used nothing lately is forgotten.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        """``seconds`` is a clock that never jumps."""
        self._seconds = seconds
        self._even_at: OrderedDict[Hashable, float] = OrderedDict()
        self._measuring = False

    def __len__(self) -> int:
        """Return how many accounts and networks are remembered."""
        return len(self._even_at)

    @contextmanager
    def spending(self, who: Hashable) -> Iterator[None]:
        """Charge the time of the ``with`` block to ``who``; None is charged to nobody.

        A nested block is charged to the outer one.
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
        """Return the seconds that ``who`` has to wait; 0 if they may go on now."""
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
