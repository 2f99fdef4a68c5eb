"""The attacker: a process of its own, and the last to get a core."""

import asyncio
import os
import signal
from collections import Counter
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection

from bench.doors import Door, Target
from bench.pacing import Paced
from bench.processes import cpu_seconds

NICE = 10
PATIENCE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Toll:
    """What an attack came to.

    Attributes:
        outcomes: how many attempts ended how; see `Paced`.
        most: attempts under way at once.
    """

    outcomes: Counter[str]
    most: int

    def __str__(self) -> str:
        """All of it, in a line."""
        ends = ", ".join(f"{number} × {name}" for name, number in self.outcomes.most_common(4))
        return f"{self.most} at once; {ends or 'none ended'}"


class Attacker:
    """Attacks one door from when it is made until `stop`."""

    def __init__(self, door: Door, target: Target) -> None:
        context = get_context("fork")
        self._pipe, other = context.Pipe()
        self._process = context.Process(
            target=_run, args=(door, target, other, self._pipe), daemon=True
        )
        self._process.start()
        other.close()
        self._receive()

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        assert self._process.pid is not None
        return cpu_seconds(self._process.pid)

    def stop(self) -> Toll:
        """Stop it; returns what it did."""
        self._pipe.send("stop")
        toll = self._receive()
        self._process.join(PATIENCE_SECONDS)
        assert isinstance(toll, Toll)
        return toll

    def kill(self) -> None:
        """End it, however it is."""
        self._process.kill()
        self._process.join(PATIENCE_SECONDS)

    def _receive(self) -> object:
        if not self._pipe.poll(PATIENCE_SECONDS):
            self.kill()
            raise AssertionError("the attacker does not answer")
        return self._pipe.recv()


def _run(door: Door, target: Target, pipe: Connection, other: Connection) -> None:
    other.close()  # Else this would not learn that the other process has ended.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICE)
    pipe.send(asyncio.run(_attack(door, target, pipe)))


async def _attack(door: Door, target: Target, pipe: Connection) -> Toll:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(pipe.fileno(), ended.set)
    attack = Paced(partial(door.attempt, target), door.rate, door.at_once)
    loop.call_later(door.warm_up, pipe.send, "ready")
    await attack.run(ended)
    loop.remove_reader(pipe.fileno())
    return Toll(attack.outcomes, attack.most)
