"""`invitereg import prosody` from each release, with invites that its operator made."""

import re
from typing import ClassVar

from tests.peers import test_prosody_invites as invites
from tests.peers.releases import Release, for_each_release
from tests.peers.servers import DOMAIN, Prosody


class Operated(Prosody):
    """A Prosody whose operator makes invites."""

    def prepare(self, storage: str) -> None:
        """Let it keep invites, in a ``storage`` of its own: ``internal`` or ``sql``."""
        self.modules += " invites admin_shell"
        self.settings += [
            f'storage = "{storage}"',
            'sql = { driver = "SQLite3"; database = "prosody.sqlite" }',
        ]
        self.start()

    def account(self, *options: str) -> str:
        """Make a link to register with these ``--role`` options."""
        return self._link(("create_account", DOMAIN), ("generate", DOMAIN), options)

    def reset(self, username: str) -> str:
        """Make a link to set a password."""
        jid = f"{username}@{DOMAIN}"
        return self._link(("create_reset", jid), ("generate", DOMAIN, "--reset", username), ())

    def _link(
        self, shell: tuple[str, ...], before: tuple[str, ...], options: tuple[str, ...]
    ) -> str:
        old = self.release.version("prosody").startswith("0.")
        words = ("mod_invites", *before) if old else ("shell", "invite", *shell)
        printed = self.control(*words, *options)
        (uri,) = re.findall(r"xmpp:\S+", printed)
        return str(uri)


@for_each_release
class ImportTests(invites.ProsodyCase):
    release: ClassVar[Release]
    storage: ClassVar = "internal"

    def test_generated(self) -> None:
        """What the operator's command has printed works here, roles and all."""
        prosody = Operated(release=self.release)
        self.addCleanup(prosody.remove)
        prosody.prepare(self.storage)
        prosody.register("boss", "a password of long ago")
        links = {
            "nurse": prosody.account("--role", "team:lead"),
            "paris": prosody.account("--role", "team:lead", "--role", "prosody:admin"),
            "tybalt": prosody.account(),
            "boss": prosody.reset("boss"),
        }
        counts = self.object("import", "prosody", str(prosody.folder / "data"))
        self.assertEqual((counts["invites"], counts["skipped"]), (len(links), 0))
        for username, uri in links.items():
            self.register(username, uri.rpartition("=")[2])
        accounts = {one["username"]: one["roles"] for one in self.objects("account", "list")}
        self.assertEqual(accounts["nurse"], ["team:lead"])
        # Prosody 0.12 gives the last role alone.
        self.assertIn("prosody:admin", accounts["paris"])
        self.assertEqual(accounts["tybalt"], [])


@for_each_release
class SQLiteTests(ImportTests):
    """The same from the SQLite of its mod_storage_sql."""

    storage = "sql"
