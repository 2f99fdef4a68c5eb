"""``invitereg check``."""

import json
from pathlib import Path

import click

from invitereg.cli.failures import Misconfigured
from invitereg.config import json_schema, load
from invitereg.errors import StoreError
from invitereg.store.folder import check_folder


@click.command()
@click.option(
    "--schema", is_flag=True, help="Print the JSON schema of the configuration; needs no file."
)
@click.option("--online", is_flag=True, help="Also try what the servers behind let us do.")
@click.pass_obj
def command(path: Path, schema: bool, online: bool) -> None:
    """Check the configuration file.

    Prints nothing if it can be used, otherwise every mistake on a line. With --online, the
    servers that keep accounts are asked as well: accounts are made there and removed again.
    """
    if schema:
        click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
        return
    data_dir = load(path).data_dir
    try:
        check_folder(data_dir)
    except StoreError as error:
        raise Misconfigured(f"{path}: {error}") from None
    if online:
        from invitereg.cli.online import problems

        found = list(problems(path))
        if found:
            raise Misconfigured("\n".join(found))
