"""``invitereg purge``."""

from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic, sleep

import click
from twisted.internet.defer import Deferred

from invitereg.cli.display import print_counts
from invitereg.cli.options import DURATION, json_option
from invitereg.cli.workspace import Workspace, pass_workspace
from invitereg.policy.counters import counter_limits
from invitereg.policy.values import Policy

STEP = 1000
"""Rows in one transaction: what a service that runs beside may have to wait for."""

_MOST_DAYS = timedelta(days=36500)


@click.command()
@click.option(
    "--older-than",
    metavar="TIME",
    type=DURATION,
    default=timedelta(days=90),
    help="How long they must have been over, as 12h or 7d; default: 90d.",
)
@json_option
@pass_workspace
def command(workspace: Workspace, older_than: timedelta | None, as_json: bool) -> None:
    """Remove invites that have long been expired, used up or revoked.

    Who has used which invite stays in the history. Names that are held no longer (keep_names)
    and counts that have lapsed go as well, however old they are. So it is with domains that are
    not served any more. It can be interrupted, and
    run while the service runs, which does the same by itself, by keep_invites.
    """
    if older_than is None or not timedelta() <= older_than <= _MOST_DAYS:
        raise click.UsageError("--older-than needs a time such as 90d, of 100 years at most.")
    now = workspace.now()
    counts = {"invites": 0, "names": 0, "hits": 0}
    policies = {domain.name: domain.policy for domain in workspace.domains()}
    for domain in workspace.run(workspace.store.list_domains()):
        counts["invites"] += _purge_invites(workspace, domain, now - older_than)
        counts["names"] += _purge_names(workspace, domain, now)
        counts["hits"] += _purge_hits(workspace, domain, policies.get(domain, Policy()), now)
    print_counts(counts, as_json)


def _purge_invites(workspace: Workspace, domain: str, before: datetime) -> int:
    return _all(workspace, lambda: workspace.store.purge_invites(domain, before, STEP))


def _purge_names(workspace: Workspace, domain: str, now: datetime) -> int:
    return _all(workspace, lambda: workspace.store.purge_names(domain, now, STEP))


def _purge_hits(workspace: Workspace, domain: str, policy: Policy, now: datetime) -> int:
    """Remove the hits of each counter that are older than its period."""
    removed = 0
    for name, limit in counter_limits(policy).items():
        removed += _purge_name(workspace, domain, name, now - limit.period)
    return removed


def _purge_name(workspace: Workspace, domain: str, name: str, before: datetime) -> int:
    return _all(workspace, lambda: workspace.store.purge_hits(domain, name, before, STEP))


def _all(workspace: Workspace, step: Callable[[], Deferred[int]]) -> int:
    """Repeat a step until it finds less than it could remove; returns how many it removed."""
    total = 0
    while True:
        since = monotonic()
        removed = workspace.run(step())
        total += removed
        if removed < STEP:
            return total
        sleep(monotonic() - since)  # SQLite has no queue: leave half of the time to others
