"""``invitereg demo`` in a process of its own, and what a suite needs of it."""

import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from threading import Timer
from typing import ClassVar
from unittest import SkipTest, TestCase

from tests.service.running import ROOT, SECONDS, free_ports
from tests.suites.guest import Guest

DOMAIN = "localhost"
FETCHED = ROOT / "build" / "suites"
"""Where `install` puts what no package has."""
PYTHON = "/usr/bin/python3"
"""Debian's, as its packages of Python modules are for no other."""


class Demo:
    """A running demo; `stop` ends it and removes its folder."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="invitereg-suites-"))
        self.port, tls_port, web_port = free_ports(3)
        self.site = f"http://localhost:{web_port}"
        ports = ("--port", self.port, "--tls-port", tls_port, "--web-port", web_port)
        self._process = subprocess.Popen(
            [_INVITEREG, "demo", "--dir", str(self.folder), *map(str, ports)],
            stdout=subprocess.PIPE,
            text=True,
        )
        self._wait()

    def _wait(self) -> None:
        """Read what it prints until it says that it is ready."""
        lines = self._process.stdout
        assert lines is not None
        giving_up = Timer(SECONDS, self._process.kill)
        giving_up.start()
        said = []
        for line in lines:
            said.append(line)
            if "Ctrl-C stops the demo" in line:
                giving_up.cancel()
                return
        raise AssertionError("the demo did not start:\n" + "".join(said))

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)
        self._process.communicate(timeout=SECONDS)
        shutil.rmtree(self.folder)

    def account(self, name: str) -> str:
        """Make an account; returns its password."""
        password = secrets.token_hex(12)
        self._command("account", "create", name, stdin=password + "\n")
        return password

    def token(self, *options: str) -> str:
        """Make an invite; returns its token."""
        return self._token(self._command("invite", "create", *options))

    def cards(self, file: Path) -> None:
        """Make invites on a page to print."""
        self._command("invite", "create", "--count", "9", "--page", str(file))

    def reset(self, name: str) -> str:
        """Make a link for a new password; returns its token."""
        return self._token(self._command("reset", "create", name))

    def register(self, name: str, token: str) -> str:
        """Register in the browser; returns the password."""
        password = secrets.token_hex(12)
        guest = Guest(self.site)
        form = guest.open(f"/invite/{token}/register")
        done = guest.send(form, username=name, password=password)
        assert f"{name}@{DOMAIN}" in done, done
        return password

    def _token(self, said: str) -> str:
        """Return the token of the first link for browsers that a command has printed."""
        found = re.search(rf"{self.site}/invite/(\S+)", said)
        assert found is not None, said
        return found[1]

    def _command(self, *words: str, stdin: str = "") -> str:
        config = str(self.folder / "config.yaml")
        return run([_INVITEREG, "--config", config, *words], stdin=stdin)


_INVITEREG = str(Path(sys.executable).with_name("invitereg"))


class SuiteCase(TestCase):
    """Tests that share one demo."""

    demo: ClassVar[Demo]

    @classmethod
    def setUpClass(cls) -> None:
        cls.demo = Demo()
        cls.addClassCleanup(cls.demo.stop)


def run(words: list[str], *, stdin: str = "", folder: Path | None = None, **more: str) -> str:
    """Run a program to its end, with ``more`` in its environment; returns what it printed.

    Raises:
        AssertionError: it failed; with all that it said.
    """
    done = subprocess.run(
        words,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=10 * SECONDS,
        cwd=folder,
        env={**os.environ, **more},
    )
    if done.returncode:
        said = done.stdout + done.stderr
        raise AssertionError(f"{words[0]} ended with {done.returncode}:\n{said}")
    return done.stdout


def program(name: str, package: str) -> str:
    """Return the path of a program of a Debian package; without it the test is skipped."""
    path = shutil.which(name)
    if path is None:
        raise SkipTest(f"{name} is not installed: apt-get install {package}")
    return path


def fetched(*parts: str) -> Path:
    """Return the path of something that `install` fetched; without it the test is skipped."""
    path = FETCHED.joinpath(*parts)
    if not path.exists():
        raise SkipTest(f"{path} is missing: tests/suites/install could not fetch it")
    return path


def debian_module(name: str, package: str) -> None:
    """Skip the test where Debian's Python has no such module, which ``package`` has."""
    if subprocess.run([PYTHON, "-c", f"import {name}"], capture_output=True).returncode:
        raise SkipTest(f"{name} is not installed: apt-get install {package}")
