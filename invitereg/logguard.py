"""Bounds what the log is told of unexpected errors, and by the framework.

Twisted and wokkel log by themselves what a handler raises, a traceback each time: whoever finds
one stanza or request that does so could fill the disk. And what is foreign in a line of ours
must not reach a terminal as a command.
"""

from collections import Counter
from threading import Lock
from typing import Any

from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, LogPublisher
from zope.interface import implementer

from invitereg.logs import escaped

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
    """Passes events on to the observers that there were, or counts that it did not."""

    _log = Logger()

    def __init__(self, publisher: LogPublisher) -> None:
        """Do nothing until `begin`."""
        self._publisher = publisher
        self._guarded = LogPublisher()
        self._logged: Counter[Place] = Counter()
        self._errors = 0
        self._left_out: Counter[Place] = Counter()
        self._lock = Lock()  # as threads log, too

    def begin(self) -> None:
        """Stand between the publisher and the observers that it has."""
        self._guarded = LogPublisher(*self._publisher._observers)
        self._publisher._observers[:] = [self]

    def end(self) -> None:
        """Let the publisher speak to them directly again."""
        others = [one for one in self._publisher._observers if one is not self]
        self._publisher._observers[:] = [*self._guarded._observers, *others]

    def __call__(self, event: LogEvent) -> None:
        """See ILogObserver."""
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
        """Tell how many lines were left out, and begin anew; to be called every minute."""
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
    """Return what is counted together: where an error was raised, or a line's text."""
    namespace = str(event.get("log_namespace", ""))
    failure = event.get("log_failure")
    if failure is None:
        return namespace, str(event.get("log_format") or "")[:200]
    frames = failure.frames or failure.stack
    where = f" in {frames[-1][1]}, line {frames[-1][2]}" if frames else ""
    return namespace, f"{failure.type.__name__}{where}"


def _without_controls(event: LogEvent) -> dict[str, Any]:
    """Return an event in whose texts nothing but a line's end is unprintable.

    Twisted indents what follows one, so that it is never taken for a line of its own.
    """
    return {
        name: escaped(value, keep="\n")
        if isinstance(value, str) and not name.startswith("log_")
        else value
        for name, value in event.items()
    }
