"""A service that crashes often, and is up again soon."""

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.service.running import ROOT, SECONDS, Service

LAUNCHER = Path(__file__).with_name("launcher.py")


class Launched:
    """A process that the launcher has started, to be handled as one of `subprocess`."""

    def __init__(self, launcher: "subprocess.Popen[str]") -> None:
        assert launcher.stdout is not None
        self._says = launcher.stdout
        self.pid = int(self._says.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """How it has ended, if it has."""
        return self._ended(0)

    def wait(self, timeout: float) -> int:
        """How it ends, waited for so many seconds."""
        status = self._ended(timeout)
        assert status is not None, "the service does not end"
        return status

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it as a crash would."""
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float) -> int | None:
        if self.returncode is None and select.select([self._says], [], [], timeout)[0]:
            self.returncode = int(self._says.readline())
        return self.returncode


class CrashingService(Service):
    """A service whose processes come from one launcher."""

    def __init__(self, settings: str = "") -> None:
        super().__init__(settings)
        self._launcher = subprocess.Popen(
            [sys.executable, str(LAUNCHER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self._dies: str | None = None

    def launch(self, **options: Any) -> Any:
        """Start it, without waiting; what it says is appended to its log."""
        order = {
            "arguments": ["-n", "--pidfile=", "invitereg", "--config", str(self.config)],
            "folder": str(self.folder),
            "log": str(self.log),
            "dies": self._dies,
            "redemptions": 1,
        }
        assert self._launcher.stdin is not None
        self._launcher.stdin.write(json.dumps(order) + "\n")
        self._process = Launched(self._launcher)  # type: ignore[assignment]
        return self._process

    def start_to_die(self, where: str) -> None:
        """Start it so that it crashes in the second registration.

        Args:
            where: as ``before COMMIT``, by the beginning of an SQL statement.
        """
        self._dies = where
        try:
            self.start()
        finally:
            self._dies = None

    def wait_for_crash(self) -> None:
        """It has crashed, or will."""
        assert self._process is not None
        assert self._process.wait(SECONDS) == -signal.SIGKILL

    def remove(self) -> None:
        """End it and its launcher, and remove its folder."""
        super().remove()
        assert self._launcher.stdin is not None
        assert self._launcher.stdout is not None
        self._launcher.stdin.close()
        self._launcher.wait(SECONDS)
        self._launcher.stdout.close()
