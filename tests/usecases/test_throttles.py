"""Tokens that are tried by a network that guesses."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from invitereg.errors import Overloaded
from invitereg.interfaces.queries import Findings, Query
from invitereg.policy.counters import guess_counters
from invitereg.policy.values import Policy, Tally
from invitereg.usecases.throttles import MAX_WAITING, TokenThrottle

NOW = datetime(2026, 10, 1, tzinfo=UTC)
HOME, OTHER = "192.0.2.1", "198.51.100.1"


class Store:
    """Answers when it is told to, with that many guesses.

    Attributes:
        guesses: how many were made, by network.
        asked: what is not answered yet.
    """

    def __init__(self) -> None:
        self.guesses: dict[str, int] = {}
        self.asked: list[tuple[Query, Deferred[Findings]]] = []

    def look_up(self, query: Query) -> "Deferred[Findings]":
        self.asked.append((query, Deferred()))
        return self.asked[-1][1]

    def answer(self) -> None:
        """Answer what has waited longest."""
        query, waiting = self.asked.pop(0)
        counts = [self.guesses.get(counter.key, 0) for counter in query.counters]
        findings = Findings(tallies=tuple(Tally(count=count, oldest=NOW) for count in counts))
        if not waiting.called:
            waiting.callback(findings)

    def answer_all(self) -> int:
        """Answer until nobody asks any more; returns how many asked at once at most."""
        most = 0
        while self.asked:
            most = max(most, len(self.asked))
            self.answer()
        return most


class TokenThrottleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = Store()
        store: Any = self.store
        self.throttle = TokenThrottle(store)

    def look_up(self, address: str = HOME, seconds: int = 0) -> "Deferred[Findings]":
        counters = guess_counters(Policy(), ip_address(address))
        now = NOW + timedelta(seconds=seconds)
        query = Query(domain="example.com", now=now, digest=b"x", counters=counters)
        return Deferred.fromCoroutine(self.throttle.look_up(query))

    def guessing(self, address: str = HOME) -> None:
        """Let the network be past its limit, and the throttle know."""
        self.store.guesses[f"{address}/32"] = 10
        self.look_up(address)
        self.store.answer_all()

    def test_at_once(self) -> None:
        """Tokens of networks that do not guess are all looked up at once."""
        for _ in range(20):
            self.look_up()
        self.assertEqual(self.store.answer_all(), 20)

    def test_one_at_a_time(self) -> None:
        """Of a network that guesses one is looked up at a time, in order; of others, all."""
        self.guessing()
        mine = [self.look_up(seconds=number) for number in range(20)]
        others = [self.look_up(OTHER) for _ in range(5)]
        self.assertEqual(len(self.store.asked), 1 + len(others))
        self.store.answer_all()
        for working in (*mine, *others):
            self.successResultOf(working)

    @given(st.lists(st.sampled_from(["ask", "ask", "hang up", "answer"]), max_size=60))
    def test_hanging_up(self, steps: list[str]) -> None:
        """Who hangs up gets no second look-up at the same time, and blocks nobody."""
        self.setUp()
        self.guessing()
        waiting: list[Deferred[Findings]] = []
        for number, step in enumerate(steps):
            if step == "ask":
                waiting.append(self.look_up())
            elif step == "hang up" and waiting:
                gone = waiting.pop(number % len(waiting))
                if not gone.called:
                    gone.cancel()
                    self.failureResultOf(gone, CancelledError)
            elif step == "answer" and self.store.asked:
                self.store.answer()
            self.assertLessEqual(len(self.store.asked), 1)
        self.store.answer_all()
        for working in waiting:
            self.successResultOf(working)

    def test_nested_networks(self) -> None:
        """Of a subscriber who guesses from many IPv6 networks one is looked up at a time."""
        homes = [f"2001:db8:1:{number:x}::1" for number in range(10)]
        self.store.guesses["2001:db8:1::/48"] = 40
        for home in homes:
            self.look_up(home)
        self.assertEqual(self.store.answer_all(), len(homes))
        waiting = [self.look_up(home) for home in homes]
        self.assertEqual(self.store.answer_all(), 1)
        for working in waiting:
            self.successResultOf(working)

    def test_too_many(self) -> None:
        """As many may wait as fit; further ones are told that the server is busy."""
        self.guessing()
        waiting = [self.look_up() for _ in range(1 + MAX_WAITING)]
        self.failureResultOf(self.look_up(), Overloaded)
        self.successResultOf(self.fires(self.look_up(OTHER)))
        for working in waiting:
            self.successResultOf(working)

    def fires(self, working: "Deferred[Findings]") -> "Deferred[Findings]":
        self.store.answer_all()
        return working

    def test_over(self) -> None:
        """When the period is over, tokens are looked up at once again."""
        self.guessing()
        self.store.guesses.clear()
        self.look_up()
        self.store.answer_all()
        for _ in range(5):
            self.look_up()
        self.assertEqual(self.store.answer_all(), 5)

    def test_many_networks(self) -> None:
        """What is remembered of networks that guess is bounded."""
        for number in range(3000):
            self.guessing(f"10.0.{number // 256}.{number % 256}")
        self.assertLessEqual(len(self.throttle._turns), 1000)
        self.look_up("10.0.11.1")
        self.look_up("10.0.11.1")
        self.assertEqual(len(self.store.asked), 1)
