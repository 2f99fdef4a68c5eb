"""``invitereg policy …``: what the policy says, and why."""

import click

from invitereg.cli.desk import Desk, pass_desk
from invitereg.cli.parameters import ADDRESS, domain_option, json_option
from invitereg.cli.printing import print_objects
from invitereg.model import token_digest
from invitereg.objects import decision_object
from invitereg.policy import Decision
from invitereg.policy.values import Address, Request


@click.group()
def command() -> None:
    """Explain who may register."""


@command.command()
@click.option("--ip", metavar="ADDRESS", type=ADDRESS, help="Where from.")
@click.option("--username", metavar="NAME", help="The name that they want.")
@click.option(
    "--token",
    metavar="TOKEN",
    help="The token of their invite, after preauth= in its link; default: none.",
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
    domain: str | None,
    as_json: bool,
) -> None:
    """Say whether a request would be allowed, and which rules it passes.

    Changes and counts nothing. The exit status is 1 if it would be refused. Rules about what
    is not described, such as the password, are left out.
    """
    request = Request(
        domain=desk.domain(domain).name,
        address=ip,
        has_token=token is not None,
        username=username,
    )
    digest = None if token is None else token_digest(token)
    decision, _ = desk.run(desk.registrar.explain(request, digest))
    passed = _described(decision, username)
    if as_json:
        print_objects([decision_object(decision, passed)])
    else:
        _print(decision, passed)
    ctx.exit(0 if decision.refusal is None else 1)


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
