"""The invites of a real Prosody, taken over from the folder that it has made."""

import json
import os
from pathlib import Path
from typing import Any

from tests.cli.case import CommandCase
from tests.peers import servers
from tests.service.running import DOMAIN, wait_until

# A module of Prosody that has its mod_invites make one of each kind.
MAKING = """
local invites = module:depends("invites");
module:hook_global("server-started", function ()
	local made = {};
	local function note(name, invite)
		made[#made+1] = name.." "..invite.token.." "..invite.uri.."\\n";
	end
	local more = {
		source = "boss@localhost/x"; roles = { ["prosody:admin"] = true; };
		groups = { "one", "g\\195\\188 \\"\\\\\\n2" };
	};
	note("account", invites.create_account(nil, more));
	note("named", invites.create_account("juliet"));
	note("reset", invites.create_account_reset("romeo"));
	note("both", invites.create_contact("romeo", true, { source = "romeo@localhost" }));
	note("contact", invites.create_contact("romeo", false));
	note("group", invites.create_group({ "family" }, nil, 3600));
	note("expired", invites.create_account(nil, nil, -10));
	for i = 1, 30 do
		note("more"..i, invites.create_account());
	end
	local file = io.open(prosody.paths.data.."/made", "w");
	file:write(table.concat(made));
	file:write("end\\n");
	file:close();
end);
"""


class Inviting(servers.Prosody):
    """A Prosody with its own invites, as it starts.

    Attributes:
        storage: where it keeps them, ``internal`` or ``sql``.
        made: the token and the URI of each that it has made.
    """

    storage = "internal"

    def make(self) -> "Inviting":
        """Let it run for as long as it takes to make them."""
        (self.folder / "mod_making.lua").write_text(MAKING)
        self.modules += " invites making"
        self.settings += [
            f'plugin_paths = {{ "{self.folder}" }}; storage = "{self.storage}"',
            'sql = { driver = "SQLite3"; database = "prosody.sqlite" }',
        ]
        self.start()
        made = self.data / "made"
        wait_until(lambda: made.exists() and made.read_text().endswith("end\n"), "no invites")
        self.stop()
        words = [line.split(" ", 2) for line in made.read_text().splitlines()[:-1]]
        self.made = {name: (token, uri) for name, token, uri in words}
        return self

    @property
    def data(self) -> Path:
        return self.folder / "data"


class ProsodyCase(CommandCase):
    """A store with two accounts, for the domain of a Prosody."""

    domain = DOMAIN

    def setUp(self) -> None:
        super().setUp()
        text = self.config.read_text().replace("example.com", DOMAIN)
        self.config.write_text(text)
        for name in ("romeo", "boss"):
            self.make_account(name)

    def made(self, kind: type[Inviting] = Inviting) -> Inviting:
        prosody = kind()
        self.addCleanup(prosody.remove)
        return prosody.make()

    def invites(self) -> list[dict[str, Any]]:
        return self.objects("invite", "list", "--limit", "100")


class InternalTests(ProsodyCase):
    kind: type[Inviting] = Inviting

    def test_taken_over(self) -> None:
        """Every pending invite is here then, as it was there, and only once."""
        prosody = self.made(self.kind)
        before = _contents(prosody.data)
        data = str(prosody.data)
        counts = {"invites": 36, "expired": 1, "unchanged": 0, "skipped": 0}
        self.assertEqual(self.object("import", "prosody", data, "--dry-run"), counts)
        self.assertEqual(self.invites(), [])
        self.assertEqual(self.object("import", "prosody", data), counts)
        again = {"invites": 0, "expired": 1, "unchanged": 36, "skipped": 0}
        self.assertEqual(self.object("import", "prosody", data), again)
        self.assertEqual(_contents(prosody.data), before)
        self.assertTold(prosody)
        self.assertWorks(prosody)

    def assertTold(self, prosody: Inviting) -> None:
        """Of each kind, the one that was made is what it was."""
        names = ("kind", "inviter", "username", "uses_allowed", "roles", "groups")
        told = {tuple(json.dumps(one[name]) for name in names) for one in self.invites()}
        groups = ["one", 'gü "\\\n2']
        expected: list[tuple[Any, ...]] = [
            ("account", "boss", None, 1, ["prosody:admin"], groups),
            ("account", None, "juliet", 1, [], []),
            ("reset", None, "romeo", 1, [], []),
            ("account-and-contact", "romeo", None, 1, [], []),
            ("contact", "romeo", None, 1, [], []),
            ("account", None, None, None, [], ["family"]),
            ("account", None, None, 1, [], []),
        ]
        self.assertEqual(told, {tuple(map(json.dumps, one)) for one in expected})

    def assertWorks(self, prosody: Inviting) -> None:
        """The tokens in the links that were sent do what they did."""
        for name, username in (
            ("account", "nurse"),
            ("named", "juliet"),
            ("both", "tybalt"),
            ("group", "paris"),
            ("group", "mercutio"),
            ("reset", "romeo"),
            *((f"more{number}", f"guest{number}") for number in range(1, 31)),
        ):
            token, uri = prosody.made[name]
            self.assertIn(f";preauth={token}", uri)
            self.register(username, token)
        accounts = {one["username"]: one for one in self.objects("account", "list")}
        self.assertEqual(accounts["nurse"]["roles"], ["prosody:admin"])
        self.assertEqual(accounts["paris"]["groups"], ["family"])
        counts = self.object("import", "prosody", str(prosody.data))
        self.assertEqual((counts["invites"], counts["unchanged"]), (0, 36))


class Database(Inviting):
    storage = "sql"


class SQLiteTests(InternalTests):
    """The same from the SQLite of its mod_storage_sql."""

    kind = Database

    def setUp(self) -> None:
        required = os.environ.get("INVITEREG_REQUIRE_PEERS") == "1"
        if not required and not list(Path("/usr/lib").glob("*/lua/5.4/dbd/sqlite3.so")):
            self.skipTest("Prosody has no SQLite: apt-get install lua-dbi-sqlite3")
        super().setUp()


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
