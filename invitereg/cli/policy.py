"""``invitereg policy …``: what the policy says, and why."""

import click

from invitereg.cli.desk import Desk, pass_desk
from invitereg.cli.objects import decision_object, print_objects
from invitereg.cli.parameters import ADDRESS, domain_option, json_option
from invitereg.issuer import NewInvite
from invitereg.model import token_digest
from invitereg.policy import Decision
from invitereg.policy.values import Address, Request


@click.group()
def command() -> None:
    """Explain who may register, and who may invite."""


@command.command()
@click.option("--ip", metavar="ADDRESS", type=ADDRESS, help="Where from.")
@click.option("--username", metavar="NAME", help="The name that they want.")
@click.option(
    "--token",
    metavar="TOKEN",
    help="The token of their invite, after preauth= in its link; default: none.",
)
@click.option(
    "--inviter",
    metavar="USER",
    help="Explain instead whether this user may invite somebody to register.",
)
@click.option(
    "--no-registration", is_flag=True, help="With --inviter: to become a contact only."
)
@domain_option
@json_option
@click.pass_context
@pass_desk
def explain(
    desk: Desk,
    ctx: click.Context,
    ip: Address | None,
    username: str | None,
    token: str | None,
    inviter: str | None,
    no_registration: bool,
    domain: str | None,
    as_json: bool,
) -> None:
    """Say whether a request would be allowed, and which rules it passes.

    Changes and counts nothing. The exit status is 1 if it would be refused. Rules about what
    is not described, such as the password, are left out.
    """
    if inviter is None:
        if no_registration:
            raise click.UsageError("--no-registration is about an --inviter.")
        decision, passed = _registering(desk, ip, username, token, domain)
    else:
        if (ip, username, token) != (None, None, None):
            raise click.UsageError("--inviter goes with none of --ip, --username, --token.")
        decision = _inviting(desk, inviter, not no_registration, domain)
        passed = list(decision.passed)
    if as_json:
        print_objects([decision_object(decision, passed)])
    else:
        _print(decision, passed)
    ctx.exit(0 if decision.refusal is None else 1)


def _registering(
    desk: Desk, ip: Address | None, username: str | None, token: str | None, domain: str | None
) -> tuple[Decision, list[str]]:
    """The decision about somebody who registers, and the rules passed that judged anything."""
    request = Request(
        domain=desk.domain(domain).name,
        address=ip,
        has_token=token is not None,
        username=username,
    )
    digest = None if token is None else token_digest(token)
    decision, _ = desk.run(desk.registrar.explain(request, digest))
    return decision, _described(decision, username)


def _inviting(desk: Desk, inviter: str, registration: bool, domain: str | None) -> Decision:
    """The decision about somebody who makes an invite by their account."""
    name = desk.domain(domain).name
    user = desk.user(inviter, name)[1]
    wish = NewInvite(
        domain=name, source="cli", inviter=user, requestor=user, registration=registration
    )
    decision: Decision = desk.run(desk.issuer.explain(wish))
    return decision


def _described(decision: Decision, username: str | None) -> list[str]:
    """The rules passed, but for those that had nothing to judge."""
    empty = ("password-",) if username is not None else ("password-", "username-")
    return [rule for rule in decision.passed if not rule.startswith(empty)]


def _print(decision: Decision, passed: list[str]) -> None:
    if decision.refusal is None:
        click.echo(click.style("allowed", fg="green"))
    else:
        click.echo(click.style(f"refused: {decision.rule}", fg="red"))
        click.echo(decision.refusal.text)
    click.echo("rules passed: " + (", ".join(passed) or "nothing"))
