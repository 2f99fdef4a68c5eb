"""``invitereg invite revoke``: one invite, a branch, or all that somebody has made."""

import json
from collections.abc import Sequence

import click

from invitereg.cli.desk import Desk, pass_desk
from invitereg.cli.parameters import domain_option, json_option
from invitereg.cli.printing import print_lines
from invitereg.cli.wording import print_changed, print_counts, summary
from invitereg.model import Invite
from invitereg.objects import invite_object
from invitereg.policy.authority import COMMAND_LINE, OPERATOR, PROSODY


@click.command()
@click.argument("invite_id", metavar="ID", required=False)
@click.option(
    "--branch",
    metavar="USER",
    help="Instead of one: all of this user, and of all who came through them.",
)
@click.option(
    "--source",
    metavar="SOURCE",
    help="Instead of one: all invites and resets that were made by SOURCE, as api:KEYID, "
    "adhoc:USER@DOMAIN or cli.",
)
@domain_option
@json_option
@pass_desk
def revoke(
    desk: Desk,
    invite_id: str | None,
    branch: str | None,
    source: str | None,
    domain: str | None,
    as_json: bool,
) -> None:
    """End an invite: its link opens nothing any more, and its username is free.

    With --branch, all open invites of a branch of the tree end at once, or none of them; the
    resets that these users have made, too. With --source, all that one source has made; "invite
    show" tells the source of an invite.
    """
    if sum(one is not None for one in (invite_id, branch, source)) != 1:
        raise click.UsageError("Say which: an ID, --branch USER or --source SOURCE.")
    if source is not None:
        name, found = _source(desk, source, domain)
        made = desk.run(desk.store.revoke_source(name, found, desk.now()))
        _print_revoked(desk, made, as_json)
    elif branch is not None:
        name, user = desk.user(branch, None if domain is None else desk.domain(domain).name)
        _print_revoked(
            desk, desk.run(desk.store.revoke_branch(name, user, desk.now())), as_json
        )
    else:
        one = desk.issuer.revoke(desk.domain(domain).name, invite_id or "", OPERATOR)
        print_changed(desk.run(one), desk.now(), as_json)


def _source(desk: Desk, text: str, domain: str | None) -> tuple[str, str]:
    """Return the domain, and a source as invites there have it."""
    door, _, maker = text.partition(":")
    if text in (COMMAND_LINE, PROSODY) or (door == "api" and maker):
        return desk.domain(domain).name, text
    if door in ("adhoc", "web") and maker:
        only = None if domain is None else desk.domain(domain).name
        name, username = desk.user(maker, only)
        return name, f"{door}:{username}@{name}"
    raise click.UsageError(
        "A source is cli, prosody, api:KEYID, adhoc:USER@DOMAIN or web:USER@DOMAIN, "
        f"and {text!r} is none."
    )


def _print_revoked(desk: Desk, revoked: Sequence[Invite], as_json: bool) -> None:
    now = desk.now()
    if as_json:
        print_lines(json.dumps(invite_object(invite, now)) for invite in revoked)
    else:
        print_lines(f"{invite.status(now)}: {summary(invite)}" for invite in revoked)
        print_counts({"invites revoked": len(revoked)}, as_json)
