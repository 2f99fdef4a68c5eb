"""What keeps the log short."""

from twisted.internet.task import Clock
from twisted.logger import Logger, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from invitereg.runtime.logs import (
    CAUSES_KNOWN,
    CAUSES_PER_MINUTE,
    FOREIGN_CHARACTERS,
    LINES_PER_ADDRESS,
    LINES_PER_RULE,
    QUIET_SECONDS,
    FaultLog,
    RefusalLog,
    named,
    quoted,
)


class LogCase(SynchronousTestCase):
    def setUp(self):
        self.events = []
        self.log = Logger("test", observer=self.events.append)

    def lines(self):
        """What has been logged since the last call."""
        lines = [f"{event['log_level'].name} {formatEvent(event)}" for event in self.events]
        self.events.clear()
        return lines


class NamedTests(SynchronousTestCase):
    def test_named(self):
        """A name that is plain stands as it is, and any other in quotes, cut."""
        self.assertEqual(named("not-authorized"), "not-authorized")
        for odd in ("", "e" * 5000, "\u0430dmin", "x\n2026", "a b", 'a"', "-x"):
            self.assertEqual(named(odd), quoted(odd))
            self.assertLess(len(named(odd)), FOREIGN_CHARACTERS + 10)


class FaultLogTests(LogCase):
    def setUp(self):
        super().setUp()
        self.clock = Clock()
        self.faults = FaultLog(self.log, "Disk", self.clock.seconds)

    def test_once(self):
        """A fault is told when it begins and when it is over, however often it is met."""
        ids = {self.faults.failed("full") for _ in range(1000)}
        (error_id,) = ids
        self.assertEqual(self.lines(), [f"error Disk error {error_id}: full"])
        for _ in range(3):
            self.faults.worked()
        self.assertEqual(
            self.lines(),
            [f"info Disk works again after error {error_id} (999 more not logged)"],
        )

    def test_other_cause(self):
        """A second cause is told too, but not each time the two alternate."""
        ids = [self.faults.failed(cause) for _ in range(9) for cause in ("full", "broken")]
        self.assertEqual(len(set(ids)), 2)
        self.assertEqual(len(self.lines()), 2)
        self.faults.worked()
        text = f"after error {ids[0]}, {ids[1]} (16 more not logged)"
        self.assertEqual(self.lines(), [f"info Disk works again {text}"])

    def test_flapping(self):
        """What comes and goes all the time is told about once a minute."""
        first = self.faults.failed("full")
        self.faults.worked()
        self.lines()
        for _ in range(50):
            self.clock.advance(1)
            self.assertEqual(self.faults.failed("full"), first)
            self.faults.worked()
        self.assertEqual(self.lines(), [])
        self.clock.advance(QUIET_SECONDS)
        self.faults.worked()
        self.assertEqual(
            self.lines(), [f"info Disk works again after error {first} (50 more not logged)"]
        )

    def test_again(self):
        """A fault that comes back later is a new one."""
        first = self.faults.failed("full")
        self.faults.worked()
        self.clock.advance(QUIET_SECONDS)
        self.assertNotEqual(self.faults.failed("full"), first)
        self.assertEqual(len(self.lines()), 3)

    def test_many_causes(self):
        """Whoever makes up causes fills neither the log nor the memory."""
        for minute in range(1, 30):
            ids = {self.faults.failed(f"{minute} {number}") for number in range(1000)}
            self.assertEqual(len(ids), CAUSES_PER_MINUTE)
            lines = self.lines()
            self.assertEqual(len(lines), CAUSES_PER_MINUTE)
            self.assertTrue(all(any(one in line for line in lines) for one in ids))
            self.clock.advance(QUIET_SECONDS)
        self.assertLessEqual(len(self.faults._told), CAUSES_KNOWN)
        self.faults.worked()
        self.assertLess(len(self.lines()[0]), 400)


class RefusalLogTests(LogCase):
    def setUp(self):
        super().setUp()
        self.refusals = RefusalLog(self.log)

    def refuse(self, address, rule="invite-unknown", domain="example.com"):
        self.refusals.info(
            "refused at {domain} from {address}: {rule}",
            domain=domain,
            address=address,
            rule=rule,
        )

    def test_one_address(self):
        """One address does not fill the log, nor keep others out of it."""
        for _ in range(1000):
            self.refuse("192.0.2.1")
        self.refuse("192.0.2.2")
        self.refuse("192.0.2.1", rule="closed")
        self.refuse("192.0.2.1", domain="example.org")
        lines = self.lines()
        line = "info refused at example.com from 192.0.2.1: invite-unknown"
        self.assertEqual(lines[:LINES_PER_ADDRESS], [line] * LINES_PER_ADDRESS)
        self.assertEqual(len(lines), LINES_PER_ADDRESS + 3)
        self.refusals.sum_up()
        left = f"{1000 - LINES_PER_ADDRESS} more such lines left out"
        text = f"info {left} at example.com within a minute: invite-unknown"
        self.assertEqual(self.lines(), [text])

    def test_many_addresses(self):
        """Nor do many addresses."""
        for number in range(1000):
            self.refuse(f"2001:db8:{number}::1")
        self.assertEqual(len(self.lines()), LINES_PER_RULE)
        self.refusals.sum_up()
        self.assertEqual(len(self.lines()), 1)

    def test_every_minute(self):
        """After a minute, lines are written again; where none was left out, nobody says so."""
        self.refuse("192.0.2.1")
        self.refusals.sum_up()
        for _ in range(LINES_PER_ADDRESS):
            self.refuse("192.0.2.1")
        self.refusals.sum_up()
        self.assertEqual(len(self.lines()), 1 + LINES_PER_ADDRESS)
