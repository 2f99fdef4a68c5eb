"""``invitereg key …``: keys for programs that use the HTTP API."""

from datetime import datetime, timedelta

import click

from invitereg.cli.display import print_table, summary
from invitereg.cli.options import DURATION, json_option
from invitereg.cli.output import print_text, print_views
from invitereg.cli.root import Group
from invitereg.cli.undo import undone_if_unseen
from invitereg.cli.workspace import Workspace, pass_workspace
from invitereg.interfaces.apikeys import ApiKey, Scope, issue_key
from invitereg.model.invites import token_digest
from invitereg.views import IssuedKey, RevokedInvite, RevokedKey, StoredKey, timestamp


@click.group(cls=Group)
def command() -> None:
    """Make and revoke keys for programs that use the HTTP API."""


@command.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    metavar="SCOPE",
    type=click.Choice([scope.value for scope in Scope]),
    multiple=True,
    required=True,
    help=f"What it allows; may be repeated: {', '.join(Scope)}.",
)
@click.option(
    "--expires", metavar="TIME", type=DURATION, help="From now, as 12h or 7d; default: never."
)
@click.option("--domain", metavar="DOMAIN", help="The only domain it is for; default: all.")
@json_option
@pass_workspace
def create(
    workspace: Workspace,
    name: str,
    scopes: tuple[str, ...],
    expires: timedelta | None,
    domain: str | None,
    as_json: bool,
) -> None:
    """Make a key and print it: it is shown only now. NAME is for yourself."""
    only = None if domain is None else workspace.domain(domain).name
    key, secret = issue_key(
        name, [Scope(one) for one in scopes], workspace.now(), expires, only
    )
    workspace.run(workspace.store.create_key(key, token_digest(secret)))
    with undone_if_unseen(lambda: _revoke_unseen(workspace, key)):
        if as_json:
            print_views([IssuedKey.of(key, key=secret)])
        else:
            print_text(secret)
            print_text(_summary(key), dim=True)


def _revoke_unseen(workspace: Workspace, key: ApiKey) -> str:
    workspace.run(workspace.store.revoke_key(key.id, workspace.now()))
    return "The key was revoked, as it was not shown."


@command.command("list")
@json_option
@pass_workspace
def list_(workspace: Workspace, as_json: bool) -> None:
    """List all keys, the oldest first."""
    keys, now = workspace.run(workspace.store.list_keys()), workspace.now()
    if as_json:
        print_views(StoredKey.of(key) for key in keys)
        return
    head = ("id", "status", "expires", "domain", "name", "scopes")
    print_table(head, [_row(key, now) for key in keys])


@command.command()
@click.argument("key_id", metavar="ID")
@click.option(
    "--with-invites", is_flag=True, help="End the open invites that it has made, too."
)
@json_option
@pass_workspace
def revoke(workspace: Workspace, key_id: str, with_invites: bool, as_json: bool) -> None:
    """End a key: it opens nothing any more, and neither do the resets that it has made.

    A key that is revoked already can be named again, to end its invites as well.
    """
    revoking = workspace.store.revoke_key(key_id, workspace.now(), with_invites=with_invites)
    key, ended = workspace.run(revoking)
    if as_json:
        made = tuple(RevokedInvite.of(invite) for invite in ended)
        print_views([RevokedKey.of(key, invites_revoked=made)])
    else:
        print_text(f"revoked: {_summary(key)}")
        for invite in ended:
            print_text(f"revoked: {summary(invite)}")


def _summary(key: ApiKey) -> str:
    expires = timestamp(key.expires_at)
    words = [
        f"key {key.id}",
        f"name {key.name}",
        f"for {key.domain or 'all domains'}",
        f"expires {expires}" if expires else "never expires",
        f"scopes {' '.join(key.scopes)}",
    ]
    return ", ".join(words)


def _row(key: ApiKey, now: datetime) -> list[str]:
    status = "valid" if key.valid(now) else "expired"
    return [
        key.id,
        "revoked" if key.revoked_at is not None else status,
        timestamp(key.expires_at) or "never",
        key.domain or "all",
        key.name,
        " ".join(key.scopes),
    ]
