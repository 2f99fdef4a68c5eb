"""Makes any number of invites at once, a chunk of them in memory and in a transaction."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import monotonic

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from invitereg.cli.desk import Desk
from invitereg.issuer import NewInvite
from invitereg.model import Invite
from invitereg.objects import issued_object

CHUNK = 1000
PATIENCE_SECONDS = 1.0
"""How long it may take before a bar shows how far it is."""


def create_many(desk: Desk, new: NewInvite, count: int, as_json: bool) -> None:
    """Make and print ``count`` invites, an object or a link a line.

    What is printed is stored; whatever interrupts it, no more than one chunk is stored that
    was not printed.
    """
    with _bar(count) as progress:
        for chunk in _chunks(count):
            made = desk.run(desk.issuer.create_many(new, chunk))
            # At once: to flush each line would take longer than all the rest.
            click.echo("\n".join(_lines(desk, made, as_json)))
            progress.advance(chunk)


def _chunks(count: int) -> Iterator[int]:
    while count > 0:
        yield min(CHUNK, count)
        count -= CHUNK


def _lines(desk: Desk, made: Iterable[tuple[Invite, str]], as_json: bool) -> Iterator[str]:
    for invite, token in made:
        if as_json:
            yield json.dumps(issued_object(invite, token, desk.domain(invite.domain)))
        else:
            yield invite.uri(token)


class _Bar:
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
def _bar(count: int) -> Iterator[_Bar]:
    """Nothing is shown where the invites themselves run over the screen, or in a file."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(
        *columns,
        console=Console(stderr=True),
        auto_refresh=False,
        transient=True,
        disable=not sys.stderr.isatty() or sys.stdout.isatty(),
    )
    try:
        yield _Bar(progress, count)
    finally:
        progress.stop()
