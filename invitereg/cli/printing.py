"""The one place by which commands print: nothing in it can steer a terminal.

Names, notes, files and arguments were written by others: with escape sequences they could
move the cursor, and with marks of the text's direction show another name than there is.
"""

import json
from collections.abc import Iterable
from itertools import islice
from typing import IO, Any

import click

from invitereg.objects import Object

_LINES_AT_ONCE = 1000


def printable(text: str) -> str:
    """Return one line of text without what is not printable: escapes, line ends and others."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def printable_lines(text: str) -> str:
    """Return text as `printable` does, but with its line ends."""
    return "\n".join(map(printable, text.split("\n")))


def say(
    text: str,
    *,
    err: bool = False,
    file: IO[Any] | None = None,
    fg: str | None = None,
    bg: str | None = None,
    dim: bool = False,
) -> None:
    """Print text for people, of one line or several, in a style of ours."""
    clean = printable_lines(text)
    if fg or bg or dim:
        clean = click.style(clean, fg=fg, bg=bg, dim=dim or None)
    click.echo(clean, file=file, err=err)


def print_lines(lines: Iterable[str]) -> None:
    """Print many lines, each `printable` but for styles of ours; one by one takes long."""
    remaining = iter(lines)
    while some := list(islice(remaining, _LINES_AT_ONCE)):
        click.echo("\n".join(some))


def print_objects(objects: Iterable[Object]) -> None:
    """Print one object a line; JSON has its own escapes for what is not ASCII."""
    for one in objects:
        click.echo(json.dumps(one))
