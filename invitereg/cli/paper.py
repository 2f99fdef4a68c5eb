"""``invitereg invite create --page FILE``: makes invites that are handed out on paper."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

import click
from babel import UnknownLocaleError

from invitereg.cli.desk import Desk
from invitereg.cli.files import STANDARD_OUTPUT, new_file
from invitereg.cli.page import PER_SHEET, Words, page
from invitereg.cli.printing import print_objects, say, standard_output
from invitereg.cli.progress import bar
from invitereg.cli.unseen import revoked_if_unseen
from invitereg.cli.wording import counted
from invitereg.config.apps import in_language
from invitereg.issuer import NewInvite
from invitereg.moments import locale_of
from invitereg.objects import issued_object
from invitereg.policy.values import Domain
from invitereg.translations import SOURCE_LANGUAGE, chosen_language, languages

MOST = 1000
"""How many invites a file may hold: they are made in one transaction."""


def create_page(
    desk: Desk, new: NewInvite, count: int, path: Path, as_json: bool, language: str | None
) -> None:
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
    words = _words(desk, domain, language)
    with revoked_if_unseen(desk) as made, _opened(path) as file, bar(count) as progress:
        made += desk.run(desk.issuer.create_many(new, count))
        file.write(page(domain, made, progress.advance, words).encode())
    if path == STANDARD_OUTPUT:
        return
    if as_json:
        print_objects(issued_object(invite, token, domain) for invite, token in made)
    else:
        say(f"{counted(count, 'invites')} on {counted(_sheets(count), 'pages')}: {path}")
        say("Whoever has this file can use them.", dim=True)


def _words(desk: Desk, domain: Domain, language: str | None) -> Words:
    """Return the words for a language, as the operator has them; English unless it is said.

    Raises:
        UsageError: there are no texts in that language.
    """
    tag = SOURCE_LANGUAGE if language is None else language
    if not _is_known(tag):
        known = ", ".join(languages())
        raise click.UsageError(f"There are no texts in {tag!r}, only in {known}.")
    return Words(tag, in_language(desk.headline(domain.name), tag))


def _is_known(tag: str) -> bool:
    """Return whether there are texts in a language, and dates are known in its region."""
    try:
        locale_of(tag)
    except (ValueError, UnknownLocaleError):
        return False
    return tag.lower().partition("-")[0] == chosen_language([tag]).partition("-")[0]


def _opened(path: Path) -> AbstractContextManager[IO[bytes]]:
    return standard_output() if path == STANDARD_OUTPUT else new_file(path)


def _sheets(count: int) -> int:
    return -(-count // PER_SHEET)
