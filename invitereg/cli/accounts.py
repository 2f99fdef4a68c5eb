"""``invitereg account …``: the accounts of a domain, wherever they are kept."""

import sys
from collections.abc import Sequence

import click

from invitereg.cli.display import print_table
from invitereg.cli.options import ROLE, domain_option, json_option
from invitereg.cli.output import print_text, print_views
from invitereg.cli.root import Group
from invitereg.cli.workspace import Workspace, pass_workspace
from invitereg.errors import NotFound, UnacceptablePassword
from invitereg.model.accounts import Account
from invitereg.model.invites import Use
from invitereg.views import AccountName, StoredAccount, timestamp

_MOST_BYTES = 2**16


@click.group(cls=Group)
def command() -> None:
    """Make, list and delete accounts; give them roles.

    USER is a username or an address: romeo or romeo@example.com.
    """


@command.command()
@click.argument("user")
@domain_option
@json_option
@pass_workspace
def create(workspace: Workspace, user: str, domain: str | None, as_json: bool) -> None:
    """Make an account; the password is one line of standard input.

    You are the operator: the policy's rules for names and passwords do not apply.
    """
    domain, username = workspace.user(user, domain)
    workspace.run(workspace.registrar.create_account(domain, username, _read_password()))
    account = workspace.run(workspace.store.get_account(domain, username))
    if as_json and account is not None:
        print_views([StoredAccount.of(account)])
    elif not as_json:
        print_text(f"account {username}@{domain} made")


@command.command("list")
@domain_option
@json_option
@pass_workspace
def list_(workspace: Workspace, domain: str | None, as_json: bool) -> None:
    """List all accounts, by name.

    Where another server keeps them, those that invitereg knows: all that were made by it, and
    those that were given a role.
    """
    name = workspace.domain(domain).name
    accounts = workspace.run(workspace.store.list_accounts(name))
    if workspace.is_remote(name):
        text = f"{name} has its accounts at another server: only those known here are listed."
        print_text(text, err=True)
    if as_json:
        print_views(StoredAccount.of(account) for account in accounts)
    else:
        _print(accounts, workspace.run(workspace.store.list_uses(name)))


@command.command()
@click.argument("user")
@domain_option
@json_option
@pass_workspace
def delete(workspace: Workspace, user: str, domain: str | None, as_json: bool) -> None:
    """Delete an account, its open invites and its sessions.

    Nobody can register its name for as long as keep_names says; only "account create" can
    give it away before.
    """
    domain, username = workspace.user(user, domain)
    workspace.run(workspace.registrar.delete_account(domain, username))
    if as_json:
        print_views([AccountName.of(username=username, domain=domain)])
    else:
        print_text(f"account {username}@{domain} deleted")


@command.command()
@click.argument("user")
@click.option("--add", metavar="ROLE", type=ROLE, multiple=True, help="One more role.")
@click.option("--remove", metavar="ROLE", type=ROLE, multiple=True, help="One role less.")
@domain_option
@json_option
@pass_workspace
def role(
    workspace: Workspace,
    user: str,
    add: tuple[str, ...],
    remove: tuple[str, ...],
    domain: str | None,
    as_json: bool,
) -> None:
    """Give roles to an account and take them away; both options can be repeated."""
    if not add and not remove:
        raise click.UsageError("Say what to change: --add ROLE or --remove ROLE.")
    domain, username = workspace.user(user, domain)
    # The store may not know yet of an account at another server.
    if not workspace.run(workspace.accounts[domain].recognise(username)):
        raise NotFound(f"There is no account {username}@{domain}.")
    change = workspace.store.change_roles(domain, username, frozenset(add), frozenset(remove))
    account = workspace.run(change)
    if as_json:
        print_views([StoredAccount.of(account)])
    else:
        _print([account], workspace.run(workspace.store.list_uses(domain)))


def _print(accounts: Sequence[Account], history: Sequence[Use] = ()) -> None:
    """Print a table; the history tells when each has registered, and through whom."""
    latest = {use.username: use for use in history if use.registers}
    rows = [_row(account, latest.get(account.username)) for account in accounts]
    print_table(("address", "roles", "joined", "inviter"), rows)


def _row(account: Account, use: Use | None) -> tuple[str, str, str, str]:
    return (
        f"{account.username}@{account.domain}",
        ", ".join(account.roles) or "-",
        (use and timestamp(use.at)) or "-",
        (use and use.inviter) or "-",
    )


def _read_password() -> str:
    """Read one line of standard input without its end; on a terminal, ask twice, unseen."""
    if sys.stdin.isatty():
        typed: str = click.prompt(
            "Password", hide_input=True, confirmation_prompt=True, err=True
        )
        return typed
    line = sys.stdin.buffer.readline(_MOST_BYTES)
    try:
        return line.removesuffix(b"\n").removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        raise UnacceptablePassword("The password is not UTF-8.") from None
