"""``invitereg check``."""

from pathlib import Path

import click

from invitereg.config import load


@click.command()
@click.pass_obj
def command(path: Path) -> None:
    """Check the configuration file.

    Prints nothing if it can be used, otherwise every mistake on a line.
    """
    load(path)
