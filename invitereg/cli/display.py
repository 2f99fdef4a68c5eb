"""Prints for people: tables and colours on a terminal, plain lines elsewhere."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby
from time import monotonic
from typing import TYPE_CHECKING

import click

from invitereg.cli.output import (
    can_show,
    is_terminal,
    print_lines,
    print_text,
    print_views,
    printable,
)
from invitereg.model.invites import Invite, Use
from invitereg.policy.texts import app_uri, link, page_url
from invitereg.policy.values import Domain
from invitereg.views import stored_invite, timestamp

if TYPE_CHECKING:
    import segno


_BROKEN = ("note", "username", "inviter", "name", "roles", "scopes", "address", "joined")
_LEAST = 10
"""How wide a column is at least that may be broken."""


def print_counts(counts: Mapping[str, int], as_json: bool) -> None:
    """Print how many there are of each."""
    if as_json:
        print_lines([json.dumps(dict(counts))])
    else:
        print_text(
            ", ".join(counted(count, _SAID.get(what, what)) for what, count in counts.items())
        )


_SAID = {
    "hits": "counts of limits",
    "deleted": "names of deleted accounts",
    "roster_items": "contacts",
    "uses": "uses of invites",
}


def counted(count: int, what: str) -> str:
    """Return a number of things, whose first word is given in the plural."""
    first, space, rest = what.partition(" ")
    return f"{count:,} {first.removesuffix('s') if count == 1 else first}{space}{rest}"


def print_link(invite: Invite, token: str, domain: Domain, qr: bool = False) -> None:
    """Print the URI, the address of its page, and a summary, each on its own line.

    The QR code is of the page, where there is one: every camera can open it.
    """
    for line in filter(None, (app_uri(domain, invite, token), page_url(domain, token))):
        print_text(line)
    if qr:
        print_qr(link(domain, invite, token))
    print_text(summary(invite), dim=True)


def summary(invite: Invite) -> str:
    """Return an invite on one line: id, kind, for whom, how long and how often it is valid."""
    words = [f"invite {invite.id}", f"kind {invite.kind}"]
    if invite.inviter:
        words.append(f"from {invite.inviter}")
    if invite.username:
        words.append(f"for {invite.username}")
    words.append(_expiry(invite))
    words.append(f"uses {_uses(invite)}")
    if invite.per_network_allowed is not None:
        words.append(f"from one network {invite.per_network_allowed}")
    return printable(", ".join(words))


def print_changed(invite: Invite, now: datetime, as_json: bool) -> None:
    """Print an invite as it is after a change."""
    if as_json:
        print_views([stored_invite(invite, now)])
    else:
        print_text(f"{invite.status(now)}: {summary(invite)}")


def print_qr(text: str) -> None:
    """Print a QR code, dark on light whatever the terminal's colours are."""
    import segno

    try:
        code = segno.make_qr(text)
    except segno.DataOverflowError:
        print_text("The link is too long for a QR code.", err=True)
        return
    if can_show("▀▄█"):
        _print_blocks(code)
    else:
        _print_spaces(code)


def _print_blocks(code: "segno.QRCode") -> None:
    """Print two rows a line, by half blocks."""
    import io

    text = io.StringIO()
    code.terminal(text, compact=True)
    for line in text.getvalue().splitlines():
        print_text(line, fg="bright_white", bg="black")


def _print_spaces(code: "segno.QRCode") -> None:
    """Print a row a line, by the background's colour; without colours, dark is ##."""

    def drawn(dark: int, length: int) -> str:
        if dark:
            return click.style("##" * length, fg="black", bg="black")
        return click.style("  " * length, bg="bright_white")

    rows = (groupby(row) for row in code.matrix_iter(border=4))
    print_lines("".join(drawn(dark, len(list(run))) for dark, run in row) for row in rows)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on a terminal; elsewhere a line for each row, with tabs between cells."""
    rows = [[printable(cell) for cell in row] for row in rows]
    print_lines(_aligned(head, rows) if is_terminal() else map("\t".join, rows))


def _aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table; a narrow terminal is not shown columns with nothing in them.

    What people wrote themselves is broken into lines, ids and times are not: where they do not
    fit, the terminal has to break the line.
    """
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    console = Console()
    columns = list(zip(*(head, *rows), strict=True))
    if sum(2 + max(map(cell_len, column)) for column in columns) > console.width:
        columns = [column for column in columns if set(column[1:]) - {"-", ""}]
    fixed = [0 if c[0] in _BROKEN else max(map(cell_len, c)) for c in columns]
    needed = sum(2 + (width or _LEAST) for width in fixed)
    table = Table(
        *(
            Column(c[0], no_wrap=bool(width), overflow="fold", min_width=width or _LEAST)
            for c, width in zip(columns, fixed, strict=True)
        ),
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    for row in zip(*(column[1:] for column in columns), strict=True):
        table.add_row(*map(Text, row))
    console.width = max(console.width, needed)
    with console.capture() as text:
        console.print(table)
    yield from (line.rstrip() for line in text.get().splitlines())


def print_invites(
    invites: Sequence[Invite], now: datetime, uses: Mapping[str, Sequence[Use]]
) -> None:
    """Print a table of stored invites; ``uses`` are those of each that was used, by its id."""
    head = ("id", "status", "kind", "expires", "uses", "inviter", "username", "note", "joined")
    print_table(head, [_row(invite, now, uses.get(invite.id, ())) for invite in invites])


def _row(invite: Invite, now: datetime, uses: Sequence[Use]) -> list[str]:
    return [
        invite.id,
        invite.status(now).value,
        invite.kind.value,
        timestamp(invite.expires_at) or "never",
        _uses(invite),
        invite.inviter or "-",
        invite.username or "-",
        invite.note,
        _joined(uses),
    ]


def _joined(uses: Sequence[Use]) -> str:
    """Say who came last, and when, and how many came before."""
    if not uses:
        return "-"
    others = f" and {len(uses) - 1:,} before" if len(uses) > 1 else ""
    return f"{uses[-1].username} {timestamp(uses[-1].at)}{others}"


def print_invite(invite: Invite, uses: Sequence[Use], now: datetime) -> None:
    """Print all that is known about one invite, a line for each fact."""
    facts = {
        "id": invite.id,
        "status": invite.status(now).value,
        "kind": invite.kind.value,
        "domain": invite.domain,
        "inviter": invite.inviter,
        "username": invite.username,
        "roles": ", ".join(invite.roles),
        "groups": ", ".join(invite.groups),
        "note": invite.note,
        "made": f"{timestamp(invite.created_at)} by {invite.source}",
        "expires": timestamp(invite.expires_at) or "never",
        "revoked": timestamp(invite.revoked_at),
        "uses": _uses(invite),
        "network": invite.per_network_allowed and f"{invite.per_network_allowed} from each",
    }
    for name, value in facts.items():
        if value:
            print_text(f"{name + ':':10}{printable(value)}")
    for use in uses:
        where = f" from {use.address}" if use.address else ""
        print_text(
            printable(f"used:     {timestamp(use.at)} by {use.username} ({use.door}{where})")
        )


def _expiry(invite: Invite) -> str:
    at = timestamp(invite.expires_at)
    return "never expires" if at is None else f"expires {at}"


def _uses(invite: Invite) -> str:
    """Return the uses taken and allowed, as ``0/1``."""
    return f"{invite.uses}/{invite.uses_allowed or 'unlimited'}"


PATIENCE_SECONDS = 1.0
"""How long it may take before a bar shows how far it is."""


@contextmanager
def bar(count: int, *, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """Show a bar of ``count`` steps on standard error, if that is a terminal.

    It appears once the work has taken a while. What is yielded counts steps as done.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(
        *columns,
        console=Console(stderr=True),
        auto_refresh=False,
        transient=True,
        disable=not shown or not sys.stderr.isatty(),
    )
    task, since = progress.add_task("invites", total=count), monotonic()

    def advance(made: int) -> None:
        progress.update(task, advance=made)
        if monotonic() - since >= PATIENCE_SECONDS:
            progress.start()
            progress.refresh()

    try:
        yield advance
    finally:
        progress.stop()
