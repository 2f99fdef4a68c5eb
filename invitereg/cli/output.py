"""The one place by which commands print: nothing in it can steer a terminal.

Names, notes, files and arguments were written by others: with escape sequences they could
move the cursor, and with marks of the text's direction show another name than there is.

Standard output may be closed, full, or of an encoding with few characters. What it does not
take is an error of one line, so that whoever made something can undo it.
"""

import codecs
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, BinaryIO

import click

if TYPE_CHECKING:
    from invitereg.views import View


_LINES_AT_ONCE = 1000
_PLAIN = "invitereg.plain"
_PLAIN_FORMS = {
    "│": "|",
    "├": "|",
    "└": "`",
    "─": "-",
    "…": "...",
    "\N{REPLACEMENT CHARACTER}": "?",
}


class NotPrinted(Exception):
    """Standard output does not take what is printed.

    Attributes:
        by_reader: the reader of a pipe has gone, as ``head`` does when it has seen enough.
        lines: how many lines it has taken of `print_each`, whole.
    """

    def __init__(self, text: str, *, by_reader: bool = False, lines: int = 0) -> None:
        super().__init__(text)
        self.by_reader = by_reader
        self.lines = lines

    @classmethod
    def because(cls, error: OSError, lines: int = 0) -> "NotPrinted":
        """Return what says the reason that the system gives."""
        by_reader = isinstance(error, BrokenPipeError)
        why = "its reader has gone" if by_reader else error.strerror
        text = f"Standard output cannot be written: {why}."
        return cls(text, by_reader=by_reader, lines=lines)

    def after(self, done: str) -> "NotPrinted":
        """Return the same with what was done about it, which is to be read in any case."""
        return NotPrinted(f"{self} {done}")


def print_in_any_encoding() -> None:
    """Let this process print characters that its terminal does not have as ASCII."""
    codecs.register_error(_PLAIN, _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=_PLAIN)


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(_PLAIN_FORMS.get(c, ascii(c)[1:-1]) for c in missing), error.end


def is_terminal() -> bool:
    """Whether somebody reads standard output on a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def can_show(text: str) -> bool:
    """Whether standard output has all characters of a text."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def printable(text: str) -> str:
    """Return one line of text without what is not printable: escapes, line ends and others."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def printable_lines(text: str) -> str:
    """Return text as `printable` does, but with its line ends."""
    return "\n".join(map(printable, text.split("\n")))


def print_text(
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
    if err or file is not None:
        with suppress(OSError):  # there is no place left to say so
            click.echo(clean, file=file, err=err)
    else:
        _print(clean)


def print_lines(lines: Iterable[str]) -> None:
    """Print many lines, each `printable` but for styles of ours; one by one takes long."""
    remaining = iter(lines)
    while some := list(islice(remaining, _LINES_AT_ONCE)):
        _print("\n".join(some))


def print_each(lines: Iterable[str]) -> None:
    """Print lines at once, each `printable`, and know how many of them have left.

    Raises:
        NotPrinted: with the number of those that were taken whole; the reader of a pipe may
            have read fewer.
    """
    with standard_output() as file:
        text = "".join(f"{line}\n" for line in lines)
        data = text.encode(sys.stdout.encoding, sys.stdout.errors or "strict")
        raw, done = getattr(file, "raw", file), 0
        try:
            while done < len(data):
                done += raw.write(data[done:])
        except OSError as error:
            _abandon()
            raise NotPrinted.because(error, data.count(b"\n", 0, done)) from None


def print_views(views: Iterable["View"]) -> None:
    """Print one JSON object a line."""
    print_lines(view.to_json() for view in views)


def _print(text: str) -> None:
    with standard_output():
        click.echo(text)


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """Write to standard output; at the end, everything has left this process.

    Raises:
        NotPrinted: it has not.
    """
    if sys.stdout is None:
        raise NotPrinted("Standard output cannot be written: it is closed.")
    try:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.flush()
    except OSError as error:
        _abandon()
        raise NotPrinted.because(error) from None


def _abandon() -> None:
    """Drop what standard output has not taken: at its end, Python would try once more."""
    with suppress(OSError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
