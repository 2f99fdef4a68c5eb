"""Keeps the log short: a fault is told when it begins and when it ends, a flood in a sum."""

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

QUIET_SECONDS = 60.0
"""How long a fault that comes and goes is not told again."""
LINES_PER_ADDRESS = 10
LINES_PER_RULE = 60


class FaultLog:
    """Tells of a fault once, and once more when it is over. For any thread.

    Who meets the fault again meanwhile gets the id under which it has been told, so that the
    id in a client's error message is in the log, too.
    """

    def __init__(
        self, log: Logger, what: str, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        """``what`` works or does not; ``seconds`` is a clock that never jumps."""
        self._log = log
        self._what = what
        self._seconds = seconds
        self._lock = threading.Lock()
        self._broken = False
        self._told: dict[str, str] = {}
        self._untold = 0
        self._quiet_until = 0.0

    def failed(self, cause: str, **details: Any) -> str:
        """It has failed, by ``cause``; returns the id of the line in the log."""
        with self._lock:
            if not self._broken and self._seconds() >= self._quiet_until:
                self._told.clear()
            self._broken = True
            if cause in self._told:
                self._untold += 1
                return self._told[cause]
            error_id = self._told[cause] = secrets.token_hex(4)
            self._log.error(
                "{what} error {error_id}: {cause}",
                what=self._what,
                error_id=error_id,
                cause=cause,
                **details,
            )
            return error_id

    def worked(self) -> None:
        """It has worked."""
        if not self._broken:  # as nearly always: without the lock
            return
        with self._lock:
            now = self._seconds()
            if not self._broken or now < self._quiet_until:
                return
            self._log.info(
                "{what} works again after error {error_ids} ({count} more not logged)",
                what=self._what,
                error_ids=", ".join(self._told.values()),
                count=self._untold,
            )
            self._broken, self._untold = False, 0
            self._quiet_until = now + QUIET_SECONDS


class RefusalLog:
    """Lines about refused requests, of which strangers make as many as they like.

    Between two calls of `sum_up`, so many are written about one address and so many by one
    rule of a domain; the rest is counted. For the reactor's thread only.
    """

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._rules: Counter[tuple[str, str]] = Counter()
        self._addresses: Counter[tuple[str, str, str]] = Counter()
        self._left_out: Counter[tuple[str, str]] = Counter()

    def info(self, text: str, *, domain: str, address: object, rule: str, **more: Any) -> None:
        """Write a line, its fields as `Logger.info` takes them, or count that it was not."""
        by_rule, by_address = (domain, rule), (domain, rule, str(address))
        if (
            self._rules[by_rule] >= LINES_PER_RULE
            or self._addresses[by_address] >= LINES_PER_ADDRESS
        ):
            self._left_out[by_rule] += 1
            return
        self._rules[by_rule] += 1
        self._addresses[by_address] += 1
        self._log.info(text, domain=domain, address=str(address), rule=rule, **more)

    def sum_up(self) -> None:
        """Tell how many lines were left out, and begin anew; to be called every minute."""
        for (domain, rule), count in self._left_out.items():
            self._log.info(
                "{count} more such lines left out at {domain} within a minute: {rule}",
                count=count,
                domain=domain,
                rule=rule,
            )
        for counter in (self._rules, self._addresses, self._left_out):
            counter.clear()
