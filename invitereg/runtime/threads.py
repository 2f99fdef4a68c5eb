"""Run blocking work in a bounded pool of threads, or at once in the calling thread.

A service uses `Threads`; the command line and tests use `Inline`. Both have the same methods.
"""

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar, TypeVarTuple

from twisted.internet.defer import Deferred, execute, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from invitereg.errors import Overloaded, Unavailable
from invitereg.runtime import IReactor
from invitereg.runtime.logs import FaultLog
from invitereg.runtime.workqueue import (
    PATIENCE_SECONDS,
    Backlog,
    Lane,
    QueuedJob,
    current_client,
)

_log = Logger("invitereg.threads.Threads")

T = TypeVar("T")
Args = TypeVarTuple("Args")

Settle = Callable[[], bool]
"""Called before what was done becomes permanent. False means: undo it, as somebody who asked
for it has been told meanwhile that it failed."""
J = TypeVar("J")
Process = Callable[[Sequence[J], Settle], Sequence[object]]
"""Do some jobs together and return an outcome for each: its result, or a Failure."""


class _Daemon(threading.Thread):
    """Let the process end even if this thread hangs."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, daemon=True, **options)


class Threads:
    """Run jobs in a pool of threads, with a limit on how many wait, and for how long.

    A job that takes longer than `PATIENCE_SECONDS` fails; if it was not settled by then, it
    never takes effect. While all threads hang, new jobs fail at once, until one of the threads
    goes on. Call everything here in the reactor's thread.
    """

    def __init__(
        self,
        reactor: IReactor,
        limit: int = 512,
        threads: int = max(2, os.cpu_count() or 1),
    ) -> None:
        """``limit`` jobs may wait or run; ``threads`` of them run at once."""
        self._reactor = reactor
        self._backlog = Backlog(limit)
        self._pool = ThreadPool(minthreads=0, maxthreads=threads, name="invitereg")
        self._pool.threadFactory = _Daemon
        self._lane = Lane(FaultLog(_log, "Work"), threads, waiting_hangs=False)
        self._batches: list[Batches[Any]] = []
        self._drained: Deferred[None] = Deferred()
        self._stopping = False

    @property
    def waiting(self) -> int:
        """Return how many jobs wait or run."""
        return self._backlog.size

    def start(self) -> None:
        """Start to run jobs, also those that wait already; not before a daemon has forked."""
        self._pool.start()

    def stop(self) -> Deferred[None]:
        """Refuse further jobs; fires when all others are finished."""
        if self._stopping:
            return succeed(None)
        self._stopping = True
        if not self._pool.started:
            self._pool.start()
        self._end_if_drained()
        return self._drained

    def run(self, function: Callable[[*Args], T], *args: *Args) -> Deferred[T]:
        """Run ``function(*args)`` in one of the threads, and return its outcome.

        Raises:
            Overloaded: too many jobs wait already.
            Unavailable: `stop` was called, or the job has taken too long.
        """

        def do() -> T | None:
            return function(*args) if job.settle() else None

        def answer(_success: bool, outcome: object) -> None:
            self._reactor.callFromThread(self._finish, self._lane, [(job, outcome)])

        try:
            job = self._enter(self._lane)
        except (Overloaded, Unavailable) as refusal:
            return fail(refusal)
        self._pool.callInThreadWithCallback(answer, do)
        return job.done

    def batches(self, process: Process[J], most: int = 64) -> "Batches[J]":
        """Return a thread that does up to ``most`` waiting jobs together by ``process``."""
        lane = Lane(FaultLog(_log, "Write"), 1, waiting_hangs=True)

        def finish(answers: Outcomes) -> None:
            self._reactor.callFromThread(self._finish, lane, answers)

        batches = Batches(process, most, lambda: self._enter(lane), finish)
        self._batches.append(batches)
        return batches

    def _enter(self, lane: Lane) -> QueuedJob:
        if self._stopping:
            raise Unavailable("stopping")
        lane.require_moving()
        client = current_client()
        self._backlog.enter(client)
        job = QueuedJob(client)
        overdue = self._reactor.callLater(PATIENCE_SECONDS, lane.give_up, job)
        job.done.addBoth(_no_longer_due, overdue)
        return job

    def _finish(self, lane: Lane, answers: "Outcomes") -> None:
        for job, outcome in answers:
            # First, as an answer may begin the next job at once.
            self._backlog.leave(job.client)
            lane.finish(job, outcome)
        if self._stopping:
            self._end_if_drained()

    def _end_if_drained(self) -> None:
        if self._backlog.size == 0 and not self._drained.called:
            for batches in self._batches:
                batches.stop()
            self._pool.stop()
            self._drained.callback(None)


def _no_longer_due(outcome: T, overdue: IDelayedCall) -> T:
    if overdue.active():
        overdue.cancel()
    return outcome


Outcomes = Iterable[tuple[QueuedJob, object]]


class Batches(Generic[J]):
    """Do all jobs that wait together in one thread; `Threads.batches` makes it."""

    def __init__(
        self,
        process: Process[J],
        most: int,
        enter: Callable[[], QueuedJob],
        finish: Callable[[Outcomes], None],
    ) -> None:
        self._process = process
        self._most = most
        self._enter = enter
        self._finish = finish
        self._queue: SimpleQueue[tuple[QueuedJob, J] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def add(self, job: J) -> Deferred[Any]:
        """Do ``job`` with others that wait, and return its outcome; raises as `run`."""
        try:
            waiting = self._enter()
        except (Overloaded, Unavailable) as refusal:
            return fail(refusal)
        if self._thread is None:
            # Only now, as a thread that was started before a daemon forks is lost.
            self._thread = threading.Thread(target=self._work, name="batches", daemon=True)
            self._thread.start()
        self._queue.put((waiting, job))
        return waiting.done

    def stop(self) -> None:
        """End the thread; no job may wait any more."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()

    def _work(self) -> None:
        while entries := self._take():
            wanted = [entry for entry in entries if not entry[0].given_up]
            outcomes = dict(zip([job for job, _ in wanted], self._do(wanted), strict=True))
            self._finish([(job, outcomes.get(job)) for job, _ in entries])

    def _do(self, entries: Sequence[tuple[QueuedJob, J]]) -> Sequence[object]:
        def settle() -> bool:
            settled = [job.settle() for job, _ in entries]  # all, whatever the first says
            return all(settled)

        if not entries:
            return []
        try:
            return self._process([work for _, work in entries], settle)
        except Exception:
            return [Failure() for _ in entries]

    def _take(self) -> list[tuple[QueuedJob, J]]:
        """Wait for entries and return them; an empty list tells the thread to end."""
        entry = self._queue.get()
        entries = []
        while entry is not None:
            entries.append(entry)
            if len(entries) == self._most:
                break
            try:
                entry = self._queue.get_nowait()
            except Empty:
                break
        return entries


class Inline:
    """Do everything in the calling thread, before it returns."""

    def run(self, function: Callable[[*Args], T], *args: *Args) -> Deferred[T]:
        """Return the outcome of ``function(*args)``, as a Deferred that has fired."""
        return execute(function, *args)

    def batches(self, process: Process[J], most: int = 1) -> "InlineBatches[J]":
        """Return an object that does each job by ``process``; ``most`` is ignored."""
        return InlineBatches(process, most)


class InlineBatches(Generic[J]):
    """Do each job at once; `Inline.batches` makes it."""

    def __init__(self, process: Process[J], most: int) -> None:
        self._process = process
        self._most = most

    def add(self, job: J) -> Deferred[Any]:
        """Return the outcome of ``job``, as a Deferred that has fired."""
        return execute(self._process, [job], lambda: True).addCallback(itemgetter(0))


Executor = Threads | Inline
