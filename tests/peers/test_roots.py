"""The roots of other releases: one that could not be made whole is no root."""

import os
import stat
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

ROOTS = Path(__file__).parent / "roots"
PROGRAMS = {
    "id": "echo 0",
    "debootstrap": 'mkdir -p "$3/usr/sbin" && exit ${FAILS_AT_SYSTEM:-0}',
    "unshare": 'echo "$@" >>"$INVITEREG_ROOTS/calls"; exit ${FAILS_AT_PACKAGES:-0}',
    "dpkg-query": "exit ${LACKS_PACKAGES:-0}",
}


class RootsTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory(dir="/tmp")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        for name, script in PROGRAMS.items():
            program = self.folder / name
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def make(self, **failures: str) -> int:
        roots = str(self.folder / "roots")
        path = f"{self.folder}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "INVITEREG_ROOTS": roots, **failures}
        done = subprocess.run([ROOTS, "trixie"], env=environment, capture_output=True)
        return done.returncode

    def test_failed(self) -> None:
        """Whatever step fails, nothing is left that the next call takes for whole."""
        root = self.folder / "roots" / "trixie"
        for step in ("SYSTEM", "PACKAGES"):
            self.assertEqual(self.make(**{f"FAILS_AT_{step}": "1"}), 1)
            self.assertFalse(root.exists(), step)
        self.assertEqual(self.make(), 0)
        self.assertTrue(root.exists())

    def test_packages(self) -> None:
        """One of before, to whose packages others have come, gets those, and once."""
        self.assertEqual(self.make(), 0)
        (self.folder / "roots" / "calls").unlink()
        self.assertEqual(self.make(LACKS_PACKAGES="1", FAILS_AT_PACKAGES="1"), 1)
        self.assertEqual(self.make(LACKS_PACKAGES="1"), 0)
        self.assertEqual(self.make(), 0)
        calls = (self.folder / "roots" / "calls").read_text()
        self.assertEqual(calls.count("go-sendxmpp"), 2, calls)
