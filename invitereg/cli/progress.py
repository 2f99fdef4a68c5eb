"""Shows on a terminal how far it is, for what takes long."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

PATIENCE_SECONDS = 1.0
"""How long it may take before a bar shows how far it is."""


class Bar:
    """How far it is, on a terminal, once it has taken a while."""

    def __init__(self, progress: Progress, count: int) -> None:
        self._progress = progress
        self._task = progress.add_task("invites", total=count)
        self._since = monotonic()
        self._shown = False

    def advance(self, made: int) -> None:
        """So many more are made."""
        self._progress.update(self._task, advance=made)
        if not self._shown and monotonic() - self._since >= PATIENCE_SECONDS:
            self._progress.start()
            self._shown = True
        if self._shown:
            self._progress.refresh()


@contextmanager
def bar(count: int, *, shown: bool = True) -> Iterator[Bar]:
    """A bar of ``count`` steps, on standard error if that is a terminal and it is ``shown``."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(
        *columns,
        console=Console(stderr=True),
        auto_refresh=False,
        transient=True,
        disable=not shown or not sys.stderr.isatty(),
    )
    try:
        yield Bar(progress, count)
    finally:
        progress.stop()
