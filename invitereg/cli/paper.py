"""``invitereg invite create --page FILE``: makes invites that are handed out on paper."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

import click

from invitereg.cli.desk import Desk
from invitereg.cli.files import STANDARD_OUTPUT, new_file
from invitereg.cli.page import PER_SHEET, page
from invitereg.cli.printing import print_objects, say, standard_output
from invitereg.cli.progress import bar
from invitereg.cli.unseen import revoked_if_unseen
from invitereg.cli.wording import counted
from invitereg.issuer import NewInvite
from invitereg.objects import issued_object

MOST = 1000
"""How many invites a file may hold: they are made in one transaction."""


def create_page(desk: Desk, new: NewInvite, count: int, path: Path, as_json: bool) -> None:
    """Make ``count`` invites, and a file of them to print: both, or neither.

    With - for ``path``, the page is printed, and nothing else.

    Raises:
        UsageError: that is too many for one file.
        FileError: there is such a file, or it cannot be written.
        Refused: see `Issuer.create_many`, or a link is too long for a QR code.
    """
    if as_json and path == STANDARD_OUTPUT:
        raise click.UsageError("--page - prints the page: leave out --json, or name a file.")
    if count > MOST:
        raise click.UsageError(f"--page holds {MOST:,} invites at most: make several.")
    domain = desk.domain(new.domain)
    with revoked_if_unseen(desk) as made, _opened(path) as file, bar(count) as progress:
        made += desk.run(desk.issuer.create_many(new, count))
        file.write(page(domain, made, progress.advance).encode())
    if path == STANDARD_OUTPUT:
        return
    if as_json:
        print_objects(issued_object(invite, token, domain) for invite, token in made)
    else:
        say(f"{counted(count, 'invites')} on {counted(_sheets(count), 'pages')}: {path}")
        say("Whoever has this file can use them.", dim=True)


def _opened(path: Path) -> AbstractContextManager[IO[bytes]]:
    return standard_output() if path == STANDARD_OUTPUT else new_file(path)


def _sheets(count: int) -> int:
    return -(-count // PER_SHEET)
