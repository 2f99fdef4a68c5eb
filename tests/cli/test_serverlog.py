"""Passwords of newcomers in the log of a server on this machine."""

import os
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from invitereg.cli.onlinecheck import ServerLog

# Recorded of 24.12, without and with hide_sensitive_log_data; 26.07 hides it in any case.
OPEN = (
    b'2026-11-29 05:21:35.919902+00:00 [info] API call register [{<<"user">>,<<"juliet">>},\n'
    b'                   {<<"host">>,<<"localhost">>},\n'
    b'                   {<<"password">>,<<"sEcReT-99">>}] from 127.0.0.1:35340\n'
)
HIDDEN = OPEN.replace(b"sEcReT-99", b"hidden_by_ejabberd")


class ServerLogTests(SynchronousTestCase):
    def make(self, before: bytes) -> ServerLog:
        handle, name = tempfile.mkstemp()
        os.write(handle, before)
        os.close(handle)
        self.path = Path(name)
        self.addCleanup(self.path.unlink)
        return ServerLog(self.path)

    def complaints(self, before: bytes, after: bytes) -> list[str]:
        log = self.make(before)
        with self.path.open("ab") as file:
            file.write(after)
        return list(log.complaints())

    def test_passwords(self) -> None:
        """One that was written since is told, with what to set; and none itself."""
        (said,) = self.complaints(HIDDEN, HIDDEN + OPEN)
        self.assertIn("hide_sensitive_log_data: true", said)
        self.assertIn(str(self.path), said)
        self.assertNotIn("sEcReT", said)
        changed = OPEN.replace(b'"password"', b'"newpass"').replace(b">>,<<", b">>,\n   <<")
        self.assertEqual(len(self.complaints(b"", changed)), 1)

    def test_of_before(self) -> None:
        """What was written before the option was set is over."""
        self.assertEqual(self.complaints(OPEN, HIDDEN), [])

    def test_rotated(self) -> None:
        """A log that was begun anew meanwhile is read from its beginning."""
        log = self.make(HIDDEN * 9)
        self.path.write_bytes(OPEN)
        self.assertEqual(len(list(log.complaints())), 1)

    def test_unreadable(self) -> None:
        """Where there is no log, nothing can be seen."""
        self.assertEqual(list(ServerLog(Path("/nowhere/at all")).complaints()), [])

    @given(st.binary(max_size=200))
    def test_anything(self, written: bytes) -> None:
        """Whatever else a log has is no password."""
        if b"password" not in written and b"newpass" not in written:
            self.assertEqual(self.complaints(b"", written), [])
