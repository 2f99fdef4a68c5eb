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

    def test_spelled(self) -> None:
        """An internationalised domain may be named in both ways, also in an address."""
        name, spelling = "m\u00fcnchen.example", "xn--mnchen-3ya.example"
        self.config.write_text(f"data_dir: data\ndomains: {{example.com: , {spelling}: }}\n")
        self.done("account", "create", f" romeo@{spelling}", stdin="correct horse\n")
        for domain in (name, spelling, spelling.upper()):
            (account,) = self.objects("account", "list", "--domain", domain)
            self.assertEqual((account["username"], account["domain"]), ("romeo", name))
            inviter = ("--inviter", f"romeo@{domain}", "--contact")
            made = self.object("invite", "create", *inviter)
            self.assertTrue(made["uri"].startswith("xmpp:romeo@m%C3%BCnchen.example?roster;"))
            self.assertRefused(
                "account", "create", f"romeo@{domain}", stdin="x\n", says="taken"
            )
        self.done("account", "delete", f"romeo@{spelling}")

    NAMING = (
        ("account", "create", "romeo@example.org"),
        ("account", "role", "romeo@example.org", "--add", "x"),
        ("reset", "create", "romeo@example.org"),
        ("invite", "create", "--inviter", "romeo@example.org"),
        ("invite", "create", "--username", "paris@example.org"),
        ("invite", "tree", "romeo@example.org"),
        ("invite", "revoke", "--branch", "romeo@example.org"),
        ("policy", "explain", "--username", "paris@example.org"),
        ("policy", "explain", "--inviter", "romeo@example.org"),
        ("account", "delete", "romeo@example.org"),
    )
    """Every way to name a user."""

    def test_address(self) -> None:
        """Where a user is named, an address says which domain it is; with --domain as well."""
        for number, domain in enumerate(((), ("--domain", "Example.ORG"))):
            for naming in self.NAMING:
                arguments = [word.replace("paris@", f"paris{number}@") for word in naming]
                result = self.call(*arguments, *domain, stdin="correct horse\n")
                expected = int(arguments[:2] == ["policy", "explain"])  # what it explains
                self.assertEqual((result.exit_code, result.stderr), (expected, ""), arguments)
                self.assertNotIn("example.com", result.stdout)

    def test_two_answers(self) -> None:
        """An address at one domain and --domain with another, or two of them, are refused."""
        for arguments in self.NAMING:
            address = next(word for word in arguments if "@" in word)
            self.assertRefused(
                *arguments,
                *("--domain", "example.com"),
                says=f"{address} is not at example.com",
                stdin="correct horse\n",
            )
        self.assertRefused(
            *("invite", "create", "--inviter", "a@example.com", "--username", "b@example.org"),
            says="b@example.org is not at example.com",
        )

    def test_all(self) -> None:
        """What is about everything does not ask."""
        self.done("purge")
        self.done("export")
        self.done("check", "--schema")
