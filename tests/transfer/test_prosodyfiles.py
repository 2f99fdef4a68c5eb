"""What is found in folders that Prosody could have, whole or damaged."""

import json
import shutil
import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from invitereg.errors import InvalidRequest, NotFound
from invitereg.model.invites import Kind, token_digest
from invitereg.transfer.prosody import FoundInvite
from invitereg.transfer.prosodyfiles import find_invites
from tests.transfer.test_lua import written

NOW = datetime(2026, 11, 22, tzinfo=UTC)
LATER = 1795978982
TOKEN = "FSC-3Pq_Q1OmR6WpGaVPTggR"
ACCOUNT: dict[str, Any] = {
    "type": "register",
    "jid": "example.com",
    "token": TOKEN,
    "created_at": LATER - 604800,
    "expires": LATER,
    "allow_registration": True,
}


class FolderCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="prosody-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.host = self.folder / "example%2ecom"
        (self.host / "invite_token").mkdir(parents=True)

    def write(self, value: Any, user: str | None = None) -> Path:
        """Store a table for the host, or for a user."""
        path = self.host / ("invite_token.dat" if user is None else f"invite_token/{user}.dat")
        path.write_bytes(b"return " + written(value) + b";\n")
        return path

    def found(self, domain: str = "example.com") -> list[FoundInvite]:
        return find_invites(self.folder, domain, NOW)

    def one(self, **changes: Any) -> Any:
        """The only invite, of an account invite with some changes."""
        self.write({TOKEN: {**ACCOUNT, **changes}})
        (found,) = self.found()
        self.assertEqual(found.digest, token_digest(TOKEN))
        return found.invite

    def refusal(self) -> str:
        error = self.assertRaises(InvalidRequest, self.found)
        self.assertNotIn(TOKEN, str(error))
        return str(error)


class MeaningTests(FolderCase):
    def test_kinds(self) -> None:
        """The kind is told by what it does, and so are inviter and username."""
        named = {"jid": "Juliet@Example.com"}
        reset = {"jid": "romeo@example.com", "additional_data": {"allow_reset": "romeo"}}
        cases: tuple[tuple[dict[str, Any], tuple[Kind, str | None, str | None]], ...] = (
            ({}, (Kind.ACCOUNT, None, None)),
            (named, (Kind.ACCOUNT, None, "juliet")),
            (reset, (Kind.RESET, None, "romeo")),
            ({**named, "type": "roster"}, (Kind.ACCOUNT_AND_CONTACT, "juliet", None)),
        )
        for changes, expected in cases:
            invite = self.one(**changes)
            self.assertEqual((invite.kind, invite.inviter, invite.username), expected)

    def test_additional(self) -> None:
        """Roles that are given, groups in their order, and the note are kept."""
        more = {"roles": {"b:x": True, "a": True, "c": False}, "groups": {1: "y", 2: "x"}}
        invite = self.one(additional_data={**more, "note": "hi", "unknown": {}}, reusable=True)
        self.assertEqual((invite.roles, invite.groups), (("a", "b:x"), ("y", "x")))
        self.assertEqual((invite.note, invite.uses_allowed), ("hi", None))
        self.assertEqual(invite.expires_at, datetime.fromtimestamp(LATER, UTC))

    def test_roles(self) -> None:
        """Roles are taken as Prosody 0.12 stores them, a table, and as 13 does, a list."""
        for roles, expected in (
            ({"b:x": True, "a": True, "c": False}, ("a", "b:x")),
            ({1: "prosody:admin", 2: "b:x", 3: "a"}, ("prosody:admin", "b:x", "a")),
            ({1: "a", 2: "a"}, ("a",)),
            ({}, ()),
        ):
            self.assertEqual(self.one(additional_data={"roles": roles}).roles, expected)

    @given(st.lists(st.text('ab:é"\\\n', min_size=1), unique=True))
    def test_any_roles(self, roles: list[str]) -> None:
        """A list and a table of the same roles mean the same."""
        listed = self.one(additional_data={"roles": dict(enumerate(roles, 1))}).roles
        table = self.one(additional_data={"roles": dict.fromkeys(roles, True)}).roles
        self.assertEqual((list(listed), list(table)), (roles, sorted(roles)))

    def test_source(self) -> None:
        """Who made it is its inviter, if it was one of the domain's users."""
        for source, expected in (
            ("admin@example.com/x", ("adhoc:admin@example.com", "admin")),
            ("Admin@EXAMPLE.com./x", ("adhoc:admin@example.com", "admin")),
            ("admin@example.net/x", ("adhoc:admin@example.net", None)),
            ("api/token/abc", ("prosody", None)),
        ):
            invite = self.one(additional_data={"source": source})
            self.assertEqual((invite.source, invite.inviter), expected)

    def test_contact(self) -> None:
        """A user's own token makes contacts; one that registers as well is found once."""
        self.write({TOKEN: {**ACCOUNT, "type": "roster", "jid": "jülïet@example.com"}})
        self.write({TOKEN: LATER, "other": LATER}, user="j%c3%bcl%c3%afet")
        kinds = sorted(one.invite.kind for one in self.found())
        self.assertEqual(kinds, [Kind.ACCOUNT_AND_CONTACT, Kind.CONTACT])
        self.assertEqual({one.invite.inviter for one in self.found()}, {"jülïet"})

    def test_same_id(self) -> None:
        """An invite has the same id each time, and nobody can tell the token from it."""
        first, second = self.one().id, self.one(reusable=True).id
        self.assertEqual(first, second)
        self.assertNotIn(first, TOKEN.lower())


SPELLINGS = ("m\u00fcnchen.example", "xn--mnchen-3ya.example")


class SpellingTests(FolderCase):
    def test_files(self) -> None:
        """A host is found by the domain's other spelling, in files and in the database."""
        for number, host in enumerate(SPELLINGS):
            self.host = self.folder / quote(host, safe="").replace("-", "%2d")
            self.host.mkdir()
            self.write({f"{TOKEN}{number}": {**ACCOUNT, "jid": host}})
        found = self.found(SPELLINGS[0])
        self.assertEqual([one.invite.domain for one in found], [SPELLINGS[0]] * 2)
        for host in SPELLINGS:
            self.assertRaises(NotFound, self.found, f"chat.{host}")


class DatabaseTests(FolderCase):
    host_name = "example.org"

    def test_spelling(self) -> None:
        """A host is found by the domain's other spelling."""
        self.host_name = SPELLINGS[1]
        stored = json.dumps({**ACCOUNT, "jid": f"romeo@{SPELLINGS[1]}", "type": "roster"})
        self.store(("", "invite_token", TOKEN, "json", stored))
        (found,) = self.found(SPELLINGS[0])
        self.assertEqual(found.invite.domain, SPELLINGS[0])

    def store(self, *rows: tuple[str | None, str, str, str, str]) -> None:
        with closing(sqlite3.connect(self.folder / "prosody.sqlite")) as database:
            columns = "host TEXT, user TEXT, store TEXT, key TEXT, type TEXT, value TEXT"
            database.execute(f"CREATE TABLE prosody ({columns})")
            values = [(self.host_name, user, store, *more) for user, store, *more in rows]
            database.executemany("INSERT INTO prosody VALUES (?,?,?,?,?,?)", values)
            database.commit()

    def test_rows(self) -> None:
        """Each row is a token; the row without a key has what is left."""
        stored = json.dumps({**ACCOUNT, "jid": "example.org", "additional_data": []})
        self.store(
            ("", "invite_token", TOKEN, "json", stored),
            ("romeo", "invite_token", "other", "number", f"{LATER}.0"),
            ("", "invite_token", "", "json", json.dumps({"third": json.loads(stored)})),
            ("", "accounts", "x", "string", "not json"),
        )
        kinds = [one.invite.kind for one in self.found("example.org")]
        self.assertEqual(kinds, [Kind.ACCOUNT, Kind.ACCOUNT, Kind.CONTACT])

    def test_roles(self) -> None:
        """Roles are a list or a table in JSON, too; one that has none has an empty either."""
        for stored, expected in (
            (["prosody:admin", "b"], ("prosody:admin", "b")),
            ({"prosody:admin": True, "b": True}, ("b", "prosody:admin")),
            ({}, ()),
            ([], ()),
            (None, ()),
        ):
            more = {"roles": stored, "groups": []}
            entry = {**ACCOUNT, "jid": "example.org", "additional_data": more}
            self.store(("", "invite_token", TOKEN, "json", json.dumps(entry)))
            (found,) = self.found("example.org")
            self.assertEqual(found.invite.roles, expected)
            (self.folder / "prosody.sqlite").unlink()

    def test_half_a_character(self) -> None:
        """A token may be any text that JSON can hold, although nobody can send it."""
        stored = {"\ud800": {**ACCOUNT, "jid": "example.org"}}
        self.store(("", "invite_token", "", "json", json.dumps(stored)))
        self.assertEqual(len(self.found("example.org")), 1)

    def test_damaged(self) -> None:
        """A row that cannot be read is an error, and so is a file that is no database."""
        self.store(("", "invite_token", TOKEN, "json", "{"))
        error = self.assertRaises(InvalidRequest, self.found, "example.org")
        self.assertIn("prosody.sqlite", str(error))
        (self.folder / "prosody.sqlite").write_bytes(b"x" * 5000)
        self.assertIn("prosody.sqlite: file is not a database", self.refusal())


class DamageTests(FolderCase):
    def test_line(self) -> None:
        """A file that is not what Prosody writes is named, with the line."""
        path = self.write({TOKEN: ACCOUNT})
        path.write_bytes(path.read_bytes().replace(b'"register"', b"os.exit()"))
        self.assertIn(f"{path}: line 3: here should be", self.refusal())

    def test_cut(self) -> None:
        """A file that was cut anywhere is no list of fewer invites."""
        path = self.write({TOKEN: ACCOUNT, "other": ACCOUNT})
        whole = path.read_bytes().rstrip(b";\n")
        for length in range(len(whole)):
            path.write_bytes(whole[:length])
            self.assertIn(str(path), self.refusal())

    def test_wrong(self) -> None:
        """An invite that makes no sense is named by the beginning of its token."""
        cases: tuple[tuple[str, Any], ...] = (
            ("type", "other"),
            ("jid", "example.net"),
            ("jid", "@example.com"),
            ("expires", "soon"),
            ("expires", -1),
            ("expires", 1e300),
            ("reusable", 1),
            ("additional_data", {"groups": {"a": "b"}}),
            ("additional_data", {"roles": {1: "admin", "b": True}}),
            ("additional_data", {"roles": {1: "admin", 3: "b"}}),
            ("additional_data", {"roles": {"admin": "yes"}}),
            ("additional_data", {"roles": {1: True}}),
            ("additional_data", {"roles": "admin"}),
            ("additional_data", {"allow_reset": "a b"}),
            ("additional_data", 7),
        )
        for key, value in cases:
            self.write({TOKEN: {**ACCOUNT, key: value}})
            said = self.refusal()
            self.assertIn("invite FSC-…", said, (key, value))
        self.write({1: ACCOUNT})
        self.assertIn("table of tokens", self.refusal())
        self.write({})
        self.write({TOKEN: "soon"}, user="romeo")
        self.assertIn("romeo.dat", self.refusal())

    def test_unreadable(self) -> None:
        """What may not be read, or is no folder, is not taken for empty."""
        users = self.host / "invite_token"
        users.rmdir()
        users.write_text("")
        self.assertIn(f"{users}: Not a directory", self.refusal())
        users.unlink()
        (self.host / "invite_token.dat").mkdir()
        self.assertIn("invite_token.dat: Is a directory", self.refusal())

    def test_absent(self) -> None:
        """Where nothing is of the domain, it is said what there is."""
        self.assertEqual(self.found(), [])
        error = self.assertRaises(NotFound, self.found, "example.net")
        self.assertIn("only of example.com", str(error))
        shutil.rmtree(self.host)
        error = self.assertRaises(NotFound, self.found)
        self.assertIn("is it Prosody's data_path?", str(error))
