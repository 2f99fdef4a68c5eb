"""How much work may wait, and whose."""

import gc
import threading
import weakref
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.trial.unittest import SynchronousTestCase, TestCase

from invitereg.errors import Overloaded
from invitereg.policy.networks import Share
from invitereg.runtime.deferreds import SharedCall
from invitereg.runtime.threads import Threads
from invitereg.runtime.workqueue import (
    Backlog,
    Client,
    current_client,
    on_behalf_of,
)

ONE, OTHER = Share("192.0.2.1/32"), Share("198.51.100.1/32")


class BacklogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.backlog = Backlog(64)

    def fill(self, client: Client | None) -> int:
        """Enter jobs until no more are taken; returns how many were."""
        for count in range(1000):
            try:
                self.backlog.enter(client)
            except Overloaded:
                return count
        return 1000

    def test_service_itself(self) -> None:
        """What nobody has asked for may fill the queue."""
        self.assertEqual(self.fill(None), 64)

    def test_one_network(self) -> None:
        """A network alone has half of the queue, and leaves each other its part of the rest."""
        self.assertEqual(self.fill(Client("web", (ONE,))), 32)
        self.assertEqual(self.fill(Client("web", (OTHER,))), 8)

    def test_many_networks(self) -> None:
        """A door whose clients come from everywhere leaves a quarter to other doors."""
        shares = [Share(f"192.0.2.{number}/32") for number in range(100)]
        taken = sum(self.fill(Client("web", (share,))) for share in shares)
        self.assertEqual(taken, 48)
        self.assertEqual(self.fill(Client("c2s", (ONE,))), 8)
        self.assertEqual(self.fill(Client("web")), 0)
        self.assertEqual(self.fill(None), 8)

    def test_nested(self) -> None:
        """An IPv6 prefix has as much as its share says, however many networks it has."""
        wide = Share("2001:db8::/48", 4)
        self.fill(Client("web", (OTHER,)))
        single = (Client("web", (Share(f"2001:db8:0:{n:x}::/64"), wide)) for n in range(1, 9))
        self.assertEqual([self.fill(client) for client in single], [8, 8, 0, 0, 0, 0, 0, 0])

    def test_small(self) -> None:
        """Each client may have one job, however small the queue is."""
        for limit in (1, 2, 3):
            backlog = Backlog(limit)
            backlog.enter(Client("web", (ONE,)))
            backlog.leave(Client("web", (ONE,)))
            self.assertEqual(backlog.size, 0)

    @given(
        st.lists(
            st.one_of(
                st.builds(
                    Client,
                    st.sampled_from(["web", "c2s"]),
                    st.sampled_from([(), (ONE,), (OTHER,)]),
                ),
                st.none(),
                st.integers(0, 64),
            ),
            max_size=150,
        )
    )
    def test_any_order(self, steps: "list[Client | int | None]") -> None:
        """However jobs come and go, no door takes all, and nothing stays counted."""
        backlog, inside = Backlog(16), list[Client | None]()
        for step in steps:
            if isinstance(step, int):
                for client in inside[step : step + 1]:
                    backlog.leave(client)
                del inside[step : step + 1]
                continue
            try:
                backlog.enter(step)
            except Overloaded:
                of_door = [one for one in inside if one and step and one.door == step.door]
                mine = inside.count(step)
                full = len(inside) == 16 or len(of_door) >= 12
                self.assertTrue(full or (len(inside) >= 8 and mine >= 2))
            else:
                inside.append(step)
            for door in ("web", "c2s"):
                self.assertLessEqual(sum(one is not None and one.door == door
                                         for one in inside), 12)  # fmt: skip
            self.assertEqual(backlog.size, len(inside))
        for client in inside:
            backlog.leave(client)
        self.assertEqual((backlog.size, dict(backlog._of)), (0, {}))


class BehalfTests(TestCase):
    async def test_fairness(self) -> None:
        """While one network's jobs fill its part of the queue, another's are done."""
        threads = Threads(reactor, limit=16, threads=2)
        threads.start()
        self.addCleanup(threads.stop)
        batches = threads.batches(lambda jobs, _settle: [job() for job in jobs])
        release = threading.Event()
        self.addCleanup(release.set)
        with on_behalf_of(Client("web", (ONE,))):
            mine = [batches.add(release.wait) for _ in range(8)]
            for _ in range(20):
                self.failureResultOf(batches.add(release.wait), Overloaded)
                self.failureResultOf(threads.run(len, ""), Overloaded)
        with on_behalf_of(Client("c2s", (ONE,))):
            self.assertEqual(await threads.run(len, "abc"), 3)
        with on_behalf_of(Client("web", (OTHER,))):
            self.assertEqual(await threads.run(len, "abc"), 3)
        release.set()
        await gatherResults(mine)
        self.assertEqual(threads._backlog._of, {})

    def test_coroutines(self) -> None:
        """What a coroutine asks for later is still its client's, and nobody else's."""
        seen: list[Any] = []
        answer: Deferred[None] = Deferred()

        async def work() -> None:
            seen.append(current_client())
            await answer
            seen.append(current_client())

        one = Client("web", (ONE,))
        with on_behalf_of(one):
            working = Deferred.fromCoroutine(work())
        self.assertIsNone(current_client())
        with on_behalf_of(Client("c2s", (OTHER,))):
            answer.callback(None)
        self.successResultOf(working)
        self.assertEqual(seen, [one, one])


class SharedCallTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.calls: list[Deferred[str]] = []
        self.ask = SharedCall(self.call)

    def call(self) -> "Deferred[str]":
        self.calls.append(Deferred())
        return self.calls[-1]

    def test_together(self) -> None:
        """Who asks meanwhile gets the same outcome, and who asks later another one."""
        asked = [self.ask(), self.ask()]
        self.calls[0].callback("one")
        self.assertEqual([self.successResultOf(one) for one in asked], ["one"] * 2)
        later = self.ask()
        self.calls[1].callback("other")
        self.assertEqual(self.successResultOf(later), "other")

    def test_gone(self) -> None:
        """Who waits no more ends neither the call nor the others' wait."""
        first, second, third = self.ask(), self.ask(), self.ask()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        second.addCallback(lambda _outcome: third.cancel())
        self.calls[0].callback("one")
        self.successResultOf(second)
        self.failureResultOf(third, CancelledError)
        self.assertEqual(len(self.calls), 1)

    def test_forgotten(self) -> None:
        """Nothing is kept of who stops waiting, however long the call takes."""
        hurried = self.ask()
        hurried.cancel()
        self.failureResultOf(hurried, CancelledError)
        kept = weakref.ref(hurried)
        del hurried
        gc.collect()
        self.assertIsNone(kept())

    def test_alone(self) -> None:
        """The call goes on when nobody waits any more, and is not made twice."""
        self.ask().addErrback(lambda failure: failure.trap(CancelledError)).cancel()
        later = self.ask()
        self.calls[0].callback("one")
        self.assertEqual(self.successResultOf(later), "one")

    def test_failure(self) -> None:
        """All are told that it failed, also where it could not even begin."""

        def fail() -> "Deferred[str]":
            raise Overloaded(1.0)

        self.failureResultOf(SharedCall(fail)(), Overloaded)
        asked = [self.ask(), self.ask()]
        self.calls[0].errback(Overloaded(1.0))
        for one in asked:
            self.failureResultOf(one, Overloaded)
