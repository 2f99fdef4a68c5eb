"""How fast the operator's commands answer beside many pending invites.

The invites are made by `invite create --count`. Each command is a process of its own; what is
printed is the median of its run times and of its CPU times. Each has the start of the process
in it, which the first line shows alone.

    python bench/commands.py --pending 1000000
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OVER = 10_000
"""Invites that have expired, for `purge` to remove."""


class Operator:
    """Calls the command in a folder of its own."""

    def __init__(self, folder: Path, runs: int) -> None:
        (folder / "config.yaml").write_text("domain: localhost\ndata_dir: data\n")
        self._folder = folder
        self._runs = runs

    def call(self, *arguments: str) -> str:
        """What a command prints."""
        command = [sys.executable, "-m", "invitereg", *arguments]
        done = subprocess.run(
            command, cwd=self._folder, stdout=subprocess.PIPE, check=True, text=True
        )
        return done.stdout

    def make(self, count: int, *options: str) -> list[str]:
        """Make so many invites; returns their ids."""
        printed = self.call("invite", "create", "--json", "--count", str(count), *options)
        return [json.loads(line)["id"] for line in printed.splitlines()]

    def measure(self, *arguments: str, runs: int | None = None) -> None:
        """Print how long a command takes."""
        seconds, cpu_seconds, lines = [], [], 0
        for _ in range(runs or self._runs):
            begin, cpu = time.perf_counter(), cpu_of_commands()
            lines = self.call(*arguments).count("\n")
            seconds.append(time.perf_counter() - begin)
            cpu_seconds.append(cpu_of_commands() - cpu)
        wall, cpu = statistics.median(seconds), statistics.median(cpu_seconds)
        name = " ".join(arguments)
        print(f"{name:36} {wall:6.2f} s, CPU {cpu:6.2f} s, {lines:4} lines", flush=True)


def cpu_of_commands() -> float:
    """User and system time of all commands that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Make the invites, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pending", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=5, help="how often each command is run")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        operator = Operator(Path(folder), arguments.runs)
        begin = time.perf_counter()
        ids = operator.make(arguments.pending)
        print(f"{len(ids):,} invites made in {time.perf_counter() - begin:.0f} s", flush=True)
        report(operator, ids)


def report(operator: Operator, ids: list[str]) -> None:
    """Measure every command that reads invites, and those that change one."""
    operator.measure("account", "list")
    operator.measure("invite", "list")
    for status in ("pending", "used", "expired", "revoked", "all"):
        operator.measure("invite", "list", "--status", status)
    operator.measure("invite", "list", "--after", ids[-50])
    operator.measure("invite", "show", ids[len(ids) // 2])
    operator.measure("invite", "create")
    operator.measure("invite", "renew", ids[len(ids) // 2])
    operator.measure("invite", "revoke", ids[-1])
    operator.measure("purge")
    operator.make(OVER, "--expires", "1s")
    time.sleep(2)
    print(f"with {OVER:,} that have expired:")
    operator.measure("invite", "list", "--status", "expired")
    operator.measure("purge", "--older-than", "1s", runs=1)


if __name__ == "__main__":
    main()
