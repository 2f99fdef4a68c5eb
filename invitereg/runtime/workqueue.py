"""Jobs, how long they are waited for, and how many may wait."""

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
"""How long a job may take; most take milliseconds."""
_HANGS = f"nothing came back within {PATIENCE_SECONDS:.0f} seconds"


@dataclass(frozen=True, slots=True)
class Client:
    """Name the client that jobs are done for.

    Attributes:
        door: how the client is connected, such as ``web``.
        shares: the networks in which the client is counted; none if it is exempt.
    """

    door: str
    shares: tuple[Share, ...] = ()


_CLIENT: ContextVar[Client | None] = ContextVar("client", default=None)


@contextmanager
def on_behalf_of(client: Client) -> Iterator[None]:
    """Count jobs of the ``with`` block, and of coroutines that begin there, as a client's."""
    token = _CLIENT.set(client)
    try:
        yield
    finally:
        _CLIENT.reset(token)


def current_client() -> Client | None:
    """Return the client whose jobs are counted now; None is the service itself."""
    return _CLIENT.get()


class QueuedJob:
    """Wait for an outcome until it comes or has taken too long.

    Attributes:
        client: the client that it is done for; None is the service itself.
        done: fires with the outcome.
        given_up: it has taken too long, and was failed.
        hanging: it is counted as one that blocks its lane.
    """

    def __init__(self, client: Client | None = None) -> None:
        self.client = client
        self.done: Deferred[Any] = Deferred()
        self.given_up = False
        self.hanging = False
        # Acquired once: by the thread that does the job, or the reactor's that cancels it.
        self._decided = threading.Lock()

    def settle(self) -> bool:
        """Decide that the job takes effect, or never will; False if that is decided already."""
        return self._decided.acquire(blocking=False)


class Lane:
    """Watch the threads that do one sort of jobs, and the jobs that they hang on.

    For the reactor's thread, except `faults`.
    """

    def __init__(self, faults: FaultLog, threads: int, *, waiting_hangs: bool) -> None:
        """``waiting_hangs`` says to count a job that waits too long as one that hangs."""
        self.faults = faults
        self._threads = threads
        self._waiting_hangs = waiting_hangs
        self._hanging = 0

    def require_moving(self) -> None:
        """Raise Unavailable while all threads hang."""
        if self._hanging >= self._threads:
            raise Unavailable(self.faults.failed(_HANGS))

    def give_up(self, job: QueuedJob) -> None:
        """Fail a job that has taken too long, and cancel it if it has not been settled."""
        begun = not job.settle()
        job.given_up = True
        if begun or self._waiting_hangs:
            job.hanging = True
            self._hanging += 1
        job.done.errback(Unavailable(self.faults.failed(_HANGS)))

    def finish(self, job: QueuedJob, outcome: object) -> None:
        """Pass on the outcome of a job that a thread has finished."""
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
    """Limit the jobs that wait or run, by door and network. For the reactor's thread only.

    A door may have three quarters of all jobs, so that some are left for the others. Once half
    of all are in use, a network may have an eighth at each door, and a wider IPv6 prefix as
    many times more as its share says.

    Attributes:
        size: how many jobs wait or run.
    """

    def __init__(self, limit: int) -> None:
        self.size = 0
        self._limit = limit
        # By door, and by door and network.
        self._of: Counter[tuple[str, str]] = Counter()

    def enter(self, client: Client | None = None) -> None:
        """Count one more job.

        Raises:
            Overloaded: too many jobs wait, or too many of this client.
        """
        if self.size >= self._limit or (client is not None and self._is_greedy(client)):
            raise Overloaded(retry_after=1.0)
        self.size += 1
        self._of.update(_counted(client))

    def leave(self, client: Client | None = None) -> None:
        """Count a client's job as finished."""
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
