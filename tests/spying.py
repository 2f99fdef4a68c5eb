"""Sees what is asked of a store, and what the log is told."""

from typing import Any

from twisted.logger import LogLevel, formatEvent, globalLogPublisher


def note_calls(case: Any, store: Any, *names: str) -> list[str]:
    """What is asked of ``store`` from now on in a test, by the names of these methods."""
    calls: list[str] = []
    for name in names:
        asked = getattr(type(store), name)

        def noted(*args: Any, name: str = name, asked: Any = asked) -> Any:
            calls.append(name)
            return asked(store, *args)

        case.patch(store, name, noted)
    return calls


def logged(case: Any, least: LogLevel = LogLevel.debug) -> list[str]:
    """What the log is told from now on in a test, if it is as grave as ``least``."""
    lines: list[str] = []

    def keep(event: Any) -> None:
        if event["log_level"] >= least:
            lines.append(formatEvent(event))

    globalLogPublisher.addObserver(keep)
    case.addCleanup(globalLogPublisher.removeObserver, keep)
    return lines
