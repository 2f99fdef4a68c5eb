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
from invitereg.cli.printing import print_objects
from invitereg.cli.wording import print_link
from invitereg.objects import issued_object
from invitereg.policy.authority import OPERATOR


@click.group()
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
    invite, token = desk.run(desk.issuer.create_reset(domain, username, OPERATOR, expires))
    if as_json:
        print_objects([issued_object(invite, token, desk.domain(domain))])
    else:
        print_link(invite, token, desk.domain(domain), qr)
