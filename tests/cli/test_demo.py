"""`invitereg demo`: from nothing to a registration, and back to nothing."""

import asyncio
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from invitereg.cli.root import command
from invitereg.config import load
from tests.cli.terminal import SECONDS, Terminal, command_line, environment, run
from tests.service.running import free_ports
from tests.service.wire import Wire


class Newcomer(SimpleNamespace):
    """What `Wire` wants to know of a service: its ports, and a certificate to trust."""

    @cached_property
    def client_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.certificate)

    async def register(self, username: str, token: str, tls: str) -> list[str]:
        service: Any = self
        wire = await Wire.connect(service, tls)
        answers = [await wire.preauth(token), await wire.register(username, "correct horse")]
        wire.close()
        return answers


class DemoCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="invitereg-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.ports = free_ports()

    def options(self, *more: str) -> tuple[str, ...]:
        port, tls_port = map(str, self.ports)
        return ("demo", "--port", port, "--tls-port", tls_port, *more)

    def start(self, *more: str) -> Terminal:
        terminal = Terminal(None, *self.options(*more))
        self.addCleanup(terminal.close)
        return terminal


@pytest.mark.slow
class DemoTests(DemoCase):
    def test_registration(self) -> None:
        """The link that is printed lets register, which is told at once; Ctrl-C is the end."""
        terminal = self.start("--dir", str(self.folder))
        token = terminal.expect(
            r"1/3.*2/3.*3/3.*\nxmpp:localhost\?register;preauth=([A-Za-z0-9]{24})\n"
        )[1]
        terminal.expect("\x1b\\[97m\x1b\\[40m█+.*Ctrl-C stops")
        certificate = self.folder / "tls-localhost" / "fullchain.pem"
        newcomer = Newcomer(port=self.ports[0], tls_port=self.ports[1], certificate=certificate)
        answers = asyncio.run(newcomer.register("juliet", token, "starttls"))
        self.assertEqual(answers, ["result", "result"])
        terminal.expect("juliet@localhost has registered")
        answers = asyncio.run(newcomer.register("nurse", token, "direct"))
        self.assertEqual(answers, ["item-not-found", "forbidden"])
        terminal.type("\x03\x03")
        status, screen = terminal.end()
        self.assertEqual(status, 0)
        self.assertIn(f"Everything is kept in {self.folder}", screen)
        self.assertNotIn("Traceback", screen)

    def test_second_terminal(self) -> None:
        """What it says about another terminal is right: the command works, beside it."""
        terminal = self.start()
        line = terminal.expect(r"from another terminal:\n  (\S[^\n]*) invite create --qr\n")[1]
        terminal.expect("Ctrl-C stops")
        folder = Path(line.split()[-1]).parent
        self.assertTrue(folder.name.startswith("invitereg-demo-"))
        made = subprocess.run(
            [*line.split(), "invite", "create"],
            env=environment(),
            capture_output=True,
            timeout=SECONDS,
        )
        self.assertEqual((made.returncode, made.stderr), (0, b""))
        terminal.type("\x03")
        self.assertEqual(terminal.end()[0], 0)
        self.assertFalse(folder.exists())

    def test_plain(self) -> None:
        """Without a terminal it prints the same, without colours, and a signal ends it."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            line = command_line(None, *self.options())
            with subprocess.Popen(
                line, stdout=subprocess.PIPE, env=environment(), text=True
            ) as process:
                assert process.stdout is not None
                seen = ""
                while "Ctrl-C stops" not in seen:
                    seen += process.stdout.readline() or self.fail(seen)
                process.send_signal(number)
                seen += process.communicate(timeout=SECONDS)[0]
            self.assertEqual(process.returncode, 0)
            self.assertIn("\nxmpp:localhost?register;preauth=", seen)
            self.assertTrue(seen.endswith("Stopped and cleaned up.\n"))
            self.assertNotIn("\x1b", seen)

    def test_again(self) -> None:
        """A folder that was kept serves again, with its accounts and the same certificate."""
        certificates = []
        for options in ((), ("--open",)):
            terminal = self.start("--dir", str(self.folder), *options)
            terminal.expect("Ctrl-C stops")
            terminal.type("\x03")
            self.assertEqual(terminal.end()[0], 0)
            certificates.append((self.folder / "tls-localhost/fullchain.pem").read_bytes())
            config = load(self.folder / "config.yaml")
            policy = config.domains["localhost"].policy
            self.assertEqual(policy.registration_invite_only, not options)
        self.assertEqual(certificates[0], certificates[1])
        pending = run(self.folder / "config.yaml", "invite", "list").stdout
        self.assertEqual(pending.count("pending"), 2)


class RefusedTests(DemoCase):
    def refused(self, *more: str) -> str:
        """The one line that a demo ends with, which cannot begin."""
        result = CliRunner().invoke(command, self.options(*more))
        self.assertEqual((result.exit_code, result.stdout), (1, ""), result.output)
        self.assertEqual(result.stderr.count("\n"), 1)
        return result.stderr

    def test_port_taken(self) -> None:
        """A taken port is named, with the option that chooses another."""
        for port, option in zip(self.ports, ("--port", "--tls-port"), strict=True):
            with socket.create_server(("127.0.0.1", port)):
                line = self.refused()
            self.assertRegex(
                line, rf"^port {port} is taken .*: choose others with {option} \d+ "
            )
        self.assertRegex(line, r"\(make demo TLS_PORT=\d+\)\n$")

    def test_ports_taken(self) -> None:
        """All that are taken are told at once, with a command that chooses others for them."""
        with (
            socket.create_server(("127.0.0.1", self.ports[0])),
            socket.create_server(("127.0.0.1", self.ports[1])),
        ):
            line = self.refused()
        self.assertIn(f"ports {self.ports[0]} and {self.ports[1]} are taken", line)
        self.assertRegex(line, r"--port \d+ --tls-port \d+ \(make demo PORT=\d+ TLS_PORT=\d+\)")

    def test_address(self) -> None:
        """An address that is not this computer's cannot be listened on."""
        self.assertIn("cannot listen on 192.0.2.1:", self.refused("--listen", "192.0.2.1"))

    def test_foreign_folder(self) -> None:
        """A configuration that somebody wrote is never written over."""
        config = self.folder / "config.yaml"
        config.write_text("domain: example.com\n")
        line = self.refused("--dir", str(self.folder))
        self.assertRegex(line, rf"^{re.escape(str(config))} is not from a demo")
        self.assertEqual(config.read_text(), "domain: example.com\n")

    def test_misused(self) -> None:
        """Ports that are the same, and names that are none, are wrong usage."""
        for arguments in (
            ("--port", "6000", "--tls-port", "6000"),
            ("--port", "0"),
            ("--domain", "a b"),
            ("--domain", "x" * 70 + ".example"),
            ("--listen", "localhost"),
        ):
            result = CliRunner().invoke(command, ["demo", *arguments])
            self.assertEqual(result.exit_code, 2, arguments)
