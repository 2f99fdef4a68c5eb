"""``invitereg invite …`` and ``invitereg reset …``."""

from datetime import timedelta
from itertools import starmap
from pathlib import Path
from typing import Any

import click

from invitereg.cli.display import (
    bar,
    print_changed,
    print_counts,
    print_invite,
    print_invites,
    summary,
)
from invitereg.cli.options import (
    ROLE,
    USES,
    domain_option,
    expires_option,
    json_option,
    per_network_option,
    qr_option,
    refuse_qr_in_json,
)
from invitereg.cli.output import is_terminal, print_each, print_lines, print_text, print_views
from invitereg.cli.root import Group
from invitereg.cli.tree import command as tree
from invitereg.cli.undo import print_issued, renewed, revoked_if_unseen
from invitereg.cli.workspace import Workspace, pass_workspace
from invitereg.config import duration_text
from invitereg.interfaces.queries import InviteChanges
from invitereg.model.invites import Invite, Kind, Status
from invitereg.policy.inviting import COMMAND_LINE, OPERATOR, PROSODY
from invitereg.policy.texts import link
from invitereg.policy.values import Limit, Policy
from invitereg.translations import SOURCE_LANGUAGE
from invitereg.usecases.newinvites import DEFAULT_EXPIRY, NewInvite, expiry_moment
from invitereg.views import issued_invite, stored_invite, with_history

ALL = "all"
CHUNK = 1000
"""How many invites are made in one transaction."""


@click.group(cls=Group)
def command() -> None:
    """Make invites, list them, change and revoke them."""


@command.command()
@domain_option
@click.option("--inviter", metavar="USER", help="Who invites; default: you, the operator.")
@click.option("--contact", is_flag=True, help="Inviter and invitee become contacts.")
@click.option("--no-registration", is_flag=True, help="Only contacts, no new account.")
@click.option("--username", metavar="NAME", help="The only name that can be taken with it.")
@expires_option("as configured")
@click.option(
    "--uses", metavar="N", type=USES, default=1, help="How often, or unlimited; default: 1."
)
@per_network_option("as limits.shared_invite says")
@click.option("--role", metavar="ROLE", type=ROLE, multiple=True, help="A role they get.")
@click.option("--group", metavar="GROUP", multiple=True, help="A group they are put into.")
@click.option("--note", metavar="TEXT", default="", help="A note, which --page prints.")
@click.option(
    "--count",
    metavar="N",
    type=click.IntRange(1, 10**9),
    help="Make so many alike; prints their links alone, one a line.",
)
@click.option(
    "--page",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write them to a new HTML file to print, with their QR codes and notes.",
)
@click.option(
    "--language",
    metavar="TAG",
    help="In which language the page is, as de, or de-AT for its dates; default: en.",
)
@qr_option
@json_option
@pass_workspace
def create(
    workspace: Workspace,
    /,
    qr: bool,
    as_json: bool,
    count: int | None,
    page: Path | None,
    language: str | None,
    **options: Any,
) -> None:
    """Make an invite and print its link, which is shown only now."""
    refuse_qr_in_json(qr, as_json)
    if language is not None and page is None:
        raise click.UsageError("--language is for what --page FILE writes.")
    new = _new_invite(workspace, **options)
    if count is None and page is None:
        with revoked_if_unseen(workspace) as made:
            made.append(workspace.run(workspace.issuer.create(new)))
            print_issued(workspace, *made[0], as_json, qr)
    else:
        _refuse_many(new.username, count or 1, page, qr)
        if page is None:
            _create_many(workspace, new, count or 1, as_json)
        else:
            from invitereg.cli.paper import create_page

            tag = SOURCE_LANGUAGE if language is None else language
            create_page(workspace, new, count or 1, page, as_json, tag)
    policy = workspace.domain(new.domain).policy
    if new.registration:
        _warn_if_closed(policy, new.domain)
        _warn_of_one_network(policy.limits.shared_invite, new.uses, new.per_network)


def _create_many(workspace: Workspace, new: NewInvite, count: int, as_json: bool) -> None:
    """Make and print ``count`` invites, an object or a link a line.

    What is printed is stored, and what cannot be printed is revoked.

    Raises as `Issuer.create_many`, and:
        NotPrinted: standard output does not take them.
    """

    def line(invite: Invite, token: str) -> str:
        domain = workspace.domain(invite.domain)
        if as_json:
            return issued_invite(invite, token, domain).to_json()
        return link(domain, invite, token)

    # Not where the invites themselves run over the screen.
    with bar(count, shown=not is_terminal()) as advance:
        for done in range(0, count, CHUNK):
            chunk = min(CHUNK, count - done)
            with revoked_if_unseen(workspace) as made:
                made += workspace.run(workspace.issuer.create_many(new, chunk))
                # At once: to flush each line would take longer than all the rest.
                print_each(starmap(line, made))
            advance(chunk)


def _refuse_many(username: str | None, count: int, page: Path | None, qr: bool) -> None:
    """Refuse options that are for one invite, printed to a terminal.

    Raises:
        UsageError: there are such.
    """
    if username is not None and (page is None or count > 1):
        raise click.UsageError("Only one invite can be for a username: leave out --count.")
    if qr and page is None:
        text = "--qr shows the code of one invite: leave out --count, or write a --page."
        raise click.UsageError(text)
    if qr:
        raise click.UsageError("--page has the codes: leave out --qr.")


def _new_invite(
    workspace: Workspace,
    *,
    domain: str | None,
    inviter: str | None,
    username: str | None,
    no_registration: bool,
    expires: timedelta | None,
    role: tuple[str, ...],
    group: tuple[str, ...],
    **others: Any,
) -> NewInvite:
    name, (inviter, username) = workspace.users(domain, inviter, username)
    return NewInvite(
        domain=name,
        source=COMMAND_LINE,
        inviter=inviter,
        registration=not no_registration,
        username=username,
        expiry=expires,
        roles=tuple(dict.fromkeys(role)),
        groups=tuple(dict.fromkeys(group)),
        **others,
    )


def _warn_if_closed(policy: Policy, domain: str) -> None:
    """Say that a link to register is good for nobody, as long as nobody may register."""
    if not policy.allow_registration:
        print_text(
            f"warning: registration is closed at {domain} (policy.allow_registration is "
            "false): nobody can register with it until you open it.",
            err=True,
        )


def _warn_of_one_network(limit: Limit, uses: int | None, per_network: int | None) -> None:
    """Say that guests of an event may not all get in, as they share a network."""
    is_enough = uses is not None and uses <= limit.max
    if is_enough or per_network is not None:
        return
    most = uses or 10 * limit.max
    print_text(
        f"warning: from one network, as the Wi-Fi of an event, only {limit.max} people can "
        f"register with it within {duration_text(limit.period)}. "
        f"For more, add --per-network {most}.",
        err=True,
    )


@command.command("list")
@click.option(
    "--status",
    type=click.Choice([*(status.value for status in Status), ALL]),
    default=Status.PENDING.value,
    show_default=True,
    help="Which of them.",
)
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1, 10**9),
    default=100,
    show_default=True,
    help="How many at most.",
)
@click.option("--after", metavar="ID", help="Go on after this invite.")
@domain_option
@json_option
@pass_workspace
def list_(
    workspace: Workspace,
    status: str,
    limit: int,
    after: str | None,
    domain: str | None,
    as_json: bool,
) -> None:
    """List invites, the oldest first."""
    now, wanted = workspace.now(), None if status == ALL else Status(status)
    name = workspace.domain(domain).name
    found = workspace.run(workspace.store.list_invites(name, now, wanted, limit + 1, after))
    invites = found[:limit]
    if as_json:
        print_views(stored_invite(invite, now) for invite in invites)
    else:
        used = [invite.id for invite in invites if invite.uses]
        uses = {one: workspace.run(workspace.store.list_uses(name, one)) for one in used}
        print_invites(invites, now, uses)
    if len(found) > limit:
        print_text(
            f"There are more: add --after {invites[-1].id}, or a higher --limit.", err=True
        )


@command.command()
@click.argument("invite_id", metavar="ID")
@domain_option
@json_option
@pass_workspace
def show(workspace: Workspace, invite_id: str, domain: str | None, as_json: bool) -> None:
    """Show an invite and who has used it."""
    name, now = workspace.domain(domain).name, workspace.now()
    invite = workspace.run(workspace.store.get_invite(name, invite_id))
    uses = workspace.run(workspace.store.list_uses(name, invite_id))
    if as_json:
        print_views([with_history(invite, uses, now)])
    else:
        print_invite(invite, uses, now)


@command.command()
@click.argument("invite_id", metavar="ID")
@expires_option("as it is")
@click.option("--uses", metavar="N", type=USES, default=None, help="How often, or unlimited.")
@per_network_option("as it is")
@click.option("--note", metavar="TEXT", help="A note; --page prints it.")
@domain_option
@json_option
@click.pass_context
@pass_workspace
def edit(
    workspace: Workspace,
    ctx: click.Context,
    invite_id: str,
    expires: timedelta | None,
    uses: int | None,
    per_network: int | None,
    note: str | None,
    domain: str | None,
    as_json: bool,
) -> None:
    """Change an invite that is neither revoked nor used up; its link stays the same."""
    values: dict[str, Any] = {}
    if expires is not DEFAULT_EXPIRY:
        values["expires_at"] = expiry_moment(workspace.now(), expires)
    if ctx.get_parameter_source("uses") is not click.core.ParameterSource.DEFAULT:
        values["uses_allowed"] = uses
    if per_network is not None:
        values["per_network_allowed"] = per_network
    if note is not None:
        values["note"] = note
    if not values:
        text = "Say what to change: --expires, --uses, --per-network or --note."
        raise click.UsageError(text)
    changes, served = InviteChanges(values=values), workspace.domain(domain)
    invite = workspace.run(workspace.issuer.edit(served.name, invite_id, changes, OPERATOR))
    print_changed(invite, workspace.now(), as_json)
    if "uses_allowed" in values and invite.kind is not Kind.CONTACT:
        limit = served.policy.limits.shared_invite
        _warn_of_one_network(limit, invite.uses_allowed, invite.per_network_allowed)


@command.command()
@click.argument("invite_id", metavar="ID")
@domain_option
@qr_option
@json_option
@pass_workspace
def renew(
    workspace: Workspace, invite_id: str, domain: str | None, qr: bool, as_json: bool
) -> None:
    """Give a pending invite a new link, and end the old one."""
    refuse_qr_in_json(qr, as_json)
    name = workspace.domain(domain).name
    with renewed(workspace, name, invite_id) as (invite, token):
        print_issued(workspace, invite, token, as_json, qr)
        if invite.kind.registers:
            _warn_if_closed(workspace.domain(name).policy, name)


@command.command()
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
@pass_workspace
def revoke(
    workspace: Workspace,
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
    if invite_id is not None:
        one = workspace.issuer.revoke(workspace.domain(domain).name, invite_id, OPERATOR)
        print_changed(workspace.run(one), workspace.now(), as_json)
        return
    now, store = workspace.now(), workspace.store
    if branch is not None:
        ending = store.revoke_branch(*workspace.user(branch, domain), now)
    else:
        ending = store.revoke_source(*_source(workspace, source or "", domain), now)
    revoked = workspace.run(ending)
    if as_json:
        print_views(stored_invite(invite, now) for invite in revoked)
    else:
        print_lines(f"{invite.status(now)}: {summary(invite)}" for invite in revoked)
        print_counts({"invites revoked": len(revoked)}, as_json)


def _source(workspace: Workspace, text: str, domain: str | None) -> tuple[str, str]:
    """Return the domain, and a source as invites there have it."""
    door, _, maker = text.partition(":")
    if text in (COMMAND_LINE, PROSODY) or (door == "api" and maker):
        return workspace.domain(domain).name, text
    if door in ("adhoc", "web") and maker:
        name, username = workspace.user(maker, domain)
        return name, f"{door}:{username}@{name}"
    raise click.UsageError(
        "A source is cli, prosody, api:KEYID, adhoc:USER@DOMAIN or web:USER@DOMAIN, "
        f"and {text!r} is none."
    )


@click.group(cls=Group)
def reset() -> None:
    """Make links that set a new password."""


@reset.command("create")
@click.argument("user")
@expires_option("as configured")
@domain_option
@qr_option
@json_option
@pass_workspace
def create_reset(
    workspace: Workspace,
    user: str,
    expires: timedelta | None,
    domain: str | None,
    qr: bool,
    as_json: bool,
) -> None:
    """Make a link with which USER, as romeo or romeo@example.com, sets a new password."""
    refuse_qr_in_json(qr, as_json)
    domain, username = workspace.user(user, domain)
    with revoked_if_unseen(workspace) as made:
        creating = workspace.issuer.create_reset(domain, username, OPERATOR, expires)
        made.append(workspace.run(creating))
        print_issued(workspace, *made[0], as_json, qr)


command.add_command(tree, "tree")
