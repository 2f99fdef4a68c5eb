"""Keeps the log short: a fault is told when it begins and when it ends, a flood in a sum."""

import re
import secrets
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

from twisted.logger import Logger

QUIET_SECONDS = 60.0
"""How long a fault that comes and goes is not told again."""
LINES_PER_ADDRESS = 10
LINES_PER_RULE = 60
CAUSES_PER_MINUTE = 10
"""How many new causes of one fault are told in a minute, as their texts may be foreign."""
CAUSES_KNOWN = 20
"""How many causes are known to have been told."""
FOREIGN_CHARACTERS = 200
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,49}")


def escaped(text: str, keep: str = "") -> str:
    """Return a text with what is not printable in escape sequences."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one in keep else one.encode("unicode_escape").decode()
        for one in text
    )


def quoted(text: str) -> str:
    """Return what somebody else has written for a line of the log: short, and in quotes."""
    cut = text if len(text) <= FOREIGN_CHARACTERS else f"{text[:FOREIGN_CHARACTERS]}…"
    return '"' + escaped(cut.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def named(name: str) -> str:
    """Return the name of a foreign element for a line of the log, in quotes if it looks odd.

    A name of XML may have any length, and characters that nobody sees.
    """
    return name if _PLAIN_NAME.fullmatch(name) else quoted(name)


class BoundedLog(Protocol):
    """Leaves lines out that would be too many."""

    def sum_up(self) -> None:
        """Tell how many were left out, and begin anew; to be called every minute."""


class PerMinute:
    """Lets so much through in a minute. For one thread at a time."""

    def __init__(self, most: int, seconds: Callable[[], float] = time.monotonic) -> None:
        """``seconds`` is a clock that never jumps."""
        self._most = most
        self._seconds = seconds
        self._began, self._count = seconds(), 0

    def one_more(self) -> bool:
        """Count one more; False if it is one too many."""
        now = self._seconds()
        if now - self._began >= QUIET_SECONDS:
            self._began, self._count = now, 0
        self._count += 1
        return self._count <= self._most


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
        self._told: OrderedDict[str, str] = OrderedDict()
        self._last = ""
        self._untold = 0
        self._quiet_until = 0.0
        self._causes = PerMinute(CAUSES_PER_MINUTE, seconds)

    def failed(self, cause: str, **details: Any) -> str:
        """Note that it has failed, by ``cause``; returns the id of the line in the log.

        Of many causes within a minute the rest has the id of the last that was told.
        """
        with self._lock:
            if not self._broken and self._seconds() >= self._quiet_until:
                self._told.clear()
            self._broken = True
            known = self._told.get(cause)
            if known is None and self._causes.one_more():
                return self._tell(cause, **details)
            self._untold += 1
            return known or self._last

    def _tell(self, cause: str, **details: Any) -> str:
        error_id = self._last = self._told[cause] = secrets.token_hex(4)
        if len(self._told) > CAUSES_KNOWN:
            self._told.popitem(last=False)
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
