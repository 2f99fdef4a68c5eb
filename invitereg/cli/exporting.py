"""``invitereg export``."""

from collections.abc import Mapping
from pathlib import Path
from typing import IO

import click

from invitereg.cli.desk import Desk, pass_desk
from invitereg.cli.files import STANDARD_OUTPUT, new_file, replacing
from invitereg.cli.parameters import json_option
from invitereg.cli.printing import standard_output
from invitereg.cli.wording import print_counts
from invitereg.store.exporting import export_all


@click.command()
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write it to this new file, readable by you alone, and print how much it is.",
)
@click.option("--force", is_flag=True, help="With --output: replace a file that is there.")
@json_option
@pass_desk
def command(desk: Desk, output: Path | None, force: bool, as_json: bool) -> None:
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
            _export(desk, file)
        return
    with (replacing if force else new_file)(output) as file:
        counts = _export(desk, file)
    print_counts(counts, as_json)


def _export(desk: Desk, file: IO[bytes]) -> Mapping[str, int]:
    return desk.run(desk.store.database.read(lambda c: export_all(c, file.write)))
