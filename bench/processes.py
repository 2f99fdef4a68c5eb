"""Read from /proc what a process uses (proc(5)), and how busy the machine is."""

import os
import re
from pathlib import Path

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(process: int) -> float:
    """User and system time that a process has used so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def resident_mib(process: int) -> float:
    """Resident memory of a process now."""
    return _status(process, "VmRSS") / 1024


def peak_mib(process: int) -> float:
    """The most resident memory that a process has had."""
    return _status(process, "VmHWM") / 1024


def threads(process: int) -> int:
    """How many threads a process has."""
    return _status(process, "Threads")


def descriptors(process: int) -> int:
    """How many file descriptors a process has open."""
    return len(os.listdir(f"/proc/{process}/fd"))


def idle_seconds() -> float:
    """Seconds in which the machine's cores did nothing, summed over all of them."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()
    return (int(fields[4]) + int(fields[5])) / CLOCK_TICKS


def _status(process: int, name: str) -> int:
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)
    assert found, f"/proc/{process}/status has no {name}"
    return int(found[1])
