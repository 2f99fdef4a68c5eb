"""``invitereg invite create --page FILE``: makes invites that are handed out on paper."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import IO

import click
import segno
from babel import UnknownLocaleError
from babel.numbers import format_decimal

from invitereg.cli.display import bar, counted
from invitereg.cli.files import STANDARD_OUTPUT, new_file
from invitereg.cli.output import print_views, say, standard_output
from invitereg.cli.undo import revoked_if_unseen
from invitereg.cli.workspace import Workspace
from invitereg.config.apps import in_language
from invitereg.errors import InvalidRequest
from invitereg.model.invites import Invite, Kind
from invitereg.policy.texts import link
from invitereg.policy.values import Domain
from invitereg.translations import (
    SOURCE_LANGUAGE,
    chosen_language,
    languages,
    locale_of,
    moment_text,
    translator,
)
from invitereg.usecases.newinvites import NewInvite
from invitereg.views import issued_invite

MOST = 1000
"""How many invites a file may hold: they are made in one transaction."""


@dataclass(frozen=True, slots=True)
class Words:
    """In which language the cards are, and what they are headed by.

    Attributes:
        language: a tag of a language that there are texts in, as ``de`` or ``de-AT``: dates
            and numbers are written as in that region.
        headline: what the operator has for that language; "" for the name of the site.
    """

    language: str = SOURCE_LANGUAGE
    headline: str = ""

    @property
    def translate(self) -> Callable[[str], str]:
        """Return what translates an English text into the language."""
        return translator([self.language])


def create_page(
    workspace: Workspace,
    new: NewInvite,
    count: int,
    path: Path,
    as_json: bool,
    language: str | None,
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
    domain = workspace.domain(new.domain)
    words = _words(workspace, domain, language)
    with revoked_if_unseen(workspace) as made, _opened(path) as file, bar(count) as progress:
        made += workspace.run(workspace.issuer.create_many(new, count))
        file.write(page(domain, made, progress.advance, words).encode())
    if path == STANDARD_OUTPUT:
        return
    if as_json:
        print_views(issued_invite(invite, token, domain) for invite, token in made)
    else:
        say(f"{counted(count, 'invites')} on {counted(_sheets(count), 'pages')}: {path}")
        say("Whoever has this file can use them.", dim=True)


def _words(workspace: Workspace, domain: Domain, language: str | None) -> Words:
    """Return the words for a language, as the operator has them; English unless it is said.

    Raises:
        UsageError: there are no texts in that language.
    """
    tag = SOURCE_LANGUAGE if language is None else language
    if not _is_known(tag):
        known = ", ".join(languages())
        raise click.UsageError(f"There are no texts in {tag!r}, only in {known}.")
    return Words(tag, in_language(workspace.headline(domain.name), tag))


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


Issued = tuple[Invite, str]
"""An invite and its token."""

PER_SHEET = 8
_STYLE = """
@page { margin: 12mm }
* { box-sizing: border-box }
body { margin: 0; color: #000; background: #fff; font: 8.5pt/1.35 system-ui, sans-serif }
.sheet { width: 184mm; margin: 0 auto; display: flex; flex-wrap: wrap; break-after: page }
.sheet:last-of-type { break-after: auto }
.card { width: 92mm; height: 62mm; padding: 3mm 4.5mm; overflow: hidden; break-inside: avoid;
  display: grid; grid-template: auto minmax(0, 1fr) auto / 38mm minmax(0, 1fr); column-gap: 2mm;
  border: 0.25mm dashed #999; margin: 0 -0.25mm -0.25mm 0 }
h2, .link { grid-column: 1 / -1; margin: 0; overflow-wrap: anywhere }
h2 { font-size: 13pt; line-height: 1.2; display: -webkit-box; overflow: hidden;
  -webkit-box-orient: vertical; -webkit-line-clamp: 2 }
svg { width: 100%; max-height: 100%; align-self: center; shape-rendering: crispEdges }
.text { align-self: center; max-height: 100%; overflow: hidden; overflow-wrap: anywhere }
.text p { margin: 0 0 1.6mm }
.text :last-child { margin: 0 }
.link { font: 6.5pt/1.3 ui-monospace, monospace; text-align: center }
.small { font-size: 7.5pt; line-height: 1.3; color: #444 }
.note { display: -webkit-box; overflow: hidden;
  -webkit-box-orient: vertical; -webkit-line-clamp: 3 }
.poster .card { width: 100%; height: 240mm; display: flex; flex-direction: column;
  align-items: center; justify-content: center; text-align: center; border: 0; font-size: 15pt }
.poster svg { width: 120mm; flex: none }
.poster .text { display: contents }
.poster .card p, .poster h2 { max-width: 160mm; margin: 0 0 4mm; overflow-wrap: anywhere }
.poster h2 { order: -2; font-size: 34pt; display: block }
.poster .invitation { order: -1 }
.poster .link { font-size: 11pt }
.poster .small { font-size: 12pt }
@media screen {
  body { background: #ddd; padding: 8mm }
  .sheet { background: #fff; margin-bottom: 8mm; outline: 12mm solid #fff; margin: 20mm auto }
  .hint { max-width: 184mm; margin: 0 auto }
}
@media print { .hint { display: none } }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(
    domain: Domain, made: Sequence[Issued], advance: Callable[[int], None], words: Words
) -> str:
    """Return the HTML document of some invites; ``advance`` is told of each that is done.

    Raises:
        InvalidRequest: a link is too long for a QR code.
    """
    _ = words.translate
    title = _("Invitations to %(site)s") % {"site": _site(domain)}
    hint = _(
        "Print this page on A4 or Letter paper, at its full size. Then delete the file: "
        "whoever has it can use the invitations."
    )
    parts = (made[i : i + PER_SHEET] for i in range(0, len(made), PER_SHEET))
    sheets = "".join(_sheet(domain, part, advance, words) for part in parts)
    kind = "poster" if len(made) == 1 else "cards"
    return (
        f'<!DOCTYPE html>\n<html lang="{escape(words.language)}">\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="robots" content="noindex">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n"
        f'<body class="{kind}">\n<h1 class="hint">{escape(title)}</h1>\n'
        f'<p class="hint">{escape(hint)}</p>\n'
        f"{sheets}</body>\n</html>\n"
    )


def _site(domain: Domain) -> str:
    return domain.site_name or domain.name


def _sheet(
    domain: Domain, made: Sequence[Issued], advance: Callable[[int], None], words: Words
) -> str:
    cards = []
    for invite, token in made:
        cards.append(_card(domain, invite, token, words))
        advance(1)
    return f'<section class="sheet">\n{"".join(cards)}</section>\n'


def _card(domain: Domain, invite: Invite, token: str, words: Words) -> str:
    url = link(domain, invite, token)
    lines = [
        f'<p class="invitation">{escape(_invitation(domain, invite, words))}</p>',
        f'<p class="small">{escape(_what_to_do(domain, words))}</p>',
        f'<p class="small">{escape(_terms(domain, invite, words))}</p>',
    ]
    if invite.note:
        lines.append(f'<p class="small note" dir="auto">{escape(invite.note)}</p>')
    text, head = "\n".join(lines), escape(words.headline or _site(domain))
    return (
        f'<article class="card">\n<h2 dir="auto">{head}</h2>\n'
        f'{_code(url)}\n<div class="text">\n{text}\n</div>\n'
        f'<p class="link">{escape(url)}</p>\n</article>\n'
    )


def _code(link: str) -> str:
    try:
        code = segno.make_qr(link)
    except segno.DataOverflowError:
        raise InvalidRequest("The link is too long for a QR code.") from None
    return code.svg_inline(border=4, omitsize=True, svgclass=None, lineclass=None)


def _invitation(domain: Domain, invite: Invite, words: Words) -> str:
    """Return who invites to what."""
    _ = words.translate
    names = {
        "inviter": invite.inviter,
        "site": _site(domain),
        "address": f"{invite.inviter}@{domain.name}",
        "account": f"{invite.username}@{domain.name}",
    }
    if invite.kind is Kind.CONTACT:
        return _("%(address)s would like to be your contact.") % names
    if invite.username and invite.inviter:
        return _("%(inviter)s invites you to the account %(account)s.") % names
    if invite.username:
        return _("You are invited to the account %(account)s.") % names
    if invite.inviter:
        return _("%(inviter)s invites you to an account at %(site)s.") % names
    return _("You are invited to an account at %(site)s.") % names


def _what_to_do(domain: Domain, words: Words) -> str:
    _ = words.translate
    if domain.landing_url:
        return _("Scan the code, or open the link.")
    return _("Get an app, such as Conversations or Monal, and scan the code.")


def _terms(domain: Domain, invite: Invite, words: Words) -> str:
    """Return for how many it is, and for how long."""
    _ = words.translate
    if invite.uses_allowed is None:
        people = _("For any number of people.")
    elif invite.uses_allowed == 1:
        people = _("For one person.")
    else:
        number = format_decimal(invite.uses_allowed, locale=locale_of(words.language))
        people = _("For up to %(number)s people.") % {"number": number}
    if invite.expires_at is None:
        return people
    until = moment_text(invite.expires_at, words.language, domain.time_zone)
    valid = _("Valid until %(moment)s.") % {"moment": until}
    return f"{people} {valid}"
