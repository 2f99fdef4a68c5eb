"""What keeps unexpected errors and foreign texts from filling or forging the log."""

from io import StringIO

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import Logger, LogPublisher, textFileLogObserver
from twisted.python import log as legacy
from twisted.trial.unittest import SynchronousTestCase

from invitereg.runtime.logs import (
    ERRORS,
    ERRORS_PER_PLACE,
    FOREIGN_CHARACTERS,
    LINES_PER_FORMAT,
    LogGuard,
    quoted,
)


class LogGuardTests(SynchronousTestCase):
    """A publisher of its own, and its lines as twistd writes them."""

    def setUp(self):
        self.written = StringIO()
        self.publisher = LogPublisher(textFileLogObserver(self.written))
        self.guard = LogGuard(self.publisher)
        self.guard._log = Logger("invitereg.logguard", observer=self.publisher)
        self.guard.begin()
        self.ours = Logger("invitereg.x", observer=self.publisher)
        self.framework = Logger("twisted.web", observer=self.publisher)

    def lines(self):
        return self.written.getvalue().splitlines()

    def log_failure(self, log, message="oops"):
        try:
            raise ValueError(message)
        except ValueError:
            log.failure("a request failed")

    def fail_elsewhere(self, log, number):
        code = compile("\n" * number + "raise KeyError(1)", f"x{number}", "exec")
        try:
            exec(code)
        except KeyError:
            log.failure("a request failed")

    def tracebacks(self):
        return self.written.getvalue().count("Traceback (most recent call last)")

    def test_one_place(self):
        """An error that strangers can bring about fills no log, and others are told still."""
        for log in (self.ours, self.framework):
            for number in range(1000):
                self.log_failure(log, f"another text {number}")
        self.assertEqual(self.tracebacks(), 2 * ERRORS_PER_PLACE)
        self.fail_elsewhere(self.ours, 1)
        self.assertEqual(self.tracebacks(), 2 * ERRORS_PER_PLACE + 1)
        self.guard.sum_up()
        left_out = f"{1000 - ERRORS_PER_PLACE} more lines of invitereg.x left out"
        self.assertIn(left_out, self.written.getvalue())
        self.log_failure(self.ours)
        self.assertEqual(self.tracebacks(), 2 * ERRORS_PER_PLACE + 2)

    def test_many_places(self):
        """Nor do errors in many places."""
        for number in range(3 * ERRORS):
            self.fail_elsewhere(self.ours, number)
        self.assertEqual(self.tracebacks(), ERRORS)

    def test_twisted_legacy(self):
        """What Twisted's and wokkel's older functions log is bounded the same way."""
        publisher = legacy.LogPublisher(self.publisher, self.publisher)
        for _ in range(1000):
            try:
                raise KeyError("node")
            except KeyError:
                publisher.msg(failure=legacy.failure.Failure(), why=None, isError=1)
        self.assertEqual(self.tracebacks(), ERRORS_PER_PLACE)

    def test_framework(self):
        """The framework's own lines are bounded by what they say, whomever they are about."""
        for number in range(1000):
            self.framework.info("Timing out client: {peer}", peer=number)
        self.framework.info("another")
        self.assertEqual(len(self.lines()), LINES_PER_FORMAT + 1)

    def test_own_lines(self):
        """What the service says of what it has done is left out never."""
        for number in range(1000):
            self.ours.info("registered {username}", username=number)
        self.guard.sum_up()
        self.assertEqual(len(self.lines()), 1000)

    def test_ends(self):
        """After the service has stopped, everything is logged as before."""
        later = []
        self.publisher.addObserver(later.append)
        self.guard.end()
        for _ in range(1000):
            self.log_failure(self.ours)
        self.assertEqual((self.tracebacks(), len(later)), (1000, 1000))

    @given(st.text(), st.text())
    def test_controls(self, text, message):
        """No text in a line, and no error's, begins a line or commands a terminal."""
        before = len(self.written.getvalue())
        self.ours.info("it says {text}", text=text)
        self.log_failure(self.framework, message)
        self.guard.sum_up()
        written = self.written.getvalue()[before:]
        for line in written.split("\n"):
            self.assertRegex(line, r"\A(\d{4}-\d\d-\d\dT|\t|\Z)")
        first = written.split("\n2", 1)[0]
        self.assertTrue(first.replace("\n\t", "").strip().isprintable())


class QuotedTests(SynchronousTestCase):
    @given(st.text(max_size=3 * FOREIGN_CHARACTERS))
    def test_quoted(self, text):
        """Foreign text is short, printable, and ends where its quotes do."""
        found = quoted(text)
        self.assertTrue(found.isprintable())
        self.assertRegex(found, r'\A"([^"\\]|\\.)*"\Z')
        self.assertLessEqual(len(found), 2 + 10 * (FOREIGN_CHARACTERS + 1))
