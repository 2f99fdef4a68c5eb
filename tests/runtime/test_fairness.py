"""Who uses up a share of the reactor's time waits, and nobody else does."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from invitereg.runtime.fairness import BURST, SHARE, TimeBudgets


class TimeBudgetsTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.budgets = TimeBudgets(self.clock.seconds)

    def spend(self, who, seconds):
        with self.budgets.spending(who):
            self.clock.advance(seconds)

    def test_burst(self):
        """A little work is done at once, and what is more waits until its share has paid it."""
        self.spend("juliet", BURST)
        self.assertEqual(self.budgets.seconds_to_wait("juliet"), 0)
        self.spend("juliet", 0.1)
        waits = self.budgets.seconds_to_wait("juliet")
        self.assertAlmostEqual(waits, 0.1 / SHARE - 0.1 - BURST, delta=BURST + 0.1)
        self.assertEqual(self.budgets.seconds_to_wait("romeo"), 0)
        self.clock.advance(waits)
        self.assertEqual(self.budgets.seconds_to_wait("juliet"), 0)

    def test_nested(self):
        """What is done within counts once, for whom it is done."""
        with self.budgets.spending("juliet"):
            self.spend("romeo", 10)
        self.assertGreater(self.budgets.seconds_to_wait("juliet"), 0)
        self.assertEqual(self.budgets.seconds_to_wait("romeo"), 0)

    def test_failed(self):
        """Work that fails counts too, and the next is measured."""
        for who in ("juliet", "romeo"):
            with self.assertRaises(ZeroDivisionError), self.budgets.spending(who):
                self.clock.advance(10)
                raise ZeroDivisionError
            self.assertGreater(self.budgets.seconds_to_wait(who), 0)

    def test_nobody(self):
        """Who is exempt never waits."""
        self.spend(None, 100)
        self.assertEqual(self.budgets.seconds_to_wait(None), 0)

    def test_forgotten(self):
        """Those who have used nothing lately are forgotten, and of too many the first ones."""
        for number in range(1000):
            self.spend(number, 0.001)
        self.clock.advance(10)
        for _ in range(2000):
            self.spend("juliet", 0.001)
        self.assertEqual(len(self.budgets), 1)
        for number in range(20_000):
            self.spend(number, 1e-9)
        self.assertLessEqual(len(self.budgets), 10_000)

    @given(st.lists(st.floats(0.001, 0.5), min_size=1, max_size=50))
    def test_share(self, works):
        """However it is spread, nobody has much more than their share of a long time."""
        self.setUp()
        for work in works:
            self.clock.advance(self.budgets.seconds_to_wait("juliet"))
            self.spend("juliet", work)
        self.clock.advance(self.budgets.seconds_to_wait("juliet"))
        allowed = SHARE * self.clock.seconds() + BURST + max(works)
        self.assertLessEqual(sum(works), allowed + 1e-6)
