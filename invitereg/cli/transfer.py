"""``invitereg export`` and ``invitereg import``."""

from collections.abc import Mapping
from pathlib import Path
from typing import IO

import click
from sqlalchemy.engine import Connection

from invitereg.cli.display import print_counts
from invitereg.cli.files import STANDARD_OUTPUT, new_file, replacing
from invitereg.cli.options import domain_option, json_option
from invitereg.cli.output import print_text, printable, standard_output
from invitereg.cli.root import Group
from invitereg.cli.workspace import Workspace, pass_workspace
from invitereg.errors import InvalidRequest
from invitereg.transfer.exporting import export_all
from invitereg.transfer.importing import import_all
from invitereg.transfer.prosody import ImportCounts, adopt
from invitereg.transfer.prosodyfiles import find_invites


@click.command()
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write it to this new file, readable by you alone, and print how much it is.",
)
@click.option("--force", is_flag=True, help="With --output: replace a file that is there.")
@json_option
@pass_workspace
def export(workspace: Workspace, output: Path | None, force: bool, as_json: bool) -> None:
    """Print everything that is stored, as lines of JSON for `invitereg import`.

    That is invites, accounts, rosters, the names of deleted accounts and the history, of all
    domains, as of one moment; the service may run meanwhile.

    KEEP IT SECRET: it holds the keys that passwords are checked with, the digests of the
    invites' tokens, who is in contact with whom, and the server's own key.
    """
    if output is None or output == STANDARD_OUTPUT:
        if as_json:
            raise click.UsageError("--json is for the counts, which only --output prints.")
        if force:
            raise click.UsageError("--force is about a file: name it by --output.")
        with standard_output() as file:
            _export(workspace, file)
        return
    with (replacing if force else new_file)(output) as file:
        counts = _export(workspace, file)
    print_counts(counts, as_json)


def _export(workspace: Workspace, file: IO[bytes]) -> Mapping[str, int]:
    return workspace.run(workspace.store.database.read(lambda c: export_all(c, file.write)))


class Forms(Group):
    """A command that takes a file, unless its first word is one of its other forms."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in self.commands:
            return super().resolve_command(ctx, args)
        return ctx.info_name, from_file, args


@click.group(
    cls=Forms,
    context_settings={"ignore_unknown_options": True},
    subcommand_metavar="FILE [--any-domain] [--json] | prosody DIR [OPTIONS]",
)
def import_() -> None:
    """Add what `invitereg export` has written to FILE; - is standard input.

    What is there already stays as it is, so the same file can be read in again. A contact,
    or an invite, that was removed since comes back by that; a notice that was told does not.
    If anything in it differs from what is there, or a line cannot be read, nothing at all is
    added. So it is if something is for a domain that the configuration does not name, unless
    --any-domain says to add that as well. A store with anything in it keeps its own server
    key. A large file keeps a service that runs beside waiting: stop it before.

    Or take over what Prosody has stored, see `invitereg import prosody --help`. (A file of
    that name is ./prosody.)
    """


class FileForm(click.Command):
    """The form that has no name of its own; its usage is that of the command."""

    def get_usage(self, ctx: click.Context) -> str:
        return ctx.parent.get_usage() if ctx.parent else super().get_usage(ctx)


@click.command(cls=FileForm, add_help_option=False)
@click.argument("file", metavar="FILE", type=click.File("rb"))
@click.option("--any-domain", is_flag=True)
@json_option
@pass_workspace
def from_file(workspace: Workspace, file: IO[bytes], any_domain: bool, as_json: bool) -> None:
    """Add what was exported."""
    now = workspace.now()
    domains = None if any_domain else {domain.name for domain in workspace.domains()}
    try:
        counts = workspace.run(
            workspace.store.database.write(lambda c: import_all(c, file, now, domains))
        )
    except InvalidRequest as error:
        raise InvalidRequest(f"{file.name}: {error}") from None
    print_counts(counts, as_json)


@import_.command("prosody")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, readable=False))
@domain_option
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@json_option
@pass_workspace
def from_prosody(
    workspace: Workspace, folder: Path, domain: str | None, dry_run: bool, as_json: bool
) -> None:
    """Take over the pending invites of Prosody's mod_invites.

    DIR is Prosody's data_path, with the files of its internal storage, the database
    prosody.sqlite, or both; nothing in it is changed. Links that were sent keep working: the
    tokens, kinds, usernames, roles, groups and times stay as they are.

    Invites that are over are left out, and so is what is here already, so it can be done
    again; also those whose username is not free here, and resets of accounts that are not
    here, each named. If anything cannot be read, nothing at all is added.
    """
    now = workspace.now()
    found = find_invites(folder, workspace.domain(domain).name, now)

    def work(connection: Connection) -> ImportCounts:
        connection.exec_driver_sql("SAVEPOINT before")
        adopted = adopt(connection, found, now)
        if dry_run:
            connection.exec_driver_sql("ROLLBACK TO before")
        return adopted

    adopted = workspace.run(workspace.store.database.write(work))
    for reason in adopted.reasons:
        print_text(f"{'would skip' if dry_run else 'skipped'}: {printable(reason)}", err=True)
    if dry_run and not as_json:
        print_text("Nothing was changed. There would be:")
    print_counts(adopted.counts, as_json)
