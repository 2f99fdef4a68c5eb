"""`invitereg account …`."""

from typing import Any

from invitereg.cli.workspace import Workspace
from invitereg.interfaces.accounts import IPasswords
from tests.cli.case import CommandCase


class AccountTests(CommandCase):
    def create(self, name: str, stdin: str | bytes = "correct horse\n") -> dict[str, Any]:
        return self.object("account", "create", name, stdin=stdin)

    def can_log_in(self, username: str, password: str) -> bool:
        with Workspace.open(self.config) as workspace:
            at = workspace.run(
                IPasswords(workspace.accounts["example.com"]).check_password(username, password)
            )
        return at is not None

    def test_create(self) -> None:
        """A new account is printed, with nothing that could be used to log in."""
        made = self.create("Romeo")
        self.assertRegex(made.pop("created_at"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        account = {"username": "romeo", "domain": "example.com", "roles": [], "groups": []}
        self.assertEqual(made, account)
        self.assertTrue(self.can_log_in("romeo", "correct horse"))

    def test_password(self) -> None:
        """The password is the first line of standard input, without its end and as it is."""
        for number, (stdin, password) in enumerate(
            (
                (b"pass word \n", "pass word "),
                (b"password\r\n", "password"),
                (b"password", "password"),
                ("pässword\nmore\n".encode(), "pässword"),
                (b"x\n", "x"),
            )
        ):
            with self.subTest(stdin):
                self.create(f"user{number}", stdin)
                self.assertTrue(self.can_log_in(f"user{number}", password))

    def test_create_refused(self) -> None:
        """A name that is taken or invalid, and a password that cannot be one, are refused."""
        self.create("romeo")
        self.done("invite", "create", "--username", "juliet")
        for name, stdin, says in (
            ("romeo", b"p\n", "taken"),
            ("juliet", b"p\n", "reserved"),
            ("romeo@example.org", b"p\n", "There is no domain example.org, only example.com"),
            ("a b", b"p\n", "not a valid username"),
            ("@example.com", b"p\n", "not a valid username"),
            ("nurse", b"", "The password is empty"),
            ("nurse", b"\n", "The password is empty"),
            ("nurse", b"\xff\n", "not UTF-8"),
            ("nurse", b"\0\n", "characters that cannot be used"),
            ("nurse", b"x" * 1024 + b"\n", "longer than 1,023 bytes"),
        ):
            with self.subTest((name, stdin)):
                self.assertRefused("account", "create", name, stdin=stdin, says=says)
        (line,) = self.done("account", "list").splitlines()
        self.assertTrue(line.startswith("romeo@example.com\t-\t"), line)

    def test_policy_does_not_bind(self) -> None:
        """The operator makes accounts under names and passwords that nobody else may have."""
        for name in ("boss", "root", "admin@EXAMPLE.com"):
            self.create(name, b"x\n")

    def test_list(self) -> None:
        """All accounts are listed, by name."""
        made = [self.create(name) for name in ("romeo", "juliet")]
        self.assertEqual(self.objects("account", "list"), made[::-1])
        lines = self.done("account", "list", "--domain", "example.com").splitlines()
        for line, name in zip(lines, ("juliet", "romeo"), strict=True):
            self.assertRegex(line, rf"^{name}@example\.com\t-\t\d{{4}}-[0-9T:-]+Z\t-$")

    def test_list_empty(self) -> None:
        """No accounts are no lines."""
        self.assertEqual(self.objects("account", "list"), [])

    def test_delete(self) -> None:
        """A deleted account is gone; its name comes back by the operator alone."""
        self.create("romeo")
        gone = self.object("account", "delete", "romeo@example.com")
        self.assertEqual(gone, {"username": "romeo", "domain": "example.com"})
        self.assertRefused("account", "delete", "romeo", says="no account romeo@example.com")
        self.create("romeo")

    def test_role(self) -> None:
        """Roles are given and taken away, as many as are named."""
        made = self.create("romeo")
        changed = self.object("account", "role", "romeo", "--add", "b", "--add", "a")
        self.assertEqual(changed, made | {"roles": ["a", "b"]})
        changed = self.object("account", "role", "romeo", "--remove", "b", "--add", "c")
        self.assertEqual(changed["roles"], ["a", "c"])
        self.assertTrue(self.done("account", "list").startswith("romeo@example.com\ta, c\t"))

    def test_role_refused(self) -> None:
        """Roles need an account, a change, and a proper name."""
        self.assertRefused("account", "role", "romeo", "--add", "a", says="no account romeo")
        self.assertMisused("account", "role", "romeo", says="Say what to change")
        self.assertMisused("account", "role", "romeo", "--add", "A", says="is no role")

    def test_for_people(self) -> None:
        """A person is told what was done."""
        made = self.done("account", "create", "romeo", stdin="pw\n")
        self.assertEqual(made, "account romeo@example.com made\n")
        gone = self.done("account", "delete", "romeo")
        self.assertEqual(gone, "account romeo@example.com deleted\n")
