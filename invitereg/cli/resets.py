"""``invitereg reset …``: links that set a new password."""

from datetime import timedelta

import click

from invitereg.cli.desk import Desk, pass_desk
from invitereg.cli.parameters import (
    domain_option,
    expires_option,
    json_option,
    qr_option,
    refuse_qr_in_json,
)
from invitereg.cli.suggesting import Group
from invitereg.cli.unseen import print_issued, revoked_if_unseen
from invitereg.policy.authority import OPERATOR


@click.group(cls=Group)
def command() -> None:
    """Make links that set a new password."""


@command.command()
@click.argument("user")
@expires_option("as configured")
@domain_option
@qr_option
@json_option
@pass_desk
def create(
    desk: Desk,
    user: str,
    expires: timedelta | None,
    domain: str | None,
    qr: bool,
    as_json: bool,
) -> None:
    """Make a link with which USER, as romeo or romeo@example.com, sets a new password."""
    refuse_qr_in_json(qr, as_json)
    domain, username = desk.user(user, domain)
    with revoked_if_unseen(desk) as made:
        made.append(desk.run(desk.issuer.create_reset(domain, username, OPERATOR, expires)))
        print_issued(desk, *made[0], as_json, qr)
