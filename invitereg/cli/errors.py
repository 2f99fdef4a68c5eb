"""The command line's error map: from domain error to exit status."""

from contextlib import suppress
from typing import IO, Any

import click

from invitereg.cli.output import NotPrinted, print_text, printable, printable_lines
from invitereg.config import ConfigError
from invitereg.errors import NotFound, Refused, StoreError, UsernameReserved
from invitereg.model.invites import is_like_token, token_in


class Failed(click.ClickException):
    """A command that was refused, or whose object was not found: its text, and exit 1."""

    exit_code = 1

    def show(self, file: IO[Any] | None = None) -> None:
        print_text(printable(self.message), file=file, err=True)


class Quiet(Failed):
    """An end that nobody needs to be told of: exit 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print nothing."""


class Misconfigured(Failed):
    """A configuration that cannot be used: every mistake on a line, and exit 2.

    Wrong usage, which click finds itself, is 2 as well.
    """

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the mistakes alone: each line begins with its place, for editors to jump."""
        print_text(self.message, file=file, err=True)


class Misused(click.UsageError):
    """Wrong usage: exit 2, whether it can be told or not."""

    def show(self, file: IO[Any] | None = None) -> None:
        with suppress(OSError):
            super().show(file)


def cleaned(error: click.ClickException) -> click.ClickException:
    """Return what click found wrong, with what it repeats of arguments made printable."""
    if isinstance(error, Failed | click.exceptions.NoArgsIsHelpError):
        return error
    text = printable_lines(error.format_message().expandtabs(4))  # as it has of its own
    if isinstance(error, click.UsageError):
        return Misused(text, error.ctx)
    return click.ClickException(text)


def failure_of(error: Exception) -> Failed:
    """Return the exit for a domain error; anything else is a bug, and raised as it is."""
    if isinstance(error, UsernameReserved) and error.reserved_for:
        by = f"the open invite {error.reserved_for}"
        return Failed(f"That username is reserved by {by}: revoke it to free the name.")
    if isinstance(error, NotFound) and is_like_token(token_in(error.invite_id or "")):
        return Failed(
            "There is no invite of that id. It looks like a token: "
            "invitereg policy explain --token TOKEN names the id of its invite."
        )
    if isinstance(error, ConfigError):
        return Misconfigured(error.told_by("invitereg"))
    if isinstance(error, OSError) and error.filename is None:
        error = NotPrinted.because(error)  # of click's own, such as a help text
    if isinstance(error, NotPrinted) and error.by_reader:
        return Quiet(str(error))
    if isinstance(error, StoreError | NotPrinted | Refused):
        return Failed(str(error))
    raise error
