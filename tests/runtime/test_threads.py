"""Where blocking work runs."""

import threading

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import Clock, deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from invitereg.errors import Overloaded, Unavailable
from invitereg.runtime.threads import Inline, Threads
from invitereg.runtime.workqueue import PATIENCE_SECONDS


def outcomes(jobs, _settle=None):
    """What a batch of functions comes to, each by itself."""
    results = []
    for job in jobs:
        try:
            results.append(job())
        except ZeroDivisionError:
            results.append(Failure())
    return results


class ThreadsTests(TestCase):
    def threads(self, **options):
        threads = Threads(reactor, **options)
        threads.start()
        self.addCleanup(threads.stop)
        return threads

    async def test_runs_elsewhere(self):
        """Blocking work does not hold up the reactor's thread."""
        ident = await self.threads().run(threading.get_ident)
        self.assertNotEqual(ident, threading.get_ident())

    async def test_fails(self):
        """What the work raises is what the caller gets."""
        await self.assertFailure(self.threads().run(divmod, 1, 0), ZeroDivisionError)

    async def test_waits_for_start(self):
        """Work asked for before the start is done after it."""
        threads = Threads(reactor)
        waiting = threads.run(len, "abc")
        threads.start()
        self.assertEqual(await waiting, 3)
        await threads.stop()

    async def test_overloaded(self):
        """Past the limit, further work is refused at once, be it run or batched."""
        threads = self.threads(limit=2)
        batches = threads.batches(outcomes)
        release = threading.Event()
        waiting = [threads.run(release.wait), batches.add(release.wait)]
        for refused in (threads.run(len, ""), batches.add(release.wait)):
            error = self.failureResultOf(refused, Overloaded).value
            self.assertEqual(error.retry_after, 1.0)
        release.set()
        await gatherResults(waiting)
        self.assertEqual(await threads.run(len, "abc"), 3)

    async def test_one_answer_makes_room_for_the_next_step(self):
        """Work in two steps gets its second step done, however small the limit."""
        threads = self.threads(limit=1)
        steps = threads.run(len, "abc").addCallback(lambda n: threads.run(range, n))
        self.assertEqual(await steps, range(3))

    async def test_cancelled_work_counts_until_it_is_done(self):
        """Who hangs up does not make room for more work than the limit."""
        threads = self.threads(limit=1)
        release = threading.Event()
        first = threads.run(release.wait)
        first.addErrback(lambda failure: None)
        first.cancel()
        self.failureResultOf(threads.run(len, ""), Overloaded)
        release.set()

    async def test_stop_waits(self):
        """A stop lets what was taken on be finished and answered, and takes on nothing."""
        threads = Threads(reactor)
        threads.start()
        batches = threads.batches(outcomes)
        release = threading.Event()
        waiting = [threads.run(release.wait, 30), batches.add(lambda: release.wait(30))]
        stopped = threads.stop()
        self.failureResultOf(threads.run(len, ""), Unavailable)
        self.failureResultOf(batches.add(len), Unavailable)
        self.assertNoResult(stopped)
        release.set()
        await stopped
        self.assertEqual([self.successResultOf(done) for done in waiting], [True, True])
        await threads.stop()

    async def test_stop_without_start(self):
        """A service that never came up can be stopped; nobody is left without an answer."""
        threads = Threads(reactor)
        waiting = threads.run(len, "abc")
        await threads.stop()
        self.assertEqual(self.successResultOf(waiting), 3)

    async def test_batches(self):
        """What waits is done together, in order, at most so many at once."""
        sizes = []
        release = threading.Event()

        def process(jobs, _settle):
            sizes.append(len(jobs))
            return outcomes(jobs)

        batches = self.threads().batches(process, most=3)
        first = batches.add(release.wait)
        # One that is under way ends alone: these come while it is held.
        while not sizes:
            await self.pause()
        rest = [batches.add(lambda n=n: 6 // n) for n in range(5)]
        release.set()
        await first
        await self.assertFailure(rest[0], ZeroDivisionError)
        self.assertEqual([await done for done in rest[1:]], [6, 3, 2, 1])
        self.assertEqual(sizes, [1, 3, 2])

    def pause(self):
        """Let the reactor turn once."""
        return deferLater(reactor, 0)

    async def test_batch_fails(self):
        """When a whole batch goes wrong, all who wait are told, and the next one is done."""

        def process(jobs, _settle):
            return [1 // job for job in jobs]

        batches = self.threads().batches(process)
        await self.assertFailure(batches.add(0), ZeroDivisionError)
        self.assertEqual(await batches.add(1), 1)


class PatienceTests(TestCase):
    """What takes too long. The time goes by as the test says; the threads are real."""

    def setUp(self):
        self.clock = Clock()
        self.clock.callFromThread = reactor.callFromThread
        self.release = threading.Event()
        self.begun = threading.Semaphore(0)

    def threads(self, **options):
        threads = Threads(self.clock, **options)
        threads.start()
        self.addCleanup(threads.stop)
        self.addCleanup(self.release.set)
        return threads

    def hang(self, threads, count=1):
        """Let so many threads hang."""
        hanging = [threads.run(self.hold) for _ in range(count)]
        for _ in hanging:
            self.begun.acquire()
        return hanging

    def hold(self):
        self.begun.release()
        self.release.wait()

    def wait(self):
        """As long as anybody is patient."""
        self.clock.advance(PATIENCE_SECONDS)

    def errors(self, deferreds):
        """The ids that those were told who were refused."""
        return {self.failureResultOf(done, Unavailable).value.error_id for done in deferreds}

    async def test_hanging(self):
        """All who wait are refused; further ones at once, until a thread moves again."""
        threads = self.threads(threads=2)
        done = []
        waiting = self.hang(threads, 2)
        waiting += [threads.run(done.append, number) for number in range(3)]
        self.clock.advance(PATIENCE_SECONDS - 1)
        for deferred in waiting:
            self.assertNoResult(deferred)
        self.wait()
        ids = self.errors([*waiting, threads.run(len, "")])
        self.assertEqual(len(ids), 1)
        self.release.set()
        while threads._lane._hanging:
            await deferLater(reactor, 0)
        self.assertEqual(await threads.run(len, "abc"), 3)
        self.assertEqual(done, [])

    async def test_one_hangs(self):
        """While one thread hangs, others go on."""
        threads = self.threads(threads=2)
        hanging = self.hang(threads)
        self.wait()
        self.errors(hanging)
        self.assertEqual(await threads.run(len, "abc"), 3)

    async def test_still_counted(self):
        """What hangs still counts as work, or the queue would grow for ever."""
        threads = self.threads(threads=2, limit=1)
        hanging = self.hang(threads)
        self.wait()
        self.errors(hanging)
        self.failureResultOf(threads.run(len, ""), Overloaded)

    async def test_batch(self):
        """Who was told that a write failed can be sure of it; the next batch is done."""
        written = []

        def process(jobs, settle):
            self.hold()
            if not settle():
                return [Failure(Unavailable("undone")) for _ in jobs]
            written.extend(jobs)
            return jobs

        threads = self.threads()
        batches = threads.batches(process)
        first = batches.add("first")
        self.begun.acquire()
        second = batches.add("second")
        self.wait()
        self.assertEqual(len(self.errors([first, second, batches.add("third")])), 1)
        self.assertEqual(await threads.run(len, "abc"), 3)
        self.release.set()
        while threads._backlog.size:
            await deferLater(reactor, 0)
        self.assertEqual(await batches.add("fourth"), "fourth")
        self.assertEqual(written, ["fourth"])

    async def test_stop(self):
        """A stop waits for what hangs: who wants to wait no longer must say so."""
        threads = self.threads()
        hanging = self.hang(threads)
        self.wait()
        self.errors(hanging)
        stopped = threads.stop()
        self.assertNoResult(stopped)
        self.release.set()
        await stopped


class InlineTests(SynchronousTestCase):
    def test_runs_here(self):
        """The command line's work is done when the call returns."""
        self.assertEqual(
            self.successResultOf(Inline().run(threading.get_ident)), threading.get_ident()
        )
        self.failureResultOf(Inline().run(divmod, 1, 0), ZeroDivisionError)

    def test_batches(self):
        """Each job is a batch of its own."""
        batches = Inline().batches(outcomes)
        self.assertEqual(self.successResultOf(batches.add(lambda: 3)), 3)
        self.failureResultOf(batches.add(lambda: 1 // 0), ZeroDivisionError)
