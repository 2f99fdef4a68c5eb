"""Prints objects as JSON."""

import json
from collections.abc import Iterable

import click

from invitereg.objects import Object


def print_objects(objects: Iterable[Object]) -> None:
    """One object a line."""
    for one in objects:
        click.echo(json.dumps(one))
