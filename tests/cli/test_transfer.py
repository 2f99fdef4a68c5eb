"""`invitereg export` and `invitereg import`."""

import json
import shutil
import stat
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from invitereg.cli.workspace import Workspace
from invitereg.interfaces.accounts import ILogins, IPasswords
from invitereg.interfaces.queries import Subscribing
from invitereg.model.invites import token_digest
from invitereg.model.subscribing import Stanza
from invitereg.transfer import exporting
from invitereg.transfer.format import FORMAT, Malformed, read_header, read_line, write_line
from tests.cli.case import CommandCase
from tests.cli.terminal import SECONDS, command_line, environment

NOTHING = {
    "accounts": 0,
    "deleted": 0,
    "roster_items": 0,
    "invites": 0,
    "uses": 0,
    "notices": 0,
    "keys": 0,
}
ALL = {
    "accounts": 2,
    "deleted": 1,
    "roster_items": 2,
    "invites": 5,
    "uses": 3,
    "notices": 1,
    "keys": 2,
}


class TransferCase(CommandCase):
    """There are accounts, one deleted, and invites of all kinds; and another, empty store."""

    def setUp(self) -> None:
        super().setUp()
        for name in ("romeo", "tybalt"):
            self.make_account(name)
        with self.config.open("a") as config:
            config.write("registration_watchers: [romeo@example.com]\n")
        self.done("account", "role", "romeo", "--add", "b", "--add", "a")
        self.done("account", "delete", "tybalt")
        self.used = self.create("--uses", "3", "--note", "zwei\nZeilen ☃")
        self.register("juliet", self.used["token"])
        self.befriend("juliet", "romeo@example.com")
        self.reserved = self.create("--username", "nurse", "--group", "Capulets")
        self.done("invite", "revoke", self.create("--username", "paris")["id"])
        self.create("--inviter", "romeo", "--contact", "--expires", "never")
        self.reset = self.object("reset", "create", "romeo")
        self.key = self.object("key", "create", "portal", "--scope", "invites:create")
        ended = self.object("key", "create", "old", "--scope", "invites:read")
        self.done("key", "revoke", ended["id"])
        self.here, self.there = self.config, self.folder / "there" / "config.yaml"
        (self.there.parent / "data").mkdir(parents=True)

        shutil.copy(self.here, self.there)
        self.file = self.folder / "export"

    def befriend(self, username: str, contact: str) -> None:
        """Let one ask another, who has not answered."""
        with Workspace.open(self.config) as workspace:
            asked = Subscribing(
                stanza=Stanza.SUBSCRIBE,
                domain="example.com",
                username=username,
                contact=contact,
                roster_limit=9,
                requests_limit=9,
                request="<presence xmlns='jabber:client' type='subscribe'"
                f" from='{username}@example.com' to='{contact}'/>",
            )
            workspace.run(workspace.store.subscribe(asked))

    def create(self, *arguments: str) -> dict[str, Any]:
        return self.object("invite", "create", *arguments)

    def exported(self) -> str:
        return self.done("export")

    def go_there(self) -> str:
        """Export, and go on with the other store; returns what was exported."""
        text = self.exported()
        self.file.write_text(text)
        self.config = self.there
        return text

    def edited(self, change: Callable[[list[Any]], object]) -> str:
        """Change the lines of the file; returns its name."""
        lines = [json.loads(line) for line in self.file.read_text().splitlines()]
        change(lines)
        self.file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return str(self.file)

    def number(self, **wanted: Any) -> int:
        """The place, from 0, of the first line with these values."""
        lines = [json.loads(line) for line in self.file.read_text().splitlines()]
        return next(n for n, line in enumerate(lines) if wanted.items() <= line.items())


class RoundTripTests(TransferCase):
    def test_equal(self) -> None:
        """What was exported, imported and exported again is the same, byte for byte."""
        text = self.go_there()
        counts = self.object("import", str(self.file))
        self.assertEqual(counts, ALL | {"unchanged": 0})
        self.assertEqual(self.exported(), text)

    def test_other_domains(self) -> None:
        """What is for domains that are not served is refused, each named, or asked for."""
        text = self.go_there()
        served = self.config.read_text()
        self.config.write_text(served.replace("example.com", "example.net"))
        says = f"{self.file}: it is for domains that are not served: example.com"
        self.assertRefused("import", str(self.file), says=says)
        self.config.write_text(served)
        self.assertEqual(self.objects("account", "list"), [])
        self.config.write_text(served.replace("example.com", "example.net"))
        counts = self.object("import", "--any-domain", str(self.file))
        self.assertEqual(counts, ALL | {"unchanged": 0})
        self.assertEqual(self.exported(), text)

    def test_a_labels(self) -> None:
        """An older export of an international domain, in A-labels, is of the same domain."""
        text = self.go_there()
        written = text.replace("example.com", "xn--mnchen-3ya.example")
        self.file.write_text(written)
        served = self.config.read_text()
        self.config.write_text(served.replace("example.com", "münchen.example"))
        counts = self.object("import", str(self.file))
        self.assertEqual(counts, ALL | {"unchanged": 0})
        exported = [json.loads(line) for line in self.exported().splitlines()]
        expected = text.replace("example.com", "münchen.example")
        self.assertEqual(exported, [json.loads(line) for line in expected.splitlines()])

    def test_names_kept_for_a_while(self) -> None:
        """A deleted account's name becomes free there when it would have here."""
        text = self.config.read_text()
        self.config.write_text(f"{text}\nkeep_names: 2d\n")
        self.make_account("mercutio")
        self.done("account", "delete", "mercutio")
        self.go_there()
        self.done("import", str(self.file))
        with Workspace.open(self.config) as workspace:
            for days, freed in ((1, 0), (3, 1)):
                moment = workspace.now() + timedelta(days=days)
                purged = workspace.store.purge_names("example.com", moment, 9)
                self.assertEqual(workspace.run(purged), freed)
        self.make_account("mercutio")
        self.assertRefused("invite", "create", "--username", "tybalt", says="reserved")

    def test_format_1(self) -> None:
        """What an older release exported tells through whom people came, by their invites."""
        self.go_there()

        def change(lines: list[Any]) -> None:
            lines[0]["format"] = 1
            new = ("notice", "roster_item", "key")
            kept = [line for line in lines if line["type"] not in new]
            kept[-1]["lines"] -= len(lines) - len(kept)
            lines[:] = kept
            for line in lines:
                if line["type"] == "use":
                    del line["inviter"]
                if line.get("id") == self.used["id"]:
                    line["inviter"] = "romeo"

        self.done("import", self.edited(change))
        found = [(o["username"], o["inviter"]) for o in self.objects("invite", "tree")]
        self.assertEqual(found, [("romeo", None), ("juliet", "romeo"), ("tybalt", None)])

    def test_notice_of_nothing(self) -> None:
        """A notice of a registration that never was is refused."""
        self.go_there()
        place = self.number(type="notice")

        def change(lines: list[Any]) -> None:
            lines[place]["about_username"] = "nobody"

        says = f"line {place + 1}: there is no registration of nobody@example.com"
        self.assertRefused("import", self.edited(change), says=says)

    def test_works(self) -> None:
        """There, accounts log in, tokens work, and names are taken, reserved and kept."""
        self.go_there()
        self.done("import", str(self.file))
        with Workspace.open(self.config) as workspace:
            check = IPasswords(workspace.accounts["example.com"]).check_password
            for name, password, right in (
                ("romeo", "correct horse", True),
                ("romeo", "wrong", False),
                ("juliet", "correct horse", True),
                ("tybalt", "correct horse", False),
            ):
                since = workspace.run(check(name, password))
                self.assertEqual(since is not None, right, name)
        self.register("mercutio", self.used["token"])
        self.register("nurse", self.reserved["token"])
        self.register("romeo", self.reset["token"])
        for name, says in (("romeo", "exists"), ("tybalt", "reserved"), ("nurse", "exists")):
            self.assertRefused("invite", "create", "--username", name, says=says)
        self.create("--username", "paris")
        with Workspace.open(self.config) as workspace:
            found = workspace.run(workspace.store.find_key(token_digest(self.key["key"])))
            self.assertEqual(found.id, self.key["id"])

    def test_decoys(self) -> None:
        """A stranger cannot tell from unknown names that the service has moved."""

        def decoy() -> object:
            with Workspace.open(self.config) as workspace:
                logins = ILogins(workspace.accounts["example.com"])
                return workspace.run(logins.get_scram_keys("nobody", "SCRAM-SHA-256"))

        before = decoy()
        self.go_there()
        self.done("import", str(self.file))
        self.assertEqual(decoy(), before)

    def test_again(self) -> None:
        """The same file again changes nothing, there or where it comes from."""
        text = self.go_there()
        self.done("import", str(self.file))
        for config in (self.there, self.here):
            self.config = config
            counts = self.object("import", str(self.file))
            self.assertEqual(counts, NOTHING | {"unchanged": 16})
            self.assertEqual(self.exported(), text)

    def tell(self) -> int:
        """Tell romeo all that waits for them; returns how much that was."""
        with Workspace.open(self.config) as workspace:
            found = workspace.run(workspace.store.notices_of("example.com", "romeo"))
            workspace.run(workspace.store.remove_notices([notice.number for notice in found]))
        return len(found)

    def test_again_after_it_was_told(self) -> None:
        """The same file again brings back no notice that was told, here or there."""
        self.go_there()
        self.done("import", str(self.file))
        for config in (self.there, self.here):
            self.config = config
            self.assertEqual(self.tell(), 1)
            counts = self.object("import", str(self.file))
            self.assertEqual(counts, NOTHING | {"unchanged": 16})
            self.assertEqual(self.tell(), 0)

    def test_newer_file(self) -> None:
        """A later export brings the notices of registrations that are new, and no others."""
        self.go_there()
        self.done("import", str(self.file))
        self.tell()
        self.config = self.here
        self.make_account("mercutio")
        self.go_there()
        added = {"accounts": 1, "uses": 1, "notices": 1}
        self.assertEqual(
            self.object("import", str(self.file)), NOTHING | added | {"unchanged": 16}
        )
        self.assertEqual(self.tell(), 1)

    def test_standard_input(self) -> None:
        """One store can be piped into another."""
        text = self.go_there()
        self.assertEqual(self.object("import", "-", stdin=text)["accounts"], 2)

    def test_into_existing(self) -> None:
        """A store with something in it keeps that, and its own key."""
        self.config = self.there
        own = json.loads(self.exported().splitlines()[1])
        self.make_account("friar")
        self.config = self.here
        self.go_there()
        self.done("import", str(self.file))
        self.assertEqual(json.loads(self.exported().splitlines()[1]), own)
        names = [one["username"] for one in self.objects("account", "list")]
        self.assertEqual(names, ["friar", "juliet", "romeo"])


class RefusalTests(TransferCase):
    def setUp(self) -> None:
        super().setUp()
        self.go_there()
        self.empty = self.exported()

    def assertNothing(
        self, change: Callable[[list[Any]], object], place: int, says: str
    ) -> None:
        """After the change the file is refused at that line, and nothing of it is there."""
        name = self.edited(change)
        self.assertRefused("import", name, says=f"{name}: line {place + 1}: ")
        self.assertIn(says, self.call("import", name).stderr)
        lines = self.exported().splitlines()
        self.assertEqual(lines[2:], self.empty.splitlines()[2:])

    def test_values(self) -> None:
        """A value that cannot be is named with its line and key."""
        before = self.file.read_text()
        for wanted, key, value in (
            ({"type": "account"}, "username", "ROMEO"),
            ({"type": "account"}, "username", "a@b"),
            ({"type": "account"}, "domain", ""),
            ({"type": "account"}, "credentials", ["SCRAM-SHA-256$1:x$y"]),
            ({"type": "account"}, "changed_at", None),
            ({"type": "account"}, "colour", "red"),
            ({"type": "roster_item"}, "jid", "@example.com"),
            ({"type": "roster_item"}, "jid", "Romeo@example.com"),
            ({"type": "roster_item"}, "request", "<presence>"),
            ({"type": "roster_item"}, "subscription", "remove"),
            ({"type": "roster_item"}, "username", "nobody"),
            ({"type": "roster_item", "username": "romeo"}, "subscription", "from"),
            ({"type": "key"}, "scopes", ["everything"]),
            ({"type": "invite"}, "digest", "00"),
            ({"type": "invite"}, "kind", "other"),
            ({"type": "invite"}, "uses", -1),
            ({"type": "invite"}, "uses", 4),
            ({"type": "invite"}, "uses_allowed", 0),
            ({"type": "invite"}, "created_at", "2026-01-01T00:00:00"),
            ({"type": "use"}, "at", 7),
            ({"type": "use"}, "type", "other"),
        ):
            with self.subTest((key, value)):
                self.file.write_text(before)
                place = self.number(**wanted)

                def change(
                    lines: list[Any], place: int = place, key: str = key, value: Any = value
                ) -> None:
                    lines[place][key] = value

                self.assertNothing(change, place, "")

    def test_newer(self) -> None:
        """What a later version wrote in another way is not guessed at."""

        def change(lines: list[Any]) -> None:
            lines[0] |= {"format": FORMAT + 1, "more": True}

        self.assertNothing(change, 0, "written by a newer invitereg")

    def test_unknown_schema(self) -> None:
        """Nor is what a program wrote whose schema this one has never had."""
        for schema in ("9999", "", "x" * 99):

            def change(lines: list[Any], schema: str = schema) -> None:
                lines[0]["schema"] = schema

            self.assertNothing(change, 0, "this one does not know")

    def test_own_words(self) -> None:
        """What is wrong is told in words of ours, whatever is put into any place."""
        before = self.file.read_text()
        said = set()
        for place, line in enumerate(before.splitlines()):
            for key in json.loads(line):
                for value in (None, 7, -1, "", "x" * 5000, [], {}, True, [7], "2026-01-01"):
                    lines = [json.loads(text) for text in before.splitlines()]
                    lines[place][key] = value
                    text = json.dumps(lines[place]).encode()
                    try:
                        (read_line if place else read_header)(text)
                    except Malformed as error:
                        said.add(str(error))
        self.assertTrue(said)
        for text in said:
            for word in ("Input", "Field", "Extra", "should", "pydantic", "cannot be used"):
                self.assertNotIn(word, text)

    def test_cut_off(self) -> None:
        """A file that is not whole is not imported, wherever it was cut."""
        self.assertNothing(lambda lines: lines.pop(), 18, "the end is missing")
        whole = self.go_back()
        cut = whole[:-200]
        self.file.write_bytes(cut)
        line = cut.count(b"\n") + 1
        self.assertRefused("import", str(self.file), says=f": line {line}: ")
        self.file.write_bytes(b"")
        self.assertRefused("import", str(self.file), says="the end is missing")

    def go_back(self) -> bytes:
        """The file as it was exported."""
        self.config = self.here
        self.go_there()
        return self.file.read_bytes()

    def test_lost_line(self) -> None:
        """Nor is one with a line too few, or too many."""
        self.assertNothing(lambda lines: lines.pop(4), 17, "here should be 17 lines")
        self.go_back()
        self.assertNothing(lambda lines: lines.append(lines[2]), 19, "after the end")

    def test_not_json(self) -> None:
        """What is no export at all is told."""
        for text in ("domain: example.com\n", "{}\n", "\xff\n", "\n"):
            self.file.write_text(text, encoding="latin-1")
            self.assertRefused("import", str(self.file), says=f"{self.file}: line 1: ")
        self.assertMisused("import", str(self.folder / "missing"), says="No such file")

    def test_conflicts(self) -> None:
        """What differs from what is there is refused, and nothing else is imported."""
        self.make_account("romeo")
        self.refused_at("account romeo at example.com", type="account", username="romeo")
        self.done("account", "delete", "romeo")
        self.refused_at("reserved", type="account", username="romeo")

    def test_reserved_here(self) -> None:
        """A name that is reserved here by another invite is a conflict."""
        self.create("--username", "nurse")
        self.refused_at("nurse@example.com: ", type="invite", username="nurse")

    def test_deleted_name_taken(self) -> None:
        """So is an account here whose name was deleted there."""
        self.make_account("tybalt")
        self.refused_at("tybalt@example.com: ", type="deleted")

    def refused_at(self, says: str, **wanted: Any) -> None:
        before = self.exported()
        name = str(self.file)
        self.assertRefused("import", name, says=f"{name}: line {self.number(**wanted) + 1}: ")
        self.assertIn(says, self.call("import", name).stderr)
        self.assertEqual(self.exported(), before)

    def test_same_token(self) -> None:
        """Two invites of a domain cannot have one token."""
        place = self.number(type="invite")

        def change(lines: list[Any]) -> None:
            lines[place + 1]["digest"] = lines[place]["digest"]

        self.assertNothing(change, place + 1, "another invite with this token")

    def test_same_secret(self) -> None:
        """Nor can two keys have one secret, or one id."""
        place, before = self.number(type="key"), self.file.read_text()
        for what, says in (("digest", "another key with this"), ("id", "another api key")):
            self.file.write_text(before)

            def change(lines: list[Any], what: str = what) -> None:
                lines[place + 1][what] = lines[place][what]

            self.assertNothing(change, place + 1, says)

    def test_reset_of_nobody(self) -> None:
        """A reset never waits for an account that somebody else makes later."""
        place = self.number(type="invite", kind="reset")

        def change(lines: list[Any]) -> None:
            lines[place]["username"] = "nobody"

        self.assertNothing(change, place, "no account nobody@example.com")


class OutputTests(TransferCase):
    def test_file(self) -> None:
        """With --output, the file is its owner's alone, complete, and counted."""
        text = self.exported()
        self.assertEqual(self.object("export", "--output", str(self.file)), ALL)
        self.assertEqual(self.file.read_text(), text)
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o600)

    def test_force(self) -> None:
        """A file that is there, such as the last export, is replaced by --force only."""
        text = self.exported()
        self.file.write_text("old")
        self.file.chmod(0o644)
        self.assertRefused("export", "--output", str(self.file), says="it exists already")
        self.assertEqual(self.file.read_text(), "old")
        counts = self.object("export", "--output", str(self.file), "--force")
        self.assertEqual(counts, ALL)
        self.assertEqual(self.file.read_text(), text)
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o600)

    def test_failed(self) -> None:
        """An export that fails leaves the older file, and no part of itself."""
        self.file.write_text("old")
        before = sorted(self.folder.iterdir())
        with mock.patch.object(exporting, "End", side_effect=KeyboardInterrupt):
            failed = self.call("export", "--output", str(self.file), "--force")
            self.assertEqual(failed.exit_code, 130)
            self.assertEqual(self.file.read_text(), "old")
            new = str(self.folder / "new")
            self.assertEqual(self.call("export", "--output", new).exit_code, 130)
        self.assertEqual(sorted(self.folder.iterdir()), before)

    def test_refused(self) -> None:
        """What is no file is left alone, and a folder that is not there is told."""
        for place in ("/dev/null", str(self.folder)):
            forced = ("export", "--force", "--output", place)
            self.assertMisused(*forced, says="not a regular file")
            self.assertRefused("export", "--output", place, says="it exists already")
        missing = str(self.folder / "missing" / "export")
        for force in ((), ("--force",)):
            self.assertRefused("export", "--output", missing, *force, says="No such file")
            closed = ("export", "--output", str(self.folder / ("x" * 300)), *force)
            self.assertRefused(*closed, says="File name too long")
        for option in ("--json", "--force"):
            self.assertMisused("export", option, says="--output")
        self.assertTrue(Path("/dev/null").is_char_device())

    def test_help(self) -> None:
        """The help says what the file gives away."""
        for word in ("SECRET", "keys", "digests"):
            self.assertIn(word, self.done("export", "--help"))

    def test_closed_pipe(self) -> None:
        """A reader that goes away ends it quietly."""
        self.done("invite", "create", "--count", "2000")
        line = command_line(self.config, "export")
        process = subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
        )
        assert process.stdout is not None
        process.stdout.read(10)
        process.stdout.close()
        self.assertEqual(process.communicate(timeout=SECONDS)[1], b"")

    def test_one_moment(self) -> None:
        """What is written while it runs is in no part of it."""
        command = command_line(self.config, "invite", "create")

        def meanwhile(line: Any) -> bytes:
            if line.type == "account":
                subprocess.run(command, check=True, capture_output=True, env=environment())
            return write_line(line)

        before = self.exported()
        with mock.patch.object(exporting, "write_line", meanwhile):
            self.assertEqual(self.exported(), before)
        self.assertEqual(len(self.exported().splitlines()), len(before.splitlines()) + 2)
