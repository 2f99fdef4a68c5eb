"""What a process and its database use, taken now and then, and whether it grows."""

import math
import os
import signal
import sqlite3
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.processes import descriptors, peak_mib, resident_mib, threads

FEWEST = 6
"""Samples from which a growth can be told."""
PROCESS = ("resident MiB", "peak MiB", "objects", "descriptors", "threads")


@dataclass(frozen=True, slots=True)
class Sample:
    """Amounts by name, at a moment in seconds since the beginning."""

    at: float
    amounts: dict[str, float]


def request_objects(process: int) -> None:
    """Let a hurried service count its objects; see bench/hurried.py."""
    os.kill(process, signal.SIGUSR2)


def take(at: float, process: int, folder: Path) -> Sample:
    """The amounts of a process that runs in ``folder``, and the rows of its tables."""
    objects = folder / "objects"
    counted = objects.read_text() if objects.exists() else ""
    amounts = {
        "resident MiB": resident_mib(process),
        "peak MiB": peak_mib(process),
        "objects": float(counted or math.nan),
        "descriptors": float(descriptors(process)),
        "threads": float(threads(process)),
    }
    return Sample(at, amounts | _rows(folder / "data" / "invitereg.db"))


def _rows(database: Path) -> dict[str, float]:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        query = "SELECT name FROM sqlite_master WHERE type = 'table'"
        names = sorted(name for (name,) in connection.execute(query))
        return {
            f"rows of {name}": connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[
                0
            ]
            for name in names
        }
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class Growth:
    """By how much an amount grew between the first and the last of some samples.

    Attributes:
        amount: by the straight line with the least squares.
        error: the standard error of that.
        mean: of the amount itself.
    """

    amount: float
    error: float
    mean: float

    def is_flat(self, tolerance: float) -> bool:
        """Whether it is at most ``tolerance``, as far as can be told."""
        return self.amount <= tolerance + 2 * self.error


def growth(samples: Sequence[Sample], name: str) -> Growth | None:
    """The growth of an amount; None if there are too few samples to tell."""
    points = [(sample.at, sample.amounts.get(name, 0.0)) for sample in samples]
    points = [point for point in points if not math.isnan(point[1])]
    if len(points) < FEWEST:
        return None
    times, values = zip(*points, strict=True)
    slope, intercept = statistics.linear_regression(times, values)
    rest = sum((value - slope * time - intercept) ** 2 for time, value in points)
    spread = statistics.pvariance(times) * len(points)
    error = math.sqrt(rest / (len(points) - 2) / spread)
    seconds = times[-1] - times[0]
    return Growth(slope * seconds, error * seconds, statistics.mean(values))
