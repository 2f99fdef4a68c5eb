"""What the service does by itself."""

from datetime import timedelta
from ipaddress import ip_address

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from invitereg.embedded.sessions import Sessions
from invitereg.errors import NotFound, Unavailable
from invitereg.interfaces.apikeys import IdempotencyKey
from invitereg.interfaces.leases import Job, Task
from invitereg.interfaces.queries import Query, Redemption
from invitereg.model.invites import Kind, Use, token_digest
from invitereg.policy.counters import counter_limits, guess_counters
from invitereg.policy.values import Domain, Policy
from invitereg.service.maintenance import (
    ROUND_SECONDS,
    ROWS,
    STEADY_SECONDS,
    TICK_SECONDS,
    Maintenance,
    Retention,
)
from invitereg.testing import clock_now, make_account, make_invite, memory_store
from invitereg.usecases.throttles import LoginThrottle

DOMAIN = "example.com"
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def _seen(seen):
    def see(number):
        seen.append(number)
        return number

    return see


class UpkeepTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.changed_by = timedelta()
        now = clock_now(self.clock)
        self.now = lambda: now() + self.changed_by
        self.store = memory_store()
        self.policy = Policy()

    def start(self, addresses=DAY, invites=None):
        upkeep = Maintenance(
            self.clock,
            self.now,
            self.store,
            {DOMAIN: Domain(name=DOMAIN, policy=self.policy)},
            Retention(addresses=addresses, invites=invites),
            each_second=[Sessions(self.store).carry_out_ends],
        )
        upkeep.startService()
        self.addCleanup(upkeep.stopService)
        return upkeep

    def steps(self, method):
        """How many rows each step of that method is told to remove, from now on."""
        steps, done = [], getattr(self.store, method)

        def watch(*arguments):
            steps.append(arguments[-1])
            return done(*arguments)

        self.patch(self.store, method, watch)
        return steps

    def logged(self):
        """The lines that are logged from now on."""
        lines = []

        def observe(event):
            lines.append(event)

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        return lines

    def register(self, *usernames, domain=DOMAIN):
        for username in usernames:
            use = Use(
                domain=domain,
                username=username,
                kind=Kind.ACCOUNT,
                at=self.now(),
                door="c2s",
                address="192.0.2.1",
            )
            redemption = Redemption(
                account=make_account(domain=domain, username=username), use=use
            )
            self.successResultOf(self.store.redeem(redemption))

    def addresses(self):
        uses = self.successResultOf(self.store.list_uses(DOMAIN))
        return [use.address for use in uses]

    def wait(self, time):
        """Let the time go by, as far as upkeep can tell."""
        for _ in range(round(time.total_seconds() / 60)):
            self.clock.pump([TICK_SECONDS] * 2 + [60 - 2 * TICK_SECONDS])

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

    def test_domain_that_is_no_longer_served(self):
        """What is kept of a domain goes in its time, also after it has left the file."""
        self.start(invites=DAY)
        former = "former.example"
        self.register("juliet", domain=former)
        over = make_invite(domain=former, expires_at=self.now() + HOUR, username="nurse")
        self.successResultOf(self.store.create_invite(over, b"d" * 32))
        counters = guess_counters(Policy(), ip_address("192.0.2.1"))
        self.successResultOf(self.store.hit(former, counters, self.now()))
        self.assertEqual(self.successResultOf(self.store.list_domains()), [former])
        self.wait(timedelta(hours=30))
        (use,) = self.successResultOf(self.store.list_uses(former))
        self.assertIsNone(use.address)
        left = self.successResultOf(self.store.list_invites(former, self.now(), None, limit=9))
        self.assertEqual(list(left), [])

    def test_names_networks_and_counts_of_former_domains(self):
        """So do its reserved names, its counts, and the networks of its logins."""
        self.start(invites=DAY)
        former = "former.example"
        over = make_invite(domain=former, expires_at=self.now() + HOUR, username="nurse")
        self.successResultOf(self.store.create_invite(over, b"d" * 32))
        address = ip_address("192.0.2.1")
        counters = guess_counters(self.policy, address)
        self.successResultOf(self.store.hit(former, counters, self.now()))
        throttle = LoginThrottle({former: Domain(name=former)}, self.store, self.now)
        login = throttle.attempt(former, address, "juliet", lambda: succeed(True))
        self.successResultOf(Deferred.fromCoroutine(login))
        self.assertEqual(self.successResultOf(self.store.list_domains()), [former])
        self.wait(timedelta(hours=50))
        self.assertEqual(self.successResultOf(self.store.list_domains()), [])

    def test_jobs_of_former_domains(self):
        """What a command asked of a server goes, with what is secret in it, at any domain."""
        self.start()
        for domain in (DOMAIN, "former.example"):
            asked = Job(
                domain=domain,
                username="juliet",
                task=Task.CREATE,
                at=self.now(),
                expires=self.now() + timedelta(seconds=10),
                details={"password": "sealed"},
            )
            self.successResultOf(self.store.add_job(asked))
        self.wait(timedelta(hours=3))
        for number in (1, 2):
            self.assertIsNone(self.successResultOf(self.store.get_job(number)))

    def test_requests_are_forgotten(self):
        """A request that may not be repeated any more is forgotten."""
        purged = []
        purge = self.store.purge_requests
        self.patch(
            self.store,
            "purge_requests",
            lambda *asked: purge(*asked).addCallback(_seen(purged)),
        )
        once = IdempotencyKey(key_id="portal", name=b"n" * 32, request=b"r" * 32)
        made = self.store.create_invite(make_invite(), b"d" * 32, key=once)
        self.successResultOf(made)
        self.start()
        self.wait(timedelta(hours=25))
        self.assertEqual(sum(purged), 1)
        self.assertEqual(purged[:24], [0] * 24)

    def test_session_ends(self):
        """What says that sessions are over is kept for a day, for services that stood still."""
        for number in range(ROWS + 3):
            self.register(f"user{number}")
            self.successResultOf(self.store.delete_account(DOMAIN, f"user{number}", self.now()))
        self.start()
        self.wait(timedelta(hours=23))
        self.assertEqual(len(self.successResultOf(self.store.session_ends(0))), ROWS + 3)
        self.wait(timedelta(hours=2))
        self.assertEqual(self.successResultOf(self.store.session_ends(0)), [])

    def test_used_networks(self):
        """Where an account was last used is forgotten with the addresses of that time."""
        self.register("juliet")
        purged = self.steps("purge_used_networks")
        self.start()
        self.wait(HOUR)
        self.assertEqual(len(purged), 1)

    def test_many(self):
        """However many there are, none is left over; each second has one small step."""
        self.register(*(f"user{number}" for number in range(2 * ROWS + 1)))
        self.clock.advance(DAY.total_seconds())
        steps = self.steps("forget_addresses")
        self.start()
        self.clock.advance(STEADY_SECONDS)
        self.assertEqual(steps, [ROWS])
        self.clock.advance(TICK_SECONDS)
        self.assertEqual(steps, [ROWS] * 2)
        self.clock.advance(TICK_SECONDS)
        self.assertEqual(steps, [ROWS] * 3)
        self.assertEqual(set(self.addresses()), {None})
        self.clock.advance(ROUND_SECONDS - STEADY_SECONDS)
        self.assertEqual(steps, [ROWS] * 3)

    def test_kept(self):
        """Who wants to keep addresses and invites keeps them."""
        self.register("juliet")
        self.add_invite("i")
        self.start(addresses=None)
        self.clock.advance(timedelta(days=400).total_seconds())
        self.wait(HOUR)
        self.assertEqual(self.addresses(), ["192.0.2.1"])
        self.successResultOf(self.store.get_invite(DOMAIN, "i"))

    def add_invite(self, invite_id, **changes):
        invite = make_invite(id=invite_id, created_at=self.now(), **changes)
        self.successResultOf(self.store.create_invite(invite, token_digest(invite_id)))

    def test_invites(self):
        """What was over for long enough goes, and what is not stays."""
        self.add_invite("old", expires_at=self.now() + HOUR)
        self.add_invite("pending", expires_at=None)
        self.add_invite("later", expires_at=self.now() + 2 * DAY)
        self.start(invites=2 * DAY)
        self.wait(2 * DAY)
        self.successResultOf(self.store.get_invite(DOMAIN, "old"))
        self.wait(2 * HOUR)
        self.failureResultOf(self.store.get_invite(DOMAIN, "old"), NotFound)
        for left in ("pending", "later"):
            self.successResultOf(self.store.get_invite(DOMAIN, left))

    def test_names(self):
        """Names of deleted accounts become free when they were kept long enough."""
        self.register("juliet", "nurse")
        self.successResultOf(
            self.store.delete_account(DOMAIN, "juliet", self.now(), until=self.now() + DAY)
        )
        self.successResultOf(self.store.delete_account(DOMAIN, "nurse", self.now()))
        self.start()
        self.wait(DAY - HOUR)
        self.assertEqual([self.deleted("juliet"), self.deleted("nurse")], [True, True])
        self.wait(2 * HOUR)
        self.assertEqual([self.deleted("juliet"), self.deleted("nurse")], [False, True])
        self.register("juliet")

    def deleted(self, username):
        query = Query(domain=DOMAIN, now=self.now(), username=username)
        return self.successResultOf(self.store.look_up(query)).deleted

    def test_counters(self):
        """What no longer counts is not kept."""
        counters = guess_counters(self.policy, ip_address("192.0.2.1"))
        self.successResultOf(self.store.hit(DOMAIN, counters, self.now()))
        left = self.steps("purge_hits")
        self.start()
        self.wait(HOUR)
        self.assertEqual(len(left), len(counter_limits(self.policy)))
        purged = self.store.purge_hits(DOMAIN, counters[0].name, self.now(), 9)
        self.assertEqual(self.successResultOf(purged), 0)

    def test_clock_ahead(self):
        """A clock that is suddenly years ahead removes nothing, and is in the log once."""
        self.register("juliet")
        self.start()
        lines = self.logged()
        self.clock.advance(STEADY_SECONDS - 5)
        self.changed_by = timedelta(days=3650)
        self.clock.pump([TICK_SECONDS] * 60)
        self.assertEqual(self.addresses(), ["192.0.2.1"])
        self.changed_by = timedelta(seconds=3)
        self.wait(2 * HOUR)
        self.assertEqual(self.addresses(), ["192.0.2.1"])
        jumps = [event["jump"] for event in lines if "jump" in event]
        self.assertEqual([round(jump) for jump in jumps], [315360000, 3 - 315360000])

    def test_clock_corrected(self):
        """A clock that is set right stays so, and then upkeep goes on."""
        self.register("juliet")
        self.start()
        self.wait(HOUR)
        self.changed_by = timedelta(days=3650)
        self.wait(HOUR)
        self.assertEqual(self.addresses(), [None])

    def test_goes_on(self):
        """A store that fails for an hour is asked again the next, and for the rest at once."""
        self.register("juliet")
        answers = [fail(Unavailable("x")), succeed(0)]
        self.patch(self.store, "forget_addresses", lambda *_: answers.pop(0))
        names = self.steps("purge_names")
        self.start()
        self.clock.pump([STEADY_SECONDS, TICK_SECONDS])
        self.assertEqual((len(answers), len(names)), (1, 1))
        self.wait(HOUR)
        self.assertEqual(answers, [])

    def test_defect(self):
        """Even a defect stops nothing, and is in the log."""
        self.register("juliet")
        answers = [fail(ValueError("x")), succeed(0), succeed(0)]
        self.patch(self.store, "forget_addresses", lambda *_: answers.pop(0))
        self.start()
        self.wait(2 * HOUR)
        self.assertEqual(len(answers), 1)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_stop(self):
        """After stop, nothing is begun any more."""
        upkeep = self.start()
        upkeep.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_under_way(self):
        """A stop does not wait for a removal, which ends when the store stops after it."""
        self.register("juliet")
        self.patch(self.store, "forget_addresses", lambda *_: Deferred())
        removals = self.steps("forget_addresses")
        upkeep = self.start()
        self.clock.pump([STEADY_SECONDS, TICK_SECONDS])
        self.assertEqual(len(removals), 1)
        self.successResultOf(maybeDeferred(upkeep.stopService))
        self.assertEqual(self.clock.getDelayedCalls(), [])
