"""Work that somebody waits for, but not for ever."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from invitereg.errors import Overloaded, Unavailable
from invitereg.policy.networks import Share
from invitereg.runtime.logs import FaultLog

PATIENCE_SECONDS = 5.0
"""How long anybody waits for an outcome; most come within milliseconds."""
_HANGS = f"nothing came back within {PATIENCE_SECONDS:.0f} seconds"


@dataclass(frozen=True, slots=True)
class Client:
    """Name whom jobs are done for.

    Attributes:
        door: the way in, such as ``web``.
        shares: the networks in which the client is counted; none: it is exempt.
    """

    door: str
    shares: tuple[Share, ...] = ()


_CLIENT: ContextVar[Client | None] = ContextVar("client", default=None)


@contextmanager
def on_behalf_of(client: Client) -> Iterator[None]:
    """Count the jobs asked for within, also by coroutines that begin there, as a client's."""
    token = _CLIENT.set(client)
    try:
        yield
    finally:
        _CLIENT.reset(token)


def current_client() -> Client | None:
    """Return on whose behalf jobs are asked for now; None is the service itself."""
    return _CLIENT.get()


class Job:
    """Somebody waits for an outcome, until it comes or has taken too long.

    Attributes:
        client: who asked for it; None is the service itself.
        done: fires with the outcome.
        given_up: nobody waits any more.
        hanging: it counts as one that its lane hangs on.
    """

    def __init__(self, client: Client | None = None) -> None:
        self.client = client
        self.done: Deferred[Any] = Deferred()
        self.given_up = False
        self.hanging = False
        # Taken once: by the thread that does it, or by the reactor's that cancels it.
        self._decided = threading.Lock()

    def settle(self) -> bool:
        """It takes effect from now on; False if it was cancelled before. For any thread."""
        return self._decided.acquire(blocking=False)

    def cancel(self) -> bool:
        """It never takes effect; False if it has been settled before. For any thread."""
        return self._decided.acquire(blocking=False)


class Lane:
    """One or more threads that do jobs of one sort, and what they hang on.

    Everything but `faults` is for the reactor's thread.
    """

    def __init__(self, faults: FaultLog, threads: int, *, waiting_hangs: bool) -> None:
        """``waiting_hangs``: a job that had to wait too long counts as one that hangs."""
        self.faults = faults
        self._threads = threads
        self._waiting_hangs = waiting_hangs
        self._hanging = 0

    def require_moving(self) -> None:
        """Raises Unavailable while all of its threads hang."""
        if self._hanging >= self._threads:
            raise Unavailable(self.faults.failed(_HANGS))

    def give_up(self, job: Job) -> None:
        """Tell who waits for a job that it failed, and see to it that it does, if it can."""
        begun = not job.cancel()
        job.given_up = True
        if begun or self._waiting_hangs:
            job.hanging = True
            self._hanging += 1
        job.done.errback(Unavailable(self.faults.failed(_HANGS)))

    def finish(self, job: Job, outcome: object) -> None:
        """A thread has come back from a job."""
        if job.hanging:
            self._hanging -= 1
        if job.given_up:
            return
        self.faults.worked()
        if isinstance(outcome, Failure):
            job.done.errback(outcome)
        else:
            job.done.callback(outcome)


class Backlog:
    """How many jobs were taken on and are not finished yet. For the reactor's thread only.

    A door may have three quarters of what may wait, so that some is left for the others. Once
    half of all is taken, a network may have an eighth at each door, and an IPv6 prefix wider
    than that as many times more as its share says.

    Attributes:
        size: jobs that wait or run.
    """

    def __init__(self, limit: int) -> None:
        self.size = 0
        self._limit = limit
        # By the door, and by the door with each network.
        self._of: Counter[tuple[str, str]] = Counter()

    def enter(self, client: Client | None = None) -> None:
        """Take on one more job.

        Raises:
            Overloaded: there are as many as may wait, or as many as this client may have.
        """
        if self.size >= self._limit or (client is not None and self._is_greedy(client)):
            raise Overloaded(retry_after=1.0)
        self.size += 1
        self._of.update(_counted(client))

    def leave(self, client: Client | None = None) -> None:
        """One job, which that client has asked for, is finished."""
        self.size -= 1
        for key in _counted(client):
            self._of[key] -= 1
            if not self._of[key]:
                del self._of[key]

    def _is_greedy(self, client: Client) -> bool:
        if self._of[client.door, ""] >= max(1, self._limit * 3 // 4):
            return True
        if self.size < self._limit // 2:
            return False
        single = max(1, self._limit // 8)
        return any(
            self._of[client.door, share.network] >= share.times * single
            for share in client.shares
        )


def _counted(client: Client | None) -> list[tuple[str, str]]:
    if client is None:
        return []
    return [(client.door, ""), *((client.door, share.network) for share in client.shares)]
