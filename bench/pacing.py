"""Begin attempts at a fixed rate, however long those before take."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import count

TICK_SECONDS = 0.02


class Paced:
    """Attempts at something, of which each gets a running number.

    Attributes:
        outcomes: how many ended how: "done", or the exception that they raised.
        most: the most that were under way at once.
    """

    def __init__(
        self, attempt: Callable[[int], Awaitable[None]], rate: float, at_once: int
    ) -> None:
        """Begin ``rate`` attempts a second; while ``at_once`` are under way, begin none."""
        self._attempt = attempt
        self._rate = rate
        self._at_once = at_once
        self._under_way: set[asyncio.Task[None]] = set()
        self._numbers = count()
        self.outcomes: Counter[str] = Counter()
        self.most = 0

    async def run(self, ended: asyncio.Event) -> None:
        """Go on until ``ended``; what is under way then is cancelled."""
        begin, due = time.monotonic(), 0
        while not ended.is_set():
            before, due = due, int((time.monotonic() - begin) * self._rate)
            free = self._at_once - len(self._under_way)
            for _ in range(min(due - before, free)):
                task = asyncio.create_task(self._count(next(self._numbers)))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
            self.most = max(self.most, len(self._under_way))
            await asyncio.sleep(TICK_SECONDS)
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _count(self, number: int) -> None:
        try:
            await self._attempt(number)
        except Exception as error:
            self.outcomes[f"{type(error).__name__} {error}".strip()] += 1
        else:
            self.outcomes["done"] += 1
