"""Nothing that commands print can steer a terminal, whoever wrote it."""

import ast
import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import invitereg.cli
from invitereg.cli.output import printable, printable_lines
from tests.cli.case import CommandCase

EVIL = "a\x1b]0;pwned\x07\x1b[2J\x9b31m\u202eb\u2066c\u200fd\r\x08\x7f"
STORED = "a\x9b31m\u202eb\u2066c\x85d\x7f"
"""What XML has a place for, so that it may be stored, and no terminal should be sent."""
COMMANDS = (
    (EVIL,),
    ("invite", EVIL),
    ("invite", "show", EVIL),
    ("invite", "show", "x", f"--{EVIL}"),
    ("invite", "show", "x", EVIL),
    ("invite", "edit", EVIL, "--note", "x"),
    ("invite", "renew", EVIL),
    ("invite", "revoke", EVIL),
    ("invite", "revoke", "--branch", EVIL),
    ("invite", "revoke", "--source", EVIL),
    ("invite", "tree", EVIL),
    ("invite", "list", "--status", EVIL),
    ("invite", "list", "--limit", EVIL),
    ("invite", "create", "--expires", EVIL),
    ("invite", "create", "--uses", EVIL),
    ("invite", "create", "--role", EVIL),
    ("invite", "create", "--username", EVIL),
    ("invite", "create", "--domain", EVIL),
    ("invite", "create", "--inviter", f"{EVIL}@{EVIL}"),
    ("invite", "create", "--count", "2", "--page", f"/nowhere/{EVIL}"),
    ("reset", "create", EVIL),
    ("account", "create", EVIL),
    ("account", "delete", f"x@{EVIL}"),
    ("account", "role", "x", "--add", EVIL),
    ("key", "create", EVIL, "--scope", "invites:read"),
    ("key", "create", "x", "--scope", EVIL),
    ("key", "revoke", EVIL),
    ("policy", "explain", "--ip", EVIL),
    ("policy", "explain", "--username", EVIL),
    ("policy", "explain", "--inviter", EVIL),
    ("purge", "--older-than", EVIL),
    ("export", "--output", f"/nowhere/{EVIL}"),
    ("import", f"/nowhere/{EVIL}"),
    ("import", "prosody", f"/nowhere/{EVIL}"),
    ("import", "prosody", ".", "--domain", EVIL),
    ("--config", f"/nowhere/{EVIL}", "check"),
    (f"--{EVIL}", "check"),
)
PRINTED_BY_RICH = ("display.py", "console.print")


class ArgumentTests(CommandCase):
    def test_arguments(self) -> None:
        """What was typed or pasted is never repeated as it is."""
        for arguments in COMMANDS:
            result = self.call(*arguments)
            self.assertNotEqual(result.exit_code, 0, arguments)
            self.assertNotEqual(result.output, "")
            self.assertEqual(printable_lines(result.output), result.output, arguments)

    def test_one_line(self) -> None:
        """An error is one line, whatever is in the argument: it cannot look like two."""
        result = self.call("invite", "show", "x\nwarning: all is well")
        self.assertEqual((result.exit_code, len(result.stderr.splitlines())), (1, 1))


class FileTests(CommandCase):
    def lines(self) -> list[dict[str, object]]:
        self.make_account()
        self.object("invite", "create", "--inviter", "romeo", "--note", "n")
        self.object("key", "create", "portal", "--scope", "invites:read")
        return [json.loads(line) for line in self.done("export").splitlines()]

    def refused(self, lines: list[dict[str, object]]) -> str:
        other = self.folder / "other.jsonl"
        other.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        result = self.call("import", str(other))
        self.assertEqual(result.exit_code, 1, result.output)
        self.assertEqual(printable_lines(result.output), result.output)
        return result.stderr

    def test_shapes(self) -> None:
        """An import takes no id, name or source that is none, and does not repeat it."""
        lines = self.lines()
        for kind, field in (
            ("invitereg", "version"),
            ("account", "domain"),
            ("account", "username"),
            ("invite", "id"),
            ("invite", "digest"),
            ("invite", "source"),
            ("invite", "inviter"),
            ("use", "invite_id"),
            ("use", "door"),
            ("use", "address"),
            ("key", "id"),
            ("key", "name"),
            ("key", "digest"),
        ):
            changed = [
                {**line, field: EVIL} if line["type"] == kind else line for line in lines
            ]
            self.assertNotEqual(changed, lines, kind)
            self.assertIn(field if kind != "invitereg" else "version", self.refused(changed))

    def test_roles(self) -> None:
        """Nor a role or a group."""
        lines = self.lines()
        for kind in ("account", "invite"):
            for field in ("roles", "groups"):
                changed = [
                    {**line, field: [EVIL]} if line["type"] == kind else line for line in lines
                ]
                self.assertIn(field, self.refused(changed))

    def test_unknown_key(self) -> None:
        """What a file has too much is not repeated either."""
        lines = self.lines()
        self.refused([{**line, EVIL: EVIL} for line in lines])
        self.refused([{**line, "type": EVIL} for line in lines])

    def test_stored(self) -> None:
        """What is stored from elsewhere is shown without what could do harm."""
        made = self.object("invite", "create", "--note", STORED, "--group", STORED)
        for arguments in (
            ("invite", "show", made["id"]),
            ("invite", "list"),
            ("invite", "edit", made["id"], "--uses", "2"),
            ("invite", "renew", made["id"]),
            ("invite", "revoke", made["id"]),
        ):
            shown = self.done(*arguments)
            self.assertEqual(printable_lines(shown.replace("\t", "")), shown.replace("\t", ""))


class PrintingTests(SynchronousTestCase):
    @given(st.text())
    def test_printable(self, text: str) -> None:
        """What is shown has as many characters as before, and none that is not seen."""
        self.assertTrue(printable(text).isprintable())
        self.assertEqual(len(printable(text)), len(text))
        self.assertEqual(printable(printable(text)), printable(text))

    def test_one_place(self) -> None:
        """No command prints by another way."""
        others = {"echo", "secho", "print", "echo_via_pager"}
        for path in Path(invitereg.cli.__path__[0]).glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                name = getattr(node, "attr", getattr(node, "id", ""))
                if name in others and path.name != "output.py":
                    # Of rich, which is given what is printable.
                    self.assertEqual((path.name, ast.unparse(node)), PRINTED_BY_RICH)
