"""Whether a service stays as small as it is, however long it runs.

People register, log in, send presence and messages, make, list and revoke invites, look at
pages, and remove their accounts (bench/traffic.py), while the configuration is read again and
again. Meanwhile memory, objects, descriptors, threads and the rows of each table are counted.
At the end, each is judged by its growth over the last half of the time (least squares); the
exit status is 1 if one is not flat, or if what people do fails.

The service runs as a process of its own with everything on disk. What it keeps for hours, it
keeps for a minute here, and it tidies up each minute (bench/hurried.py).

    python bench/soak.py --minutes 30
"""

import argparse
import asyncio
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.clients import trusting
from bench.processes import cpu_seconds
from bench.samples import PROCESS, Growth, Sample, growth, request_objects, take
from bench.sessions import make_accounts
from bench.stored import make_key
from bench.traffic import CONTACTS, RESIDENTS, Traffic
from invitereg.interfaces.apikeys import Scope
from tests.service.running import DOMAIN, Service, free_ports

HURRIED = str(Path(__file__).with_name("hurried.py"))
RELOAD_SECONDS = 15
COUNT_SECONDS = 0.5
"""How long a service may take to count its objects."""
BY_DESIGN = {
    "peak MiB": "a peak never falls",
    "rows of uses": "the history of uses is kept for ever",
}
TOLERANCES = {"resident MiB": 2.0, "objects": 2000.0, "descriptors": 5.0, "threads": 2.0}
TOLERATED_ROWS = 20.0
TOLERATED_SHARE = 0.02
"""What may be added to an amount at least, as a share of it."""
FAILED_SHARE = 0.01
LEAST_MINUTES = 6
"""Until half of that, tables grow: then the service removes what it kept for a minute."""
SETTINGS = """\
web:
  external_url: http://{domain}:{web}/
  listen: ["tcp:{web}:interface=127.0.0.1"]
  api: {{rate: {{max: 1000000, period: 1s}}}}
  texts: {{headline: "Welcome, {round}"}}
keep_addresses: 1m
keep_invites: 1m
keep_names: 1m
policy:
  invites:
    expiry: 1m
    allow_user_invites: true
    users: {{max_open: unlimited, made: {{max: 1000, period: 1m}}}}
  limits:
    connections: {{per_network: 100000}}
    registration: {{max: 100, period: 1m}}
    token_guesses: {{max: 100, period: 1m}}
    logins: {{max: 100, period: 1m}}
    shared_invite: {{max: 100, period: 1m}}
    password_changes: {{max: 100, period: 1m}}
"""


class Soak:
    """A service, those who use it, and what it used at times."""

    def __init__(self, service: Service, web: int, every: float) -> None:
        self._service = service
        self._web = web
        self._every = every
        self._config = service.config.read_text()
        self._begin = time.monotonic()
        key = make_key(service.config, [Scope.INVITES_CREATE, *_READ_AND_EDIT])
        self.traffic = Traffic(service.port, web, key, trusting())
        self.samples: list[Sample] = []

    async def run(self, minutes: float) -> None:
        """Let people use it for some minutes."""
        self._begin = time.monotonic()
        ended = asyncio.Event()
        work = [
            asyncio.create_task(one)
            for one in (self.traffic.run(ended), self._reload(), self._sample())
        ]
        try:
            await asyncio.wait(work, timeout=minutes * 60, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.set()
            for task in work[1:]:
                task.cancel()
            results = await asyncio.gather(*work, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _reload(self) -> None:
        """Change the configuration, and have it read again."""
        number = 0
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            number += 1
            changed = self._config.replace("Welcome, 0", f"Welcome, {number}")
            self._service.config.write_text(changed)
            os.kill(self._service.pid, signal.SIGHUP)

    async def _sample(self) -> None:
        while True:
            await asyncio.sleep(self._every - COUNT_SECONDS)
            request_objects(self._service.pid)
            await asyncio.sleep(COUNT_SECONDS)
            sample = take(
                time.monotonic() - self._begin, self._service.pid, self._service.folder
            )
            self.samples.append(sample)
            print(line(sample), flush=True)


_READ_AND_EDIT = (Scope.INVITES_READ, Scope.INVITES_EDIT)


def line(sample: Sample) -> str:
    """A sample in one line: the process, and the tables that have rows."""
    used = " ".join(f"{sample.amounts[name]:12,.0f}" for name in PROCESS)
    rows = " ".join(
        f"{name.removeprefix('rows of ')}={amount:.0f}"
        for name, amount in sample.amounts.items()
        if name not in PROCESS and amount
    )
    return f"{sample.at / 60:6.1f} {used}  {rows}"


# --- the verdict


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an amount is flat at the end; ``grown`` is None where that cannot be told."""

    name: str
    first: float
    last: float
    grown: Growth | None

    @property
    def flat(self) -> bool:
        """Whether it is, or need not be, as far as can be told."""
        if self.name in BY_DESIGN or self.grown is None:
            return True
        return self.grown.is_flat(self._tolerance(self.grown))

    def __str__(self) -> str:
        """One line."""
        amounts = f"{self.name:24} {self.first:10,.0f} {self.last:10,.0f}"
        if self.grown is None:
            return f"{amounts} {'?':>10}"
        grown = f"{self.grown.amount:+10,.1f} ± {self.grown.error:,.1f}"
        verdict = BY_DESIGN.get(self.name) or ("flat" if self.flat else "GROWS")
        return f"{amounts} {grown:22} {verdict}"

    def _tolerance(self, grown: Growth) -> float:
        least = TOLERANCES.get(self.name, TOLERATED_ROWS)
        return max(least, TOLERATED_SHARE * grown.mean)


def verdicts(samples: Sequence[Sample]) -> list[Verdict]:
    """One for each amount, over the last half of the time."""
    half = [sample for sample in samples if sample.at >= samples[-1].at / 2]
    first, last = samples[0].amounts, samples[-1].amounts
    return [Verdict(name, first.get(name, 0), last[name], growth(half, name)) for name in last]


def failures(traffic: Traffic) -> list[str]:
    """What people could not do, more often than may happen on a busy machine."""
    found = []
    for name, act in traffic.acts.items():
        failed = act.outcomes.total() - act.outcomes["done"]
        print(f"{name:24} {act.outcomes.total():6} times, {failed} failed")
        for outcome, number in act.outcomes.most_common(4):
            if outcome != "done":
                print(f"    {number} × {outcome}")
        if failed > FAILED_SHARE * act.outcomes.total():
            found.append(f"{name} failed {failed} times of {act.outcomes.total()}")
    return found


def report(soak: Soak, service: Service) -> int:
    """Print the verdicts; returns the exit status."""
    print()
    faults = failures(soak.traffic)
    written, arrived = soak.traffic.messages
    print(f"messages between residents: {written:,} written, {arrived:,} arrived")
    if arrived < (1 - FAILED_SHARE) * written:
        faults.append("messages were lost")
    if not soak.samples:
        print("no sample was taken")
        return 1
    print(f"\n{'':24} {'first':>10} {'last':>10}   grown in the last half")
    found = verdicts(soak.samples)
    for verdict in found:
        print(verdict)
    if soak.samples[-1].at < 60 * LEAST_MINUTES:
        faults.append(f"too short to tell: less than {LEAST_MINUTES} minutes")
    faults += [f"{verdict.name}: not flat" for verdict in found if not verdict.flat]
    try:
        service.check_log()
    except AssertionError as error:
        faults.append(f"the service's log has a fault:\n{str(error)[-2000:]}")
    print("\n" + ("\n".join(faults) if faults else "all is flat"))
    return 1 if faults else 0


def main() -> int:
    """Run the soak; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--every", type=float, default=20, help="seconds between samples")
    arguments = parser.parse_args()
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    (web,) = free_ports(1)
    service = Service(SETTINGS.format(domain=DOMAIN, web=web, round=0), limited=True)
    service.program = (sys.executable, HURRIED)
    try:
        make_accounts(service.config, RESIDENTS, CONTACTS)
        soak = Soak(service, web, arguments.every)
        service.start()
        print(f"{'minute':>6} " + " ".join(f"{name:>12}" for name in PROCESS) + "  rows")
        with suppress(KeyboardInterrupt):
            asyncio.run(soak.run(arguments.minutes))
        seconds = soak.samples[-1].at if soak.samples else 1.0
        print(f"the service used {cpu_seconds(service.pid) / seconds:.0%} of a core")
        return report(soak, service)
    finally:
        service.remove()


if __name__ == "__main__":
    sys.exit(main())
