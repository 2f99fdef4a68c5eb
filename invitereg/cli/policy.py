"""``invitereg policy …``: what the policy says, and why."""

from datetime import timedelta

import click

from invitereg.cli.options import ADDRESS, domain_option, json_option
from invitereg.cli.output import print_text, print_views
from invitereg.cli.root import Group
from invitereg.cli.workspace import Workspace, pass_workspace
from invitereg.config import duration_text
from invitereg.model.invites import Invite, token_digest, token_in
from invitereg.policy.decision import Decision
from invitereg.policy.inviting import is_admin
from invitereg.policy.values import Address, Request
from invitereg.usecases.newinvites import NewInvite
from invitereg.views import (
    Explanation,
    PeriodUsage,
    Usage,
    explanation,
    inviter_explanation,
    token_explanation,
)


@click.group(cls=Group)
def command() -> None:
    """Explain who may register, and who may invite."""


@command.command()
@click.option("--ip", metavar="ADDRESS", type=ADDRESS, help="Where from.")
@click.option("--username", metavar="NAME", help="The name that they want.")
@click.option(
    "--token",
    metavar="TOKEN",
    help="Their invite: its token, or the whole link; default: none.",
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
@pass_workspace
def explain(
    workspace: Workspace,
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
        decision, passed, invite = _registering(workspace, ip, username, token, domain)
        view = (
            explanation(decision, passed)
            if token is None
            else token_explanation(decision, passed, invite)
        )
    else:
        if (ip, username, token) != (None, None, None):
            raise click.UsageError("--inviter goes with none of --ip, --username, --token.")
        view = _inviting(workspace, inviter, not no_registration, domain)
    if as_json:
        print_views([view])
    else:
        _print(view)
        for name in type(view).model_fields:
            if name not in Explanation.model_fields:
                print_text(f"{name.replace('_', ' ')}: {_formatted(getattr(view, name))}")
    ctx.exit(0 if view.allowed else 1)


def _registering(
    workspace: Workspace,
    ip: Address | None,
    username: str | None,
    token: str | None,
    domain: str | None,
) -> tuple[Decision, tuple[str, ...], Invite | None]:
    """Return the decision about a registration, the rules that judged it, and the invite."""
    if username is None:
        name = workspace.domain(domain).name
    else:
        # Whether it is a username at all is for the rules to say.
        name, username = workspace.typed_user(username, domain)
    has_token = token is not None
    request = Request(domain=name, address=ip, has_token=has_token, username=username)
    digest = None if token is None else token_digest(token_in(token))
    decision, findings = workspace.run(workspace.registrar.explain(request, digest))
    return decision, _described(decision, request), findings.invite


def _inviting(
    workspace: Workspace, inviter: str, registration: bool, domain: str | None
) -> Explanation:
    """Return the decision about an invite by an account, and how much of its limits is used."""
    name, user = workspace.user(inviter, domain)
    wish = NewInvite(
        domain=name, source="cli", inviter=user, requestor=user, registration=registration
    )
    decision: Decision = workspace.run(workspace.issuer.explain(wish))
    policy = workspace.domain(name).policy
    known = workspace.run(workspace.issuer.look_up_inviter(name, user))
    if is_admin(policy, user) or not known.exists:
        return explanation(decision, decision.passed)
    return inviter_explanation(decision, policy, known)


def _formatted(of: Usage | str | None) -> str:
    """Return a number with its limit, or another value, as text."""
    if not isinstance(of, Usage):
        return of or "unknown"
    most = "any number" if of.most is None else of.most
    seconds = of.seconds if isinstance(of, PeriodUsage) else 0
    within = f" within {duration_text(timedelta(seconds=seconds))}" if seconds else ""
    return f"{of.count} of {most}{within}"


def _described(decision: Decision, request: Request) -> tuple[str, ...]:
    """Return the rules passed, but for those that had nothing to judge."""
    given = {"invite-": request.has_token, "username-": request.username is not None}
    empty = ("password-", *(about for about, is_given in given.items() if not is_given))
    return tuple(
        rule
        for rule in decision.passed
        if rule == "invite-required" or not rule.startswith(empty)
    )


def _print(view: Explanation) -> None:
    if view.allowed:
        print_text("allowed", fg="green")
    else:
        print_text(f"refused: {view.rule}", fg="red")
        print_text(view.text or "")
    print_text("rules passed:" if view.passed else "rules passed: none")
    for rule in view.passed:
        print_text(f"  {rule}")
