"""``invitereg invite create --page FILE``: makes invites that are handed out on paper."""

from contextlib import suppress
from pathlib import Path

import click

from invitereg.cli.desk import Desk
from invitereg.cli.files import new_file
from invitereg.cli.page import PER_SHEET, Issued, page
from invitereg.cli.printing import print_objects, say
from invitereg.cli.progress import bar
from invitereg.errors import Refused, StoreError
from invitereg.issuer import NewInvite
from invitereg.objects import issued_object
from invitereg.policy.authority import OPERATOR

MOST = 1000
"""How many invites a file may hold: they are made in one transaction."""


def create_page(desk: Desk, new: NewInvite, count: int, path: Path, as_json: bool) -> None:
    """Make ``count`` invites, and a file of them to print: both, or neither.

    Raises:
        UsageError: that is too many for one file.
        FileError: there is such a file, or it cannot be written.
        Refused: see `Issuer.create_many`, or a link is too long for a QR code.
    """
    if count > MOST:
        raise click.UsageError(f"--page holds {MOST:,} invites at most: make several.")
    domain, made = desk.domain(new.domain), list[Issued]()
    try:
        with new_file(path) as file, bar(count) as progress:
            made = desk.run(desk.issuer.create_many(new, count))
            file.write(page(domain, made, progress.advance).encode())
    except BaseException:
        _revoke(desk, made)
        raise
    if as_json:
        print_objects(issued_object(invite, token, domain) for invite, token in made)
    else:
        say(f"{_number(count, 'invite')} on {_number(_sheets(count), 'page')}: {path}")
        say("Whoever has this file can use them.", dim=True)


def _revoke(desk: Desk, made: list[Issued]) -> None:
    """End invites whose links nobody will see."""
    for invite, _token in made:
        with suppress(Refused, StoreError):
            desk.run(desk.issuer.revoke(invite.domain, invite.id, OPERATOR))


def _sheets(count: int) -> int:
    return -(-count // PER_SHEET)


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
