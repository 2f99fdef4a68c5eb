"""The real command, in a process of its own: on pipes, or on a terminal as a person sits at."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECONDS = 30
"""How long anything may take before a test gives up: a bound, not an expectation."""


def environment() -> dict[str, str]:
    """What the command runs in: this tree, and no configuration from outside."""
    kept = {name: value for name, value in os.environ.items() if name != "INVITEREG_CONFIG"}
    return kept | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}


def command_line(config: Path | None, *arguments: str) -> list[str]:
    """How the command is called."""
    which = [] if config is None else ["--config", str(config)]
    return [sys.executable, "-m", "invitereg", *which, *arguments]


def run(
    config: Path | None, *arguments: str, stdin: str = ""
) -> "subprocess.CompletedProcess[str]":
    """The command on pipes, from its start to its end."""
    return subprocess.run(
        command_line(config, *arguments),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=environment(),
        cwd="/",
    )


class Terminal:
    """The command on a terminal. Call `end` or `close` at last."""

    def __init__(
        self,
        config: Path | None,
        *arguments: str,
        program: tuple[str, ...] = ("-m", "invitereg"),
        encoding: str = "utf-8",
        columns: int = 200,
    ) -> None:
        line = command_line(config, *arguments)
        line[1:3] = program
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.chdir("/")
            variables = {"PYTHONIOENCODING": encoding, "COLUMNS": str(columns)}
            os.execve(line[0], line, environment() | variables)
        self._seen = ""
        self._ended = False

    def expect(self, pattern: str) -> "re.Match[str]":
        """Wait until ``pattern`` is on the screen after what was waited for before."""
        deadline = time.monotonic() + SECONDS
        while not (match := re.search(pattern, self._seen, re.DOTALL)):
            assert self._read(deadline), f"{pattern!r} does not come:\n{self._seen}"
        self._seen = self._seen[match.end() :]
        return match

    def type(self, text: str) -> None:
        """Press keys; Ctrl-C is the character 3."""
        os.write(self._terminal, text.encode())

    def end(self) -> tuple[int, str]:
        """Wait for the end; returns the exit status and what else was on the screen."""
        deadline = time.monotonic() + SECONDS
        while self._read(deadline):
            pass
        assert time.monotonic() < deadline, f"it does not end:\n{self._seen}"
        _, status = os.waitpid(self._pid, 0)
        self._ended = True
        return os.waitstatus_to_exitcode(status), self._seen

    def close(self) -> None:
        """End it, if it has not ended."""
        if not self._ended:
            os.kill(self._pid, 9)
            os.waitpid(self._pid, 0)
        os.close(self._terminal)

    def _read(self, deadline: float) -> bool:
        """Read what there is, or wait for it; False at the end, or past the deadline."""
        left = max(0.0, deadline - time.monotonic())
        if not select.select([self._terminal], [], [], left)[0]:
            return False
        try:
            data = os.read(self._terminal, 65536)
        except OSError:  # how Linux says that nobody has the other end open any more
            return False
        self._seen += data.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(data)
