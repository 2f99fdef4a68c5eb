"""Work that somebody waits for, but not for ever."""

import threading
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from invitereg.errors import Overloaded, Unavailable
from invitereg.logs import FaultLog

PATIENCE_SECONDS = 5.0
"""How long anybody waits for an outcome; most come within milliseconds."""
_HANGS = f"nothing came back within {PATIENCE_SECONDS:.0f} seconds"


class Job:
    """Somebody waits for an outcome, until it comes or has taken too long.

    Attributes:
        done: fires with the outcome.
        given_up: nobody waits any more.
        hanging: it counts as one that its lane hangs on.
    """

    def __init__(self) -> None:
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

    Attributes:
        size: jobs that wait or run.
    """

    def __init__(self, limit: int) -> None:
        self.size = 0
        self._limit = limit

    def enter(self) -> None:
        """Take on one more job.

        Raises:
            Overloaded: there are as many as may wait.
        """
        if self.size >= self._limit:
            raise Overloaded(retry_after=1.0)
        self.size += 1

    def leave(self) -> None:
        """One job is finished."""
        self.size -= 1
