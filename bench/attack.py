"""How much one address can slow down newcomers from other networks, at each door.

A service runs as a process of its own with everything on disk. Newcomers come at a fixed rate,
each from a network of their own: they open their invite's page, register and log in. This is
done without and with an attacker, in turn; the attacker is another process, has one address,
and attacks one door at a fixed rate (bench/doors.py). What is printed are medians over the
pairs. The exit status is 1 if the newcomers' p99 doubles at a door, or if anybody is refused.

All share the machine: "CPU" is what the service, the attacker and the newcomers used, each as
a share of one core, and "idle" what was left of all cores; both are medians with the attacker.
Where little is left, or where newcomers come late, the machine was the bottleneck, and the
figures say nothing about the service.

    python bench/attack.py --door logins --pairs 5
"""

import argparse
import asyncio
import math
import os
import resource
import shutil
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.attackers import Attacker, Toll
from bench.clients import trusting
from bench.doors import DOORS, Door, Target
from bench.newcomers import Arrivals, Newcomers
from bench.processes import cpu_seconds, idle_seconds
from bench.stored import make_invites
from tests.service.running import DOMAIN, Service, free_ports

FILES = 4096
"""Descriptors that the service may have, as few as on many machines."""
CORES = os.cpu_count() or 1
SETTLE_SECONDS = 1
WARM = 20
"""Newcomers before anything is measured."""
LEAST_IDLE = 0.1
MOST_LATE = 0.05


@dataclass(frozen=True, slots=True)
class Shares:
    """CPU in a time, each as a share of one core; ``idle`` as a share of all."""

    service: float
    attacker: float
    newcomers: float
    idle: float

    def __str__(self) -> str:
        """As it is printed."""
        used = (self.service, self.attacker, self.newcomers)
        return " ".join(f"{share:7.0%}" for share in (*used, self.idle))


@dataclass(frozen=True, slots=True)
class Phase:
    """What came of the newcomers of one phase, with or without an attacker."""

    arrivals: Arrivals
    shares: Shares
    toll: Toll | None

    def percentile(self, share: float) -> float:
        """Milliseconds that so many of them needed at most; endless if fewer got in.

        Whoever is refused is slower than all others.
        """
        refused = self.arrivals.refused.total()
        seconds = sorted(self.arrivals.seconds) + [math.inf] * refused
        return seconds[math.ceil(share * len(seconds)) - 1] * 1000

    @property
    def late(self) -> float:
        """Seconds that hardly any newcomer began after it should."""
        return sorted(self.arrivals.late)[math.ceil(0.99 * len(self.arrivals.late)) - 1]

    def __str__(self) -> str:
        """One line of progress."""
        refused = dict(self.arrivals.refused)
        return (
            f"p50 {self.percentile(0.5):6.0f} ms, p99 {self.percentile(0.99):6.0f} ms, "
            f"CPU {self.shares}, late {self.late * 1000:.0f} ms"
            + (f"; refused: {refused}" if refused else "")
            + (f"; attacker: {self.toll}" if self.toll else "")
        )


class Site:
    """A running service that is to be attacked."""

    def __init__(self, service: Service, target: Target) -> None:
        self._service = service
        self._newcomers = Newcomers(target, trusting())
        self._target = target

    def phase(self, door: Door | None, count: int, rate: float) -> Phase:
        """Let newcomers come while an attacker is at ``door``, if there is one."""
        tokens = make_invites(self._service.config, count)
        attacker = Attacker(door, self._target) if door else None
        toll = None
        try:
            before, begin = self._used(attacker), time.monotonic()
            arrivals = asyncio.run(self._newcomers.arrive(tokens, rate))
            seconds, after = time.monotonic() - begin, self._used(attacker)
            toll = attacker.stop() if attacker else None
        finally:
            if attacker is not None:
                attacker.kill()
        used = [(end - start) / seconds for start, end in zip(before, after, strict=True)]
        shares = Shares(used[0], used[1], used[2], used[3] / CORES)
        time.sleep(SETTLE_SECONDS)
        return Phase(arrivals, shares, toll)

    def _used(self, attacker: Attacker | None) -> tuple[float, float, float, float]:
        return (
            cpu_seconds(self._service.pid),
            attacker.cpu_seconds() if attacker else 0.0,
            time.process_time(),
            idle_seconds(),
        )


@contextmanager
def site(door: Door) -> Iterator[Site]:
    """A service with what a door needs, that runs until it is left."""
    web, web_tls = free_ports()
    settings = (
        f"web: {{external_url: 'http://{DOMAIN}:{web}/', "
        f"listen: ['tcp:{web}:interface=127.0.0.1'], "
        f"listen_tls: ['tcp:{web_tls}:interface=127.0.0.1']}}\n{door.settings}"
    )
    with _gateway(settings) if door.upstream else _embedded(settings) as service:
        yield Site(service, Target(service.port, service.tls_port, web, web_tls))


@contextmanager
def _embedded(settings: str) -> Iterator[Service]:
    service = Service(settings, limited=True)
    service.program = _with_files(service)
    try:
        service.start()
        yield service
    finally:
        service.remove()


@contextmanager
def _gateway(settings: str) -> Iterator[Service]:
    if shutil.which("prosody") is None:
        raise ImportError("Prosody is not here: apt-get install prosody")
    # These need pytest: `make test` installs it.
    from tests.peers.gateway import in_front, start
    from tests.peers.servers import Prosody

    server = Prosody()
    service = in_front(server, settings=settings)
    service.program = _with_files(service)
    try:
        server.start()
        start(service)
        yield service
    finally:
        service.remove()
        server.remove()


def _with_files(service: Service) -> tuple[str, ...]:
    return ("sh", "-c", f'ulimit -n {FILES} && exec "$@"', "sh", *service.program)


# --- the report


@dataclass(frozen=True, slots=True)
class Result:
    """The pairs of one door: without and with the attacker."""

    name: str
    pairs: list[tuple[Phase, Phase]]

    HEAD = (
        f"{'':16} {'p50 ms':>15} {'p99 ms':>15} {'':>6} {'refused':>9}"
        f"   CPU: {'service':>7} {'attack':>7} {'guests':>7} {'idle':>7}\n"
        f"{'door':16} {'without':>7} {'with':>7} {'without':>7} {'with':>7} {'ratio':>6} "
        f"{'w/o':>4} {'with':>4}"
    )

    @property
    def ratio(self) -> float:
        """How many times as long the slowest newcomers need with the attacker."""
        without, attacked = self._medians(0.99)
        return attacked / without if math.isfinite(without) else math.inf

    @property
    def refused(self) -> tuple[int, int]:
        """How many newcomers were refused, without and with the attacker."""
        refused = [[phase.arrivals.refused.total() for phase in pair] for pair in self.pairs]
        return sum(pair[0] for pair in refused), sum(pair[1] for pair in refused)

    @property
    def passed(self) -> bool:
        """Whether nobody was refused or slowed down."""
        return self.ratio < 2 and not any(self.refused)

    @property
    def doubts(self) -> list[str]:
        """Reasons why the figures say nothing about the service."""
        shares, late = self._shares().idle, max(p.late for pair in self.pairs for p in pair)
        found = [f"only {shares:.0%} of the machine were idle"] if shares < LEAST_IDLE else []
        if late > MOST_LATE:
            found.append(f"newcomers came up to {late * 1000:.0f} ms late")
        return found

    def __str__(self) -> str:
        """One line, and one for each doubt, and for what refused."""
        times = [*self._medians(0.5), *self._medians(0.99)]
        lines = [
            f"{self.name:16} "
            + " ".join(f"{value:7.0f}" for value in times)
            + f" {self.ratio:6.2f} {self.refused[0]:4} {self.refused[1]:4}        "
            + f"{self._shares()}  {'ok' if self.passed else 'FAILED'}"
        ]
        why = sum((p.arrivals.refused for pair in self.pairs for p in pair), Counter[str]())
        lines += [f"    {number} refused: {text}" for text, number in why.most_common(5)]
        lines += [f"    doubtful: {doubt}" for doubt in self.doubts]
        return "\n".join(lines)

    def _medians(self, share: float) -> tuple[float, float]:
        without, attacked = zip(
            *([phase.percentile(share) for phase in pair] for pair in self.pairs), strict=True
        )
        return statistics.median(without), statistics.median(attacked)

    def _shares(self) -> Shares:
        shares = [attacked.shares for _without, attacked in self.pairs]
        return Shares(
            statistics.median(one.service for one in shares),
            statistics.median(one.attacker for one in shares),
            statistics.median(one.newcomers for one in shares),
            statistics.median(one.idle for one in shares),
        )


def measure(name: str, arguments: argparse.Namespace, deadline: float) -> Result | None:
    """Attack one door; returns the pairs that were complete before the deadline."""
    door, pairs = DOORS[name], []
    count, rate = arguments.newcomers, arguments.rate
    with site(door) as attacked:
        attacked.phase(None, WARM, rate)
        for number in range(arguments.pairs):
            if time.monotonic() > deadline:
                print(f"{name}: no time for more than {number} pairs", flush=True)
                break
            pair = []
            for kind, against in (("without", None), ("with", door)):
                pair.append(attacked.phase(against, count, rate))
                print(f"{name}, pair {number + 1}, {kind}: {pair[-1]}", flush=True)
            pairs.append((pair[0], pair[1]))
    return Result(name, pairs) if pairs else None


def main() -> int:
    """Attack the doors one after the other; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--door", action="append", choices=DOORS, help="all, if none is given")
    parser.add_argument("--pairs", type=int, default=5, help="without and with the attacker")
    parser.add_argument("--newcomers", type=int, default=300, help="in each phase")
    parser.add_argument("--rate", type=float, default=18, help="newcomers a second")
    parser.add_argument("--minutes", type=float, default=40, help="begin no pair after that")
    arguments = parser.parse_args()
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    deadline = time.monotonic() + arguments.minutes * 60
    results, missing = [], []
    try:
        for name in arguments.door or DOORS:
            try:
                if result := measure(name, arguments, deadline):
                    results.append(result)
                else:
                    missing.append(f"{name}: not measured, for want of time")
            except (AssertionError, ImportError, OSError) as error:
                missing.append(f"{name}: not measured: {error}")
    except KeyboardInterrupt:
        missing.append("interrupted")
    report(results, missing)
    return 0 if all(result.passed for result in results) and not missing else 1


def report(results: list[Result], missing: list[str]) -> None:
    """Print a line for each door, and what was not measured."""
    print(f"\n{Result.HEAD}")
    for line in (*results, *missing):
        print(line)


if __name__ == "__main__":
    sys.exit(main())
