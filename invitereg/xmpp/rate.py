"""How often something is done by each of many, who are forgotten in time."""

from collections import OrderedDict
from collections.abc import Callable

MINUTE = 60.0


class Rate:
    """Counts what each does within a minute; of too many, the first are forgotten."""

    def __init__(self, most: int, seconds: Callable[[], float], keys: int = 10000) -> None:
        self._most = most
        self._seconds = seconds
        self._keys = keys
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def add(self, key: str) -> bool:
        """Count one more; False if it is one too many."""
        now = self._seconds()
        began, count = self._counts.get(key, (now, 0))
        if now - began >= MINUTE:
            began, count = now, 0
        self._counts[key] = (began, count + 1)
        if len(self._counts) > self._keys:
            self._counts.popitem(last=False)
        return count < self._most
