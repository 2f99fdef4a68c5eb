"""``invitereg purge``."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
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
    now, store = workspace.now(), workspace.store
    counts = {"invites": 0, "names": 0, "hits": 0}
    policies = {domain.name: domain.policy for domain in workspace.domains()}
    for domain in workspace.run(workspace.store.list_domains()):
        policy = policies.get(domain, Policy())
        counts["invites"] += _all(
            workspace, partial(store.purge_invites, domain, now - older_than)
        )
        counts["names"] += _all(workspace, partial(store.purge_names, domain, now))
        for name, limit in counter_limits(policy).items():
            purge = partial(store.purge_hits, domain, name, now - limit.period)
            counts["hits"] += _all(workspace, purge)
    print_counts(counts, as_json)


def _all(workspace: Workspace, purge: Callable[[int], Deferred[int]]) -> int:
    """Repeat a step until it finds less than it could remove; return how many it removed."""
    total = 0
    while True:
        since = monotonic()
        removed = workspace.run(purge(STEP))
        total += removed
        if removed < STEP:
            return total
        sleep(monotonic() - since)  # SQLite has no queue: leave half of the time to others
