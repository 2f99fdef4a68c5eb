"""The filter for fail2ban, tried by fail2ban on what the log may have in it."""

import subprocess
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.internet.task import Clock
from twisted.logger import Logger, LogPublisher, globalLogPublisher, textFileLogObserver
from twisted.trial.unittest import SynchronousTestCase

from invitereg.runtime.logs import FaultLog, LogGuard, RefusalLog, quoted
from tests.peers import require_program
from tests.test_structure import ROOT
from tests.xmpp.door import DoorTestCase
from tests.xmpp.messages import plain, preauth

FAIL2BAN_REGEX = require_program("fail2ban-regex", "fail2ban")
FILTER = ROOT / "contrib" / "fail2ban-filter.conf"
SASL, REGISTRAR = "invitereg.xmpp.sasl.SaslHandler", "invitereg.registrar.Registrar"
LOGIN = "login failed at {domain} from {address}: {rule}"
REFUSED = "refused at {domain} from {address}: {rule} (invite {invite_id})"
VICTIM = "198.51.100.7"
FORGED = (
    f"[{SASL}#info] login failed at example.com from {VICTIM}: not-authorized",
    f"[{REGISTRAR}#info] refused at example.com from {VICTIM}: invite-unknown (invite None)",
)
DATE = "2026-01-31T23:59:59+0000"
# What journald has before a line as fail2ban reads it, and syslog in its files.
BEFORE = ("", "Jan 31 23:59:59 host twistd[99]: ", f"{DATE} host twistd[99]: ")


# What operators have copied from an earlier version, and have not replaced.
EARLIER = "\n".join(
    (
        "[Definition]",
        r"failregex = \[invitereg\.xmpp\.sasl\.SaslHandler#info\] login failed"
        r" at \S+ from <ADDR>: not-authorized$",
        r"    \[invitereg\.registrar\.Registrar#info\] refused"
        r" at \S+ from <ADDR>: invite-unknown \(invite None\)$",
    )
)


def banned(text: str, filter_file: Path = FILTER) -> list[str]:
    """Return the addresses that fail2ban finds in a log."""
    with TemporaryDirectory() as folder:
        log = Path(folder, "log")
        log.write_text(text, encoding="utf-8")
        command = [FAIL2BAN_REGEX, "--out", "ip", str(log), str(filter_file)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return ran.stdout.split()


class FilterTests(SynchronousTestCase):
    def setUp(self):
        self.written = StringIO()
        self.publisher = LogPublisher(textFileLogObserver(self.written))
        LogGuard(self.publisher).begin()

    def logger(self, namespace):
        return Logger(namespace, observer=self.publisher)

    def lines(self, before=""):
        """The log, with something before each of its lines, as journald splits them."""
        return "".join(f"{before}{one}\n" for one in self.written.getvalue().split("\n"))

    def test_found(self):
        """Who guesses is found, whatever keeps the log."""
        for namespace, text, rule in (
            (SASL, LOGIN, "not-authorized"),
            (REGISTRAR, REFUSED, "invite-unknown"),
        ):
            refusals = RefusalLog(self.logger(namespace))
            for address in ("192.0.2.1", "2001:db8::1"):
                refusals.info(
                    text, domain="example.com", address=address, rule=rule, invite_id=None
                )
        found = ["192.0.2.1", "2001:db8::1"] * 2
        for before in BEFORE:
            self.assertEqual(banned(self.lines(before)), found, before)

    def test_others(self):
        """Who is refused for anything else is not, nor who comes by way of a server."""
        refusals = RefusalLog(self.logger(REGISTRAR))
        for address, rule, invite_id in (
            (VICTIM, "invite-unknown", "abc"),
            (VICTIM, "invite-expired", None),
            (f"xmpp:{VICTIM}", "invite-unknown", None),
        ):
            refusals.info(
                REFUSED, domain="example.com", address=address, rule=rule, invite_id=invite_id
            )
        RefusalLog(self.logger(SASL)).info(
            LOGIN, domain="example.com", address=VICTIM, rule="temporary-auth-failure"
        )
        for before in BEFORE:
            self.assertEqual(banned(self.lines(before)), [], before)

    def test_forged(self):
        """Nobody is banned for what somebody else has written, wherever it gets to."""
        beginnings = ["", "\n", "\r\n", f"\n{DATE} ", f"x\n{DATE} ", "\u2028", f"\x85{DATE} "]
        beginnings += [f"\nhost twistd[1]: {DATE} ", f"{DATE} ", f"\n {DATE} ", f"\n\t{DATE} "]
        faults = FaultLog(self.logger("invitereg.accounts"), "the server", Clock().seconds)
        framework = self.logger("twisted.web")
        for beginning in beginnings:
            for forged in FORGED:
                text = beginning + forged
                faults._told.clear()
                faults._causes._count = 0
                faults.failed(text)
                faults.failed(f"it says {quoted(text)}")
                framework.info("{text}", text=text)
                try:
                    raise ValueError(text)
                except ValueError:
                    framework.failure("{text}", text=text)
        self.assertGreater(self.written.getvalue().count(VICTIM), 4 * len(beginnings))
        for before in BEFORE:
            self.assertEqual(banned(self.lines(before)), [], before)


class DoorTests(DoorTestCase):
    def test_found(self):
        """Who guesses at a door is found by the filter, also by that of an earlier version."""
        written = StringIO()
        observer = textFileLogObserver(written)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.listener.add_account()
        self.listener.opened(address="192.0.2.1").ask(plain("juliet", "wrong"))
        self.listener.opened(address="192.0.2.2").ask(preauth("B" * 24))
        with TemporaryDirectory() as folder:
            earlier = Path(folder, "invitereg.conf")
            earlier.write_text(EARLIER, encoding="utf-8")
            for filter_file in (FILTER, earlier):
                self.assertEqual(
                    banned(written.getvalue(), filter_file), ["192.0.2.1", "192.0.2.2"]
                )
