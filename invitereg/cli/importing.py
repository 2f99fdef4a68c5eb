"""``invitereg import``."""

from typing import IO

import click

from invitereg.cli.desk import Desk, pass_desk
from invitereg.cli.parameters import json_option
from invitereg.cli.wording import print_counts
from invitereg.errors import InvalidRequest
from invitereg.store.importing import import_all


@click.command()
@click.argument("file", metavar="FILE", type=click.File("rb"))
@json_option
@pass_desk
def command(desk: Desk, file: IO[bytes], as_json: bool) -> None:
    """Add what `invitereg export` has written to FILE; - is standard input.

    What is there already stays as it is, so the same file can be read in again. If anything
    in it differs from what is there, or a line cannot be read, nothing at all is added. A
    store with anything in it keeps its own server key. A large file keeps a service that
    runs beside waiting: stop it before.
    """
    now = desk.now()
    try:
        counts = desk.run(desk.database.write(lambda c: import_all(c, file, now)))
    except InvalidRequest as error:
        raise InvalidRequest(f"{file.name}: {error}") from None
    print_counts(counts, as_json)
