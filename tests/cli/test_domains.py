"""The command where several domains are served."""

from tests.cli.case import CommandCase


class DomainTests(CommandCase):
    def setUp(self) -> None:
        super().setUp()
        self.config.write_text("data_dir: data\ndomains: {example.com: , example.org: }\n")

    def test_asks(self) -> None:
        """Every command that is about one domain asks which, and has done nothing."""
        for arguments in (
            ("invite", "create"),
            ("invite", "create", "--inviter", "romeo"),
            ("invite", "list"),
            ("invite", "show", "x"),
            ("invite", "edit", "x", "--note", "x"),
            ("invite", "renew", "x"),
            ("invite", "revoke", "x"),
            ("reset", "create", "romeo"),
            ("account", "create", "romeo"),
            ("account", "list"),
            ("account", "delete", "romeo"),
            ("account", "role", "romeo", "--add", "x"),
            ("policy", "explain"),
        ):
            self.assertMisused(
                *arguments,
                says="Which domain? Add --domain, with one of example.com, example.org.",
            )

    def test_apart(self) -> None:
        """Accounts of one name, and invites, are each at their own domain."""
        for domain in ("example.com", "example.org"):
            self.done("account", "create", "romeo", "--domain", domain, stdin="correct horse\n")
        self.done("account", "delete", "romeo@example.com")
        (left,) = self.objects("account", "list", "--domain", "example.org")
        self.assertEqual(left["domain"], "example.org")
        self.assertEqual(self.objects("account", "list", "--domain", "example.com"), [])
        made = self.object("invite", "create", "--domain", "example.org")
        self.assertTrue(made["uri"].startswith("xmpp:example.org?register"))
        self.assertRefused(
            *("invite", "show", made["id"], "--domain", "example.com"), says=made["id"]
        )
        reset = self.object("reset", "create", "romeo", "--domain", "example.org")
        self.assertEqual(reset["domain"], "example.org")

    def test_two_answers(self) -> None:
        """An address at one domain and --domain with another is refused."""
        self.assertRefused(
            *("account", "delete", "romeo@example.com", "--domain", "example.org"),
            says="romeo@example.com is not at example.org",
        )

    def test_all(self) -> None:
        """What is about everything does not ask."""
        self.done("purge")
        self.done("export")
        self.done("check", "--schema")
