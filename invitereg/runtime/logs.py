"""Keep the log short: one line when a fault begins and one when it ends, a sum of a flood.

Twisted and wokkel log a traceback for each exception of a handler. One stanza or request that
raises one could be repeated until the disk is full. Foreign text in a line must not reach a
terminal as a control sequence.
"""

import re
import secrets
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, LogPublisher
from zope.interface import implementer

from invitereg.model.fields import escaped

QUIET_SECONDS = 60.0
"""How long a fault that comes and goes is not logged again."""
LINES_PER_ADDRESS = 10
LINES_PER_RULE = 60
CAUSES_PER_MINUTE = 10
"""How many new causes of one fault are logged in a minute, as their texts may be foreign."""
CAUSES_KNOWN = 20
"""How many logged causes are remembered."""
FOREIGN_CHARACTERS = 200
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,49}")


def quoted(text: str) -> str:
    """Return foreign text for a line of the log: shortened, escaped and in quotes."""
    cut = text if len(text) <= FOREIGN_CHARACTERS else f"{text[:FOREIGN_CHARACTERS]}…"
    return '"' + escaped(cut.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def named(name: str) -> str:
    """Return a foreign element's name for a line of the log, in quotes unless it is plain.

    XML allows names of any length, with characters that are invisible.
    """
    return name if _PLAIN_NAME.fullmatch(name) else quoted(name)


class PerMinute:
    """Count events, and say when a minute has had too many. For one thread at a time."""

    def __init__(self, most: int, seconds: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._seconds = seconds
        self._began, self._count = seconds(), 0

    def one_more(self) -> bool:
        """Count one event; return False if it is one too many."""
        now = self._seconds()
        if now - self._began >= QUIET_SECONDS:
            self._began, self._count = now, 0
        self._count += 1
        return self._count <= self._most


class FaultLog:
    """Log a fault once, and once more when it is over. For any thread.

    A repetition gets the id of the line that was logged, so that the id in a client's error
    message is in the log, too.
    """

    def __init__(
        self, log: Logger, what: str, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        """``what`` names the part that fails, at the start of each line."""
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
        """Note a failure and its cause; return the id of the line in the log.

        If a minute has too many causes, the rest get the id of the last one that was logged.
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
        """Note a success: if a fault is open, log that it is over."""
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
    """Log refused requests, of which strangers can make any number.

    Between two calls of `sum_up`, the lines about one address and those by one rule of a domain
    are limited; the rest is counted. For the reactor's thread only.
    """

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._rules: Counter[tuple[str, str]] = Counter()
        self._addresses: Counter[tuple[str, str, str]] = Counter()
        self._left_out: Counter[tuple[str, str]] = Counter()

    def info(self, text: str, *, domain: str, address: object, rule: str, **more: Any) -> None:
        """Log a line with its fields, as `Logger.info` does, or count it as left out."""
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
        """Log how many lines were left out, and start again. Call it every minute."""
        for (domain, rule), count in self._left_out.items():
            self._log.info(
                "{count} more such lines left out at {domain} within a minute: {rule}",
                count=count,
                domain=domain,
                rule=rule,
            )
        for counter in (self._rules, self._addresses, self._left_out):
            counter.clear()


ERRORS_PER_PLACE = 5
"""How many unexpected errors of one place in the code are logged in a minute."""
ERRORS = 30
"""How many are altogether."""
LINES_PER_FORMAT = 60
"""How many lines of one kind are logged in a minute that are not the service's own."""
_OURS = "invitereg"

Place = tuple[str, str]


@implementer(ILogObserver)
class LogGuard:
    """Pass log events on to the publisher's observers, or count them as left out."""

    def __init__(self, publisher: LogPublisher) -> None:
        self._log = Logger("invitereg.logguard.LogGuard")
        self._publisher = publisher
        self._guarded = LogPublisher()
        self._logged: Counter[Place] = Counter()
        self._errors = 0
        self._left_out: Counter[Place] = Counter()
        self._lock = threading.Lock()  # as threads log, too

    def begin(self) -> None:
        """Replace the publisher's observers, and pass events on to them."""
        self._guarded = LogPublisher(*self._publisher._observers)
        self._publisher._observers[:] = [self]

    def end(self) -> None:
        """Give the publisher its observers back."""
        others = [one for one in self._publisher._observers if one is not self]
        self._publisher._observers[:] = [*self._guarded._observers, *others]

    def __call__(self, event: LogEvent) -> None:
        if self._is_let_through(event):
            self._guarded(_without_controls(event) if _is_ours(event) else event)

    def _is_let_through(self, event: LogEvent) -> bool:
        with self._lock:
            limit = self._limit(event)
            if limit is None:
                return True
            place = _place(event)
            few = self._logged[place] < limit
            counter = self._logged if few else self._left_out
            counter[place] += 1
            self._errors += few and _is_error(event)
            return few

    def _limit(self, event: LogEvent) -> int | None:
        """Return how many such lines a minute may have; None for any number."""
        if _is_error(event):
            return ERRORS_PER_PLACE if self._errors < ERRORS else 0
        return None if _is_ours(event) else LINES_PER_FORMAT

    def sum_up(self) -> None:
        """Log how many lines were left out, and start again. Call it every minute."""
        with self._lock:
            left_out = self._left_out
            self._logged, self._left_out, self._errors = Counter(), Counter(), 0
        for (namespace, text), count in left_out.most_common(ERRORS):
            self._log.info(
                "{count} more lines of {namespace} left out within a minute: {text}",
                count=count,
                namespace=namespace,
                text=text,
            )


def _is_error(event: LogEvent) -> bool:
    return event.get("log_level") is LogLevel.critical


def _is_ours(event: LogEvent) -> bool:
    return str(event.get("log_namespace", "")).partition(".")[0] == _OURS


def _place(event: LogEvent) -> Place:
    """Return the key to count an event by: where an error was raised, or a line's text."""
    namespace = str(event.get("log_namespace", ""))
    failure = event.get("log_failure")
    if failure is None:
        return namespace, str(event.get("log_format") or "")[:200]
    frames = failure.frames or failure.stack
    where = f" in {frames[-1][1]}, line {frames[-1][2]}" if frames else ""
    return namespace, f"{failure.type.__name__}{where}"


def _without_controls(event: LogEvent) -> dict[str, Any]:
    """Return the event with unprintable characters escaped, except line ends.

    Twisted indents what follows a line end, so it never looks like a line of its own.
    """
    return {
        name: escaped(value, keep="\n")
        if isinstance(value, str) and not name.startswith("log_")
        else value
        for name, value in event.items()
    }
