"""Files with secrets in them: readable by their owner alone, and complete or not there."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

import click

from invitereg.config.messages import why_unreadable

STANDARD_OUTPUT = Path("-")
"""What commands that write a file take for standard output."""


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file beside ``path`` that replaces it when everything is written.

    Raises:
        UsageError: there is something else than a file.
        FileError: it cannot be written.
    """
    try:
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            raise click.UsageError(f"{path} is not a regular file.")
        with NamedTemporaryFile(  # which only its owner may read
            dir=path.resolve().parent, prefix=".invitereg-", delete=False
        ) as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                os.replace(file.name, path.resolve())
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        raise click.FileError(str(path), why_unreadable(error)) from None


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Open as `replacing`, where nothing is yet: an empty file takes the name at once.

    Raises:
        FileError: there is something, or it cannot be written.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise click.FileError(str(path), "it exists already; nothing was done") from None
    except OSError as error:
        raise click.FileError(str(path), why_unreadable(error)) from None
    try:
        with replacing(path) as file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise
