"""Standard output that takes nothing, or has few characters: no traceback, and no lost link."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import pytest
from twisted.internet.defer import fail

from invitereg.cli import output
from invitereg.errors import StoreError
from invitereg.store.database import Database
from tests.cli.case import CommandCase
from tests.cli.terminal import SECONDS, Terminal, command_line, environment

FULL = "No space left on device"
GONE = "The disk is gone."
MAKING: dict[Sequence[str], str] = {
    ("invite", "create"): "invites",
    ("invite", "create", "--json"): "invites",
    ("invite", "create", "--qr"): "invites",
    ("invite", "create", "--count", "3"): "invites",
    ("invite", "create", "--count", "3", "--json"): "invites",
    ("invite", "create", "--page", "-"): "invites",
    ("reset", "create", "romeo"): "invites",
    ("reset", "create", "romeo", "--json"): "invites",
    ("key", "create", "portal", "--scope", "invites:read"): "keys",
    ("key", "create", "portal", "--scope", "invites:read", "--json"): "keys",
}
READING: tuple[Sequence[str], ...] = (
    ("--help",),
    ("--version",),
    ("invite", "--help"),
    ("invite", "create", "--help"),
    ("invite", "list"),
    ("invite", "list", "--json"),
    ("invite", "tree"),
    ("account", "list"),
    ("key", "list"),
    ("policy", "explain"),
    ("check", "--schema"),
    ("export",),
    ("purge",),
)


class OutputCase(CommandCase):
    def run_to(self, to: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """The command with standard output as a shell redirects it."""
        line = ["sh", "-c", f'"$@" {to}', "sh", *command_line(self.config, *arguments)]
        return subprocess.run(
            line, stderr=subprocess.PIPE, text=True, env=environment(), timeout=SECONDS
        )

    def to_nobody(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """The command with a pipe that nobody reads any more."""
        reading, writing = os.pipe()
        os.close(reading)
        try:
            return subprocess.run(
                command_line(self.config, *arguments),
                stdout=writing,
                stderr=subprocess.PIPE,
                text=True,
                env=environment(),
                timeout=SECONDS,
            )
        finally:
            os.close(writing)

    def left(self) -> tuple[list[object], list[object]]:
        """The invites that are open, and the keys that are good."""
        keys = [one["id"] for one in self.objects("key", "list") if not one["revoked_at"]]
        return [one["id"] for one in self.objects("invite", "list")], keys


@pytest.mark.slow
class LostTests(OutputCase):
    def setUp(self) -> None:
        super().setUp()
        self.make_account()

    def test_partly_full(self) -> None:
        """What a full disk took whole stays, exactly; a line that was cut off does not."""
        path = self.folder / "links"
        script = (
            "import io, os, sys; from invitereg.cli import main\n"
            "class Disk(io.FileIO):\n"
            "    left = 999\n"
            "    def write(self, data):\n"
            "        if not self.left: raise OSError(28, os.strerror(28))\n"
            "        done = super().write(data[: self.left]); self.left -= done; return done\n"
            f"sys.stdout = io.TextIOWrapper(io.BufferedWriter(Disk({str(path)!r}, 'w')))\n"
            "main()"
        )
        line = command_line(self.config, "invite", "create", "--count", "100")
        done = subprocess.run(
            [line[0], "-c", script, *line[3:]],
            capture_output=True,
            text=True,
            env=environment(),
            timeout=SECONDS,
        )
        self.assertEqual(done.returncode, 1, done.stderr)
        whole = path.read_bytes().count(b"\n")
        self.assertTrue(0 < whole < 100)
        self.assertEqual(len(self.objects("invite", "list")), whole)
        self.assertIn(f"{100 - whole} invites were revoked", done.stderr)

    def assertUndone(self, done: "subprocess.CompletedProcess[str]", what: str) -> None:
        self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
        self.assertIn("revoked, as", done.stderr)
        self.assertEqual(self.left(), ([], []), what)

    def test_full(self) -> None:
        """What cannot be written is not made: its link would be lost."""
        for arguments, what in MAKING.items():
            with self.subTest(arguments):
                done = self.run_to(">/dev/full", *arguments)
                self.assertIn(FULL, done.stderr)
                self.assertUndone(done, what)

    def test_closed(self) -> None:
        """So it is where there is no standard output."""
        for arguments, what in MAKING.items():
            with self.subTest(arguments):
                self.assertUndone(self.run_to(">&-", *arguments), what)

    def test_nobody_reads(self) -> None:
        """And where the reader has gone before."""
        for arguments, what in MAKING.items():
            with self.subTest(arguments):
                self.assertUndone(self.to_nobody(*arguments), what)

    def test_many(self) -> None:
        """Of many, those that were written stay, and the rest are not made."""
        reading, writing = os.pipe()
        process = subprocess.Popen(
            command_line(self.config, "invite", "create", "--count", "3000"),
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        os.close(writing)
        with os.fdopen(reading) as pipe:
            pipe.readline()
        _, told = process.communicate(timeout=SECONDS)
        self.assertEqual(process.returncode, 1)
        revoked = self.objects("invite", "list", "--status", "revoked", "--limit", "9999")
        self.assertIn(f"{len(revoked):,} invites were revoked, as their links were", told)
        stay = self.objects("invite", "list", "--limit", "9999")
        # What has left may lie in the pipe: it takes 64 KiB, on Linux.
        self.assertTrue(0 < len(stay) < 3000)
        self.assertEqual((len(stay) + len(revoked)) % 1000, 0)

    def test_renewed(self) -> None:
        """A new link that nobody saw does not end the old one."""
        made = self.object("invite", "create")
        for spoil in (lambda *a: self.run_to(">/dev/full", *a), self.to_nobody):
            done = spoil("invite", "renew", made["id"])
            self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
            self.assertIn("the old one goes on working", done.stderr)
        self.register("juliet", made["token"])

    def test_no_way_to_tell(self) -> None:
        """Where nothing can be told at all, the exit status tells, and nothing is made."""
        for to in (">/dev/full 2>&1", ">&- 2>&-"):
            self.assertEqual(self.run_to(to, "invite", "create").returncode, 1)
            self.assertEqual(self.run_to(to, "invite", "create", "--uses", "x").returncode, 2)
        self.assertEqual(self.left(), ([], []))


class DiskGoneTests(CommandCase):
    def test_not_undone(self) -> None:
        """What can neither be shown nor undone is told: somebody has to look after it."""
        self.make_account()
        renewing = "invite", "renew", self.object("invite", "create")["id"]
        for arguments in (*MAKING, renewing):
            if "--count" in arguments or "--page" in arguments:
                continue
            lost = mock.patch.object(output, "_print", _lose)
            broken = mock.patch.object(Database, "write", Database.write)
            with self.subTest(arguments), lost, broken:
                says = f"Lost. What was made could not be undone: {GONE}"
                self.assertRefused(*arguments, says=says)


def _lose(_text: str) -> None:
    Database.write = lambda *_: fail(StoreError(GONE))  # type: ignore[method-assign]
    raise output.NotPrinted("Lost.")


@pytest.mark.slow
class ReadingTests(OutputCase):
    def fill(self) -> None:
        self.make_account()
        self.done("invite", "create")
        self.done("key", "create", "portal", "--scope", "invites:read")

    def test_full(self) -> None:
        """What only reads says why it cannot print, on one line."""
        self.fill()
        for arguments in READING:
            with self.subTest(arguments):
                done = self.run_to(">/dev/full", *arguments)
                text = f"Standard output cannot be written: {FULL}.\n"
                self.assertEqual((done.returncode, done.stderr), (1, text))

    def test_left(self) -> None:
        """A reader who has seen enough is told nothing."""
        self.fill()
        for arguments in READING:
            with self.subTest(arguments):
                done = self.to_nobody(*arguments)
                self.assertEqual((done.returncode, done.stderr), (1, ""), arguments)

    def test_check_needs_none(self) -> None:
        """A check that has nothing to say succeeds without standard output."""
        self.config.write_text("domain: x.example\ntls: {certificate: a, private_key: b}\n")
        self.assertEqual(self.run_to(">&-", "check").returncode, 2)


@pytest.mark.slow
class LatinTests(OutputCase):
    def latin(self, *arguments: str) -> str:
        """What a command prints where the terminal knows Latin-1 only."""
        done = subprocess.run(
            command_line(self.config, *arguments),
            capture_output=True,
            env=environment() | {"PYTHONIOENCODING": "latin-1"},
            timeout=SECONDS,
        )
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return done.stdout.decode("latin-1")

    def test_tree(self) -> None:
        """A tree is drawn with what there is, and names stay what they are."""
        for name in ("rené", "жук"):
            self.make_account(name)
        tree = self.latin("invite", "tree").splitlines()
        self.assertEqual(tree[0], "example.com")
        self.assertRegex(tree[1], r"^\|-- rené  ")
        self.assertRegex(tree[2], r"^`-- \\u0436\\u0443\\u043a  ")

    def test_everything(self) -> None:
        """Each command prints something, and none fails."""
        made = self.object("invite", "create", "--note", "жук …")
        for arguments in (
            ("invite", "list"),
            ("invite", "show", made["id"]),
            ("invite", "create", "--qr", "--note", "жук"),
            ("--help",),
        ):
            self.assertNotEqual(self.latin(*arguments), "")

    def test_qr(self) -> None:
        """A QR code is there, without blocks: each module is two characters."""
        lines = self.latin("invite", "create", "--qr").splitlines()
        code = [line for line in lines if set(line) <= {"#", " "}]
        widths = {len(line) for line in code}
        self.assertEqual(widths, {2 * len(code)})
        self.assertTrue(any("##############" in line for line in code))


class PageTests(CommandCase):
    def test_page_on_standard_output(self) -> None:
        """With - the page is printed, as usual for such commands, and no file is called so."""
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        text = self.done("invite", "create", "--page", "-")
        self.assertTrue(text.startswith("<!DOCTYPE html>"))
        self.assertTrue(text.endswith("</html>\n"))
        self.assertMisused("invite", "create", "--page", "-", "--json", says="--page -")
        exported = self.done("export", "--output", "-")
        self.assertIn('"type":"end"', exported)
        self.assertFalse(Path("-").exists())


class TerminalTests(CommandCase):
    def test_latin(self) -> None:
        """On a terminal of few characters a code is made of its background's colours."""
        terminal = Terminal(self.config, "invite", "create", "--qr", encoding="latin-1")
        self.addCleanup(terminal.close)
        terminal.expect("\x1b\\[107m +\x1b\\[0m")
        terminal.expect("\x1b\\[40m#+\x1b\\[0m")
        self.assertEqual(terminal.end()[0], 0)
