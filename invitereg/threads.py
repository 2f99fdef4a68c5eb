"""Where blocking work runs: a bounded pool of threads, or the calling thread at once.

A service uses `Threads`; the command line and tests use `Inline`. Whoever needs work done is
handed one of them and never asks which.
"""

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from queue import Empty, SimpleQueue
from typing import Any, TypeVar, TypeVarTuple

from twisted.internet.defer import Deferred, execute, fail, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from invitereg.errors import Overloaded, Unavailable

T = TypeVar("T")
Args = TypeVarTuple("Args")

Process = Callable[[Sequence[Any]], Sequence[object]]
"""Does some jobs together and returns one outcome for each: its result, or a Failure."""


class Backlog:
    """How many jobs were taken on and are not answered yet. For the reactor's thread only.

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
        """One job is answered."""
        self.size -= 1


class Threads:
    """A pool of threads with a bound on what may wait for it.

    Everything here is called in the reactor's thread.
    """

    def __init__(
        self,
        reactor: IReactorFromThreads,
        limit: int = 512,
        threads: int = max(2, os.cpu_count() or 1),
    ) -> None:
        """``limit`` jobs may wait or run; ``threads`` of them run at once."""
        self._reactor = reactor
        self._backlog = Backlog(limit)
        self._pool = ThreadPool(minthreads=0, maxthreads=threads, name="invitereg")
        self._batches: list[Batches] = []
        self._drained: Deferred[None] = Deferred()
        self._stopping = False

    @property
    def waiting(self) -> int:
        """How many jobs wait or run."""
        return self._backlog.size

    def start(self) -> None:
        """Begin; what was asked for earlier has waited. Not before a daemon has forked."""
        self._pool.start()

    def stop(self) -> Deferred[None]:
        """Refuse further jobs; fires when all that were taken on are answered."""
        if self._stopping:
            return succeed(None)
        self._stopping = True
        if not self._pool.started:
            self._pool.start()
        self._end_if_drained()
        return self._drained

    def run(self, function: Callable[[*Args], T], *args: *Args) -> Deferred[T]:
        """The outcome of ``function(*args)``, which runs in one of the threads.

        Raises:
            Overloaded: too many jobs wait already.
            Unavailable: `stop` was called.
        """
        done: Deferred[T] = Deferred()

        def answer(_success: bool, outcome: Any) -> None:
            self._reactor.callFromThread(self._answer, [(done, outcome)])

        try:
            self._enter()
        except (Overloaded, Unavailable) as refusal:
            return fail(refusal)
        self._pool.callInThreadWithCallback(answer, function, *args)
        return done

    def batches(self, process: Process, most: int = 64) -> "Batches":
        """One more thread, which does up to ``most`` waiting jobs together by ``process``."""
        batches = Batches(process, most, self._enter, self._answer_from_thread)
        self._batches.append(batches)
        return batches

    def _enter(self) -> None:
        if self._stopping:
            raise Unavailable("stopping")
        self._backlog.enter()

    def _answer_from_thread(self, answers: "Answers") -> None:
        self._reactor.callFromThread(self._answer, answers)

    def _answer(self, answers: "Answers") -> None:
        for done, outcome in answers:
            # Left first: who is answered may go on with the next step of its work at once.
            self._backlog.leave()
            if isinstance(outcome, Failure):
                done.errback(outcome)
            else:
                done.callback(outcome)
        if self._stopping:
            self._end_if_drained()

    def _end_if_drained(self) -> None:
        if self._backlog.size == 0 and not self._drained.called:
            for batches in self._batches:
                batches.stop()
            self._pool.stop()
            self._drained.callback(None)


Answers = Iterable[tuple[Deferred[Any], object]]


class Batches:
    """A thread of its own that does all jobs that wait together: made by `Threads.batches`."""

    def __init__(
        self,
        process: Process,
        most: int,
        enter: Callable[[], None],
        answer: Callable[[Answers], None],
    ) -> None:
        self._process = process
        self._most = most
        self._enter = enter
        self._answer = answer
        self._queue: SimpleQueue[tuple[Deferred[Any], Any] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def add(self, job: Any) -> Deferred[Any]:
        """The outcome of ``job``, done together with what else waits; raises as `run`."""
        try:
            self._enter()
        except (Overloaded, Unavailable) as refusal:
            return fail(refusal)
        if self._thread is None:
            # Only now: a thread that was started before a daemon forks is lost by it.
            self._thread = threading.Thread(target=self._work, name="batches", daemon=True)
            self._thread.start()
        done: Deferred[Any] = Deferred()
        self._queue.put((done, job))
        return done

    def stop(self) -> None:
        """End the thread; nothing may wait any more."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()

    def _work(self) -> None:
        while entries := self._take():
            jobs = [job for _done, job in entries]
            try:
                outcomes = self._process(jobs)
            except Exception:
                outcomes = [Failure() for _job in jobs]
            answered = [done for done, _job in entries]
            self._answer(list(zip(answered, outcomes, strict=True)))

    def _take(self) -> list[tuple[Deferred[Any], Any]]:
        """What waits, at least one entry; nothing once the thread is to end."""
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
    """Does everything in the calling thread, before it returns."""

    def run(self, function: Callable[[*Args], T], *args: *Args) -> Deferred[T]:
        """The outcome of ``function(*args)``, as a Deferred that has fired."""
        return execute(function, *args)

    def batches(self, process: Process, most: int = 1) -> "InlineBatches":
        """Does each job by itself by ``process``; ``most`` is for `Threads` only."""
        return InlineBatches(process, most)


class InlineBatches:
    """What `Inline.batches` makes."""

    def __init__(self, process: Process, most: int) -> None:
        self._process = process
        self._most = most

    def add(self, job: Any) -> Deferred[Any]:
        """The outcome of ``job``, as a Deferred that has fired."""
        return execute(self._process, [job]).addCallback(itemgetter(0))


Work = Threads | Inline
