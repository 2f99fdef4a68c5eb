"""The real command in a process of its own: statuses, streams, signals, and what it loads."""

import json
import re
import subprocess
import sys

import pytest

from tests.cli.case import CommandCase
from tests.cli.terminal import SECONDS, Terminal, command_line, environment, run
from tests.service.running import Service

pytestmark = pytest.mark.slow


class StatusTests(CommandCase):
    def test_done(self) -> None:
        """A script gets its object on standard output, and 0."""
        done = run(self.config, "invite", "create", "--json")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(len(json.loads(done.stdout)), 11)

    def test_refused(self) -> None:
        """A refusal is one line on standard error, and 1."""
        refused = run(self.config, "invite", "show", "nothing")
        self.assertEqual((refused.returncode, refused.stdout), (1, ""))
        self.assertEqual(refused.stderr, "There is no invite nothing at example.com.\n")

    def test_misused(self) -> None:
        """Wrong usage and a wrong configuration are 2."""
        self.assertEqual(run(self.config, "invite", "create", "--uses", "x").returncode, 2)
        missing = run(self.folder / "missing.yaml", "invite", "list")
        self.assertEqual((missing.returncode, missing.stdout), (2, ""))
        self.assertEqual(missing.stderr.count("\n"), 1)

    def test_password_on_pipe(self) -> None:
        """A password comes through a pipe."""
        made = run(self.config, "account", "create", "romeo", stdin="pw\n")
        self.assertEqual((made.returncode, made.stderr), (0, ""))

    def test_not_text(self) -> None:
        """An argument in another encoding is wrong usage, not a traceback."""
        line = [*command_line(self.config, "invite", "show"), b"\xff"]
        refused = subprocess.run(line, capture_output=True, env=environment(), timeout=SECONDS)
        self.assertEqual(refused.returncode, 2)
        self.assertIn(b"UTF-8", refused.stderr)

    def test_closed_pipe(self) -> None:
        """A reader that has seen enough, such as head, is no reason for a traceback."""
        for _ in range(3):
            self.done("invite", "create", "--note", "x" * 60000)
        line = command_line(self.config, "invite", "list", "--json")
        process = subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
        )
        assert process.stdout is not None
        process.stdout.read(10)
        process.stdout.close()
        self.assertEqual(process.communicate(timeout=SECONDS)[1], b"")

    def test_loads_little(self) -> None:
        """The version is there at once: it loads neither the database nor the service."""
        program = (
            "import sys; from invitereg.cli.root import command;"
            "command(['--version'], standalone_mode=False);"
            "print({'sqlalchemy', 'pydantic', 'twisted.internet'} & set(sys.modules))"
        )
        line = [sys.executable, "-c", program]
        printed = subprocess.run(
            line, capture_output=True, text=True, env=environment(), timeout=SECONDS
        ).stdout
        self.assertEqual(printed.splitlines()[-1], "set()")

    def test_loads_no_reactor(self) -> None:
        """To make an invite, neither a reactor nor TLS nor the list of passwords is loaded."""
        program = (
            "import sys; from invitereg.cli.root import command;"
            f"command(['--config', {str(self.config)!r}, 'invite', 'create'],"
            "standalone_mode=False);"
            "print({'twisted.internet.reactor', 'OpenSSL', 'alembic', 'rich', 'segno',"
            "'invitereg.service.service', 'zxcvbn_frequency_lists'} & set(sys.modules))"
        )
        line = [sys.executable, "-c", program]
        printed = subprocess.run(
            line, capture_output=True, text=True, env=environment(), timeout=SECONDS
        ).stdout
        self.assertEqual(printed.splitlines()[-1], "set()")


class TerminalTests(CommandCase):
    def terminal(self, *arguments: str) -> Terminal:
        terminal = Terminal(self.config, *arguments)
        self.addCleanup(terminal.close)
        return terminal

    def test_password_typed(self) -> None:
        """On a terminal the password is asked for twice, and not shown."""
        terminal = self.terminal("account", "create", "romeo")
        terminal.expect("Password: ")
        terminal.type("secret-1\n")
        terminal.expect("Repeat for confirmation: ")
        terminal.type("secret-2\n")
        terminal.expect("do not match.*Password: ")
        terminal.type("secret-3\n")
        terminal.expect("Repeat for confirmation: ")
        terminal.type("secret-3\n")
        status, screen = terminal.end()
        self.assertEqual((status, screen.strip()), (0, "account romeo@example.com made"))

    def test_password_interrupted(self) -> None:
        """Ctrl-C at the question leaves quietly, with 130, and no account."""
        terminal = self.terminal("account", "create", "romeo")
        terminal.expect("Password: ")
        terminal.type("\x03")
        status, screen = terminal.end()
        self.assertEqual((status, screen.strip()), (130, ""))
        self.assertEqual(self.done("account", "list"), "")

    def test_table(self) -> None:
        """On a terminal a list has a head, and says how to go on if there is more."""
        ids = [self.object("invite", "create")["id"] for _ in range(2)]
        terminal = self.terminal("invite", "list", "--limit", "1")
        terminal.expect("id .*status .*kind .*expires ")
        terminal.expect(f"{ids[0]} .*add --after {ids[0]}")
        self.assertEqual(terminal.end()[0], 0)

    def test_narrow(self) -> None:
        """Also on 80 columns each row is aligned, and ids and times stay in one piece."""
        self.make_account()
        made = self.object("invite", "create", "--note", "a long note about a summer fair " * 3)
        self.register("juliet", made["token"])
        terminal = Terminal(self.config, "invite", "list", "--status", "all", columns=80)
        self.addCleanup(terminal.close)
        head, first, *_rest = terminal.end()[1].splitlines()[:9]
        for column, value in (("id", made["id"]), ("expires", made["expires_at"])):
            self.assertIn(value, first)
            plain = re.sub("\x1b\\[[0-9;]*m", "", head)
            self.assertEqual(plain.index(column), first.index(value))

    def test_accounts(self) -> None:
        """A list of accounts says who joined when, and through whom."""
        self.make_account()
        made = self.object("invite", "create", "--inviter", "romeo")
        self.register("juliet", made["token"])
        terminal = self.terminal("account", "list")
        terminal.expect("address.*roles.*joined.*inviter")
        terminal.expect(r"juliet@example\.com +- +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ +romeo")
        self.assertEqual(terminal.end()[0], 0)

    def test_qr(self) -> None:
        """A QR code is dark on light whatever the terminal's colours are."""
        terminal = self.terminal("invite", "create", "--qr")
        terminal.expect("\x1b\\[97m\x1b\\[40m█+\x1b\\[0m")
        self.assertEqual(terminal.end()[0], 0)


class BesideServiceTests(CommandCase):
    def test_beside_service(self) -> None:
        """Invites are made, listed and revoked while the service runs on the same file."""
        service = Service()
        self.addCleanup(service.remove)
        service.start()
        self.config = service.config
        made = self.object("invite", "create")
        self.assertEqual([one["id"] for one in self.objects("invite", "list")], [made["id"]])
        self.make_account()
        self.done("invite", "revoke", made["id"])
        self.assertEqual(self.objects("invite", "list"), [])
        service.stop()
        service.check_log()
