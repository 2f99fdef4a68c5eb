"""``invitereg invite create --page FILE``: makes invites that are handed out on paper."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import IO

import click
import segno
from babel import UnknownLocaleError
from babel.numbers import format_decimal
from jinja2 import PackageLoader
from markupsafe import Markup

from invitereg.cli.display import bar, counted
from invitereg.cli.files import STANDARD_OUTPUT, new_file
from invitereg.cli.output import print_text, print_views, standard_output
from invitereg.cli.undo import revoked_if_unseen
from invitereg.cli.workspace import Workspace
from invitereg.config.apps import in_language
from invitereg.errors import InvalidRequest
from invitereg.model.invites import Invite
from invitereg.policy.texts import link
from invitereg.policy.values import Domain
from invitereg.translations import (
    SOURCE_LANGUAGE,
    chosen_language,
    languages,
    locale_of,
    moment_text,
    template_environment,
)
from invitereg.usecases.newinvites import NewInvite
from invitereg.views import issued_invite

Issued = tuple[Invite, str]
"""An invite and its token."""

PER_SHEET = 8
MOST = 1000
"""How many invites a file may hold: they are made in one transaction."""


def create_page(
    workspace: Workspace,
    new: NewInvite,
    count: int,
    path: Path,
    as_json: bool,
    language: str,
) -> None:
    """Make ``count`` invites, and a file of them to print: both, or neither.

    With - for ``path``, the page is printed, and nothing else.

    Raises:
        UsageError: that is too many for one file, or there are no texts in the language.
        FileError: there is such a file, or it cannot be written.
        Refused: see `Issuer.create_many`, or a link is too long for a QR code.
    """
    if as_json and path == STANDARD_OUTPUT:
        raise click.UsageError("--page - prints the page: leave out --json, or name a file.")
    if count > MOST:
        raise click.UsageError(f"--page holds {MOST:,} invites at most: make several.")
    domain = workspace.domain(new.domain)
    if not _is_known(language):
        known = ", ".join(languages())
        raise click.UsageError(f"There are no texts in {language!r}, only in {known}.")
    headline = in_language(workspace.headline(domain.name), language)
    with revoked_if_unseen(workspace) as made, _opened(path) as file, bar(count) as advance:
        made += workspace.run(workspace.issuer.create_many(new, count))
        file.write(page(domain, made, advance, language, headline).encode())
    if path == STANDARD_OUTPUT:
        return
    if as_json:
        print_views(issued_invite(invite, token, domain) for invite, token in made)
    else:
        print_text(f"{counted(count, 'invites')} on {counted(_sheets(count), 'pages')}: {path}")
        print_text("Whoever has this file can use them.", dim=True)


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


def page(
    domain: Domain,
    made: Sequence[Issued],
    advance: Callable[[int], None],
    language: str = SOURCE_LANGUAGE,
    headline: str = "",
) -> str:
    """Return the HTML document of some invites.

    Args:
        domain: theirs.
        made: the invites with their tokens.
        advance: is told of each that is done.
        language: a tag of a language that there are texts in, as ``de`` or ``de-AT``: dates
            and numbers are written as in that region.
        headline: what the operator has for that language; "" for the name of the site.

    Raises:
        InvalidRequest: a link is too long for a QR code.
    """

    def cards() -> Iterator[tuple[Invite, str, Markup]]:
        for invite, token in made:
            url = link(domain, invite, token)
            yield invite, url, _code(url)
            advance(1)

    environment = template_environment(
        PackageLoader("invitereg.cli"), language, keep_trailing_newline=True
    )
    return environment.get_template("invites.html").render(
        domain=domain,
        language=language,
        headline=headline,
        count=len(made),
        per_sheet=PER_SHEET,
        cards=cards(),
        number=partial(format_decimal, locale=locale_of(language)),
        moment=partial(moment_text, language=language, zone=domain.time_zone),
    )


def _code(link: str) -> Markup:
    """Return a QR code as SVG.

    Raises:
        InvalidRequest: the link is too long for it.
    """
    try:
        code = segno.make_qr(link)
    except segno.DataOverflowError:
        raise InvalidRequest("The link is too long for a QR code.") from None
    drawn = code.svg_inline(border=4, omitsize=True, svgclass=None, lineclass=None)
    return Markup(drawn)  # noqa: S704 - it is numbers only
