"""What the service does by itself."""

from datetime import timedelta

from twisted.internet.defer import fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from invitereg.domain.sessions import Sessions
from invitereg.errors import Unavailable
from invitereg.interfaces import Redemption
from invitereg.keys import Once
from invitereg.model import Kind, Use
from invitereg.store.memory_keys import MemoryKeyStore
from invitereg.testing import clock_now, make_account, make_invite, memory_store
from invitereg.upkeep import ADDRESSES_AT_ONCE, ADDRESSES_SECONDS, Upkeep

DOMAIN = "example.com"


def _seen(seen):
    def see(number):
        seen.append(number)
        return number

    return see


class UpkeepTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.now = clock_now(self.clock)
        self.store = memory_store()
        self.keys = MemoryKeyStore(self.store)

    def start(self, keep_addresses=timedelta(days=1)):
        sessions = Sessions(self.store)
        upkeep = Upkeep(
            self.clock,
            self.now,
            self.store,
            self.keys,
            sessions,
            {DOMAIN: None},
            keep_addresses,
        )
        upkeep.start()
        self.addCleanup(upkeep.stop)
        return upkeep

    def register(self, *usernames):
        for username in usernames:
            use = Use(
                domain=DOMAIN,
                username=username,
                kind=Kind.ACCOUNT,
                at=self.now(),
                door="c2s",
                address="192.0.2.1",
            )
            redemption = Redemption(account=make_account(username=username), use=use)
            self.successResultOf(self.store.redeem(redemption))

    def addresses(self):
        uses = self.successResultOf(self.store.list_uses(DOMAIN))
        return [use.address for use in uses]

    def wait(self, time):
        """Let the hours go by, one after the other."""
        for _ in range(round(time.total_seconds() / ADDRESSES_SECONDS)):
            self.clock.advance(ADDRESSES_SECONDS)

    def test_addresses_are_forgotten(self):
        """Within the hour after its time, an address is gone from the history."""
        self.start()
        self.register("juliet")
        self.wait(timedelta(hours=12))
        self.register("nurse")
        self.wait(timedelta(hours=11))
        self.assertEqual(self.addresses(), ["192.0.2.1", "192.0.2.1"])
        self.wait(timedelta(hours=2))
        self.assertEqual(self.addresses(), [None, "192.0.2.1"])

    def test_requests_are_forgotten(self):
        """A request that may not be repeated any more is forgotten."""
        purged = []
        purge = self.keys.purge_repeats
        self.patch(
            self.keys, "purge_repeats", lambda *asked: purge(*asked).addCallback(_seen(purged))
        )
        once = Once(key_id="portal", name=b"n" * 32, request=b"r" * 32)
        made = self.keys.create_invite_once(make_invite(), b"d" * 32, once)
        self.successResultOf(made)
        self.start()
        self.wait(timedelta(hours=25))
        self.assertEqual(sum(purged), 1)
        self.assertEqual(purged[:24], [0] * 24)

    def test_many(self):
        """However many there are, none is left over, and each step is small."""
        self.register(*(f"user{number}" for number in range(2 * ADDRESSES_AT_ONCE + 1)))
        steps = []
        forget = self.store.forget_addresses

        def watch(domain, before, at_most):
            steps.append(at_most)
            return forget(domain, before, at_most)

        self.patch(self.store, "forget_addresses", watch)
        self.wait(timedelta(days=1))
        self.start()
        self.assertEqual(set(self.addresses()), {None})
        self.assertEqual(steps, [ADDRESSES_AT_ONCE] * 3)

    def test_kept(self):
        """Who wants to keep addresses keeps them."""
        self.register("juliet")
        self.start(keep_addresses=None)
        self.wait(timedelta(days=400))
        self.assertEqual(self.addresses(), ["192.0.2.1"])

    def test_goes_on(self):
        """A store that fails for an hour is asked again the next."""
        self.register("juliet")
        self.wait(timedelta(days=1))
        answers = [fail(Unavailable("x")), succeed(0)]
        self.patch(self.store, "forget_addresses", lambda *_: answers.pop(0))
        self.start()
        self.wait(timedelta(hours=1))
        self.assertEqual(answers, [])

    def test_defect(self):
        """Even a defect stops nothing, and is in the log."""
        self.register("juliet")
        answers = [fail(ValueError("x")), succeed(0)]
        self.patch(self.store, "forget_addresses", lambda *_: answers.pop(0))
        self.start()
        self.wait(timedelta(hours=1))
        self.assertEqual(answers, [])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_stop(self):
        """After stop, nothing is begun any more."""
        upkeep = self.start()
        upkeep.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
