"""`invitereg key`."""

from invitereg.cli.workspace import Workspace
from invitereg.model.invites import token_digest
from tests.cli.case import CommandCase


class KeyTests(CommandCase):
    def create(self, *options: str, name: str = "portal") -> dict:
        return self.object("key", "create", name, "--scope", "invites:create", *options)

    def test_create(self) -> None:
        """A key is shown once; the store keeps only its digest."""
        made = self.create("--scope", "invites:read", "--domain", "Example.COM")
        self.assertEqual(
            made,
            {
                "id": made["id"],
                "name": "portal",
                "key": made["key"],
                "scopes": ["invites:create", "invites:read"],
                "domain": "example.com",
                "expires_at": None,
            },
        )
        self.assertRegex(made["key"], r"^[A-Za-z0-9]{24}$")
        for file in (self.folder / "data").iterdir():
            self.assertNotIn(made["key"].encode(), file.read_bytes())
        with Workspace.open(self.config) as workspace:
            found = workspace.run(workspace.store.find_key(token_digest(made["key"])))
            self.assertEqual(found.id, made["id"])

    def test_create_for_people(self) -> None:
        """The key is on a line of its own."""
        lines = self.done("key", "create", "portal", "--scope", "invites:create").splitlines()
        self.assertRegex(lines[0], r"^[A-Za-z0-9]{24}$")
        self.assertIn("name portal, for all domains, never expires, scopes", lines[1])

    def test_list_and_revoke(self) -> None:
        """Keys are listed without the secret, also those that are over."""
        first, second = self.create(), self.create("--expires", "1h", name="second")
        revoked = self.object("key", "revoke", first["id"])
        self.assertIsNotNone(revoked["revoked_at"])
        listed = self.objects("key", "list")
        self.assertEqual([one["id"] for one in listed], [first["id"], second["id"]])
        self.assertEqual(
            list(listed[0]),
            ["id", "name", "scopes", "domain", "expires_at", "created_at", "revoked_at"],
        )
        self.assertIsNotNone(listed[1]["expires_at"])
        rows = self.done("key", "list").splitlines()
        self.assertEqual([row.split("\t")[1] for row in rows], ["revoked", "valid"])
        self.assertIn("revoked: key", self.done("key", "revoke", first["id"]))

    def test_wrong(self) -> None:
        """A key that would open nothing, or something unknown, is not made."""
        self.assertMisused("key", "create", "portal", says="Choose from:\n    invites:create")
        self.assertMisused("key", "create", "x", "--scope", "invites", says="invites:create")
        scope = ("--scope", "invites:create")
        self.assertRefused("key", "create", "", *scope, says="name")
        self.assertRefused("key", "create", "a\nb", *scope, says="printable")
        self.assertRefused("key", "create", "x", *scope, "--domain", "a.b", says="example.com")
        self.assertRefused("key", "revoke", "nothing", says="There is no key nothing")
        self.assertEqual(self.objects("key", "list"), [])
