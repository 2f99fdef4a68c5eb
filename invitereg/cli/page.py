"""Invites as one page of HTML to print: cards to cut out, or one poster for a single invite.

Everything is in it; a browser that shows it asks nobody for anything. Eight cards fit on a
sheet, be it A4 or US Letter.
"""

from collections.abc import Callable, Sequence
from html import escape

import segno

from invitereg.errors import InvalidRequest
from invitereg.links import link
from invitereg.model import Invite, Kind
from invitereg.policy.values import Domain

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
h2 { font-size: 13pt; line-height: 1.25; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis }
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
.poster h2 { order: -2; font-size: 34pt; white-space: normal }
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


def page(domain: Domain, made: Sequence[Issued], advance: Callable[[int], None]) -> str:
    """The whole document; ``advance`` is told of each invite that is done.

    Raises:
        InvalidRequest: a link is too long for a QR code.
    """
    name = escape(domain.site_name or domain.name)
    parts = (made[i : i + PER_SHEET] for i in range(0, len(made), PER_SHEET))
    sheets = "".join(_sheet(domain, part, advance) for part in parts)
    kind = "poster" if len(made) == 1 else "cards"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="robots" content="noindex">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>Invitations to {name}</title>\n<style>{_STYLE}</style>\n"
        f'<body class="{kind}">\n'
        f'<h1 class="hint">Invitations to {name}</h1>\n'
        '<p class="hint">Print this page on A4 or Letter paper, at 100&nbsp;%. Then delete the '
        "file: whoever has it can use the invitations.</p>\n"
        f"{sheets}</body>\n</html>\n"
    )


def _sheet(domain: Domain, made: Sequence[Issued], advance: Callable[[int], None]) -> str:
    cards = []
    for invite, token in made:
        cards.append(_card(domain, invite, token))
        advance(1)
    return f'<section class="sheet">\n{"".join(cards)}</section>\n'


def _card(domain: Domain, invite: Invite, token: str) -> str:
    url = link(domain, invite, token)
    lines = [
        f'<p class="invitation">{escape(_invitation(domain, invite))}</p>',
        f'<p class="small">{_what_to_do(domain)}</p>',
        f'<p class="small">{escape(_terms(invite))}</p>',
    ]
    if invite.note:
        lines.append(f'<p class="small note" dir="auto">{escape(invite.note)}</p>')
    text, name = "\n".join(lines), escape(domain.site_name or domain.name)
    return (
        f'<article class="card">\n<h2 dir="auto">{name}</h2>\n'
        f'{_code(url)}\n<div class="text">\n{text}\n</div>\n'
        f'<p class="link">{escape(url)}</p>\n</article>\n'
    )


def _code(link: str) -> str:
    try:
        code = segno.make_qr(link)
    except segno.DataOverflowError:
        raise InvalidRequest("The link is too long for a QR code.") from None
    return code.svg_inline(border=4, omitsize=True, svgclass=None, lineclass=None)


def _invitation(domain: Domain, invite: Invite) -> str:
    """Who invites to what."""
    if invite.kind is Kind.CONTACT:
        return f"{invite.inviter}@{domain.name} would like to be your contact."
    account = "an account"
    if invite.username:
        account = f"the account {invite.username}@{domain.name}"
    elif domain.site_name:
        account = f"an account at {domain.name}"
    inviter = f"{invite.inviter} invites you" if invite.inviter else "You are invited"
    return f"{inviter} to {account}."


def _what_to_do(domain: Domain) -> str:
    if domain.landing_url:
        return "Scan the code, or open the link."
    return "Get an XMPP app, such as Conversations or Monal, and scan the code."


def _terms(invite: Invite) -> str:
    """For how many, and for how long."""
    uses = invite.uses_allowed
    people = {1: "For one person", None: "For any number of people"}.get(uses)
    people = people or f"For up to {uses:,} people"
    if invite.expires_at is None:
        return f"{people}."
    end = invite.expires_at
    return f"{people}, until {end.day} {end:%B %Y, %H:%M} UTC."
