"""`invitereg import prosody`, with folders that Prosody could have made."""

from datetime import timedelta
from typing import Any

from invitereg.cli.workspace import Workspace
from tests.cli.case import CommandCase
from tests.transfer.test_lua import written
from tests.transfer.test_prosodyfiles import ACCOUNT, TOKEN


class ImportCase(CommandCase):
    """There is a folder of a Prosody with one invite, which is valid for a day."""

    def setUp(self) -> None:
        super().setUp()
        self.prosody = self.folder / "prosody"
        (self.prosody / "example%2ecom").mkdir(parents=True)
        with Workspace.open(self.config) as workspace:
            self.expires = int((workspace.now() + timedelta(days=1)).timestamp())
        self.write({})

    def write(self, *changes: dict[str, Any]) -> None:
        """Store invites, each with some changes; the first has a token that is known."""
        tokens = (TOKEN, *(f"other{number}" for number in range(len(changes) - 1)))
        table = {
            token: {**ACCOUNT, "expires": self.expires, **change}
            for token, change in zip(tokens, changes, strict=True)
        }
        path = self.prosody / "example%2ecom" / "invite_token.dat"
        path.write_bytes(b"return " + written(table) + b";\n")

    def take_over(self, *options: str) -> dict[str, Any]:
        return self.object("import", "prosody", str(self.prosody), *options)

    def counts(self, **counts: int) -> dict[str, int]:
        return {**dict.fromkeys(("invites", "expired", "unchanged", "skipped"), 0), **counts}


class OnceTests(ImportCase):
    def test_renewed(self) -> None:
        """An old token stays closed that was replaced here, and so does a revoked one."""
        self.assertEqual(self.take_over(), self.counts(invites=1))
        (invite,) = self.objects("invite", "list")
        self.done("invite", "renew", invite["id"])
        self.assertEqual(self.take_over(), self.counts(unchanged=1))
        self.done("invite", "revoke", invite["id"])
        self.assertEqual(self.take_over(), self.counts(unchanged=1))
        self.assertEqual(len(self.objects("invite", "list", "--status", "all")), 1)

    def test_purged(self) -> None:
        """One that was used does not come back when it has been purged."""
        self.take_over()
        self.register("juliet", TOKEN)
        with Workspace.open(self.config) as workspace:
            later = workspace.now() + timedelta(days=9)
            self.assertEqual(
                workspace.run(workspace.store.purge_invites("example.com", later, 9)), 1
            )
        self.assertEqual(self.objects("invite", "list", "--status", "all"), [])
        self.assertEqual(self.take_over(), self.counts(unchanged=1))


class ConflictTests(ImportCase):
    def test_names(self) -> None:
        """Names that are not free are told, the rest is taken over, and a dry run says it."""
        self.make_account("romeo")
        self.write(
            {"jid": "romeo@example.com"},
            {"jid": "juliet@example.com"},
            {"jid": "juliet@example.com"},
            {"jid": "nobody@example.com", "additional_data": {"allow_reset": "nobody"}},
            {"jid": "romeo@example.com", "additional_data": {"allow_reset": "romeo"}},
        )
        for options in (("--dry-run",), ()):
            result = self.call("import", "prosody", str(self.prosody), *options)
            self.assertEqual(result.exit_code, 0, result.output)
            counts = "2 invites, 0 expired, 0 unchanged, 3 skipped\n"
            would = "Nothing was changed. There would be:\n" if options else ""
            self.assertEqual(result.stdout, would + counts)
            word = "would skip" if options else "skipped"
            self.assertEqual(result.stderr.count(f"{word}: "), 3, result.stderr)
            for said in ("for romeo: That username is taken", "for juliet", "for nobody"):
                self.assertIn(f"invite {said}", result.stderr)
        self.assertEqual(len(self.objects("invite", "list")), 2)

    def test_nothing_half_done(self) -> None:
        """If one invite cannot be read, none is taken over."""
        self.write({}, {"expires": "soon"})
        self.assertRefused("import", "prosody", str(self.prosody), says="invite_token.dat: ")
        self.assertEqual(self.objects("invite", "list"), [])


class FormTests(ImportCase):
    def test_domain(self) -> None:
        """Where several domains are served, one must be named."""
        text = self.config.read_text().replace("domain: example.com", "")
        text = text.replace("admins: [boss@example.com]", "")
        self.config.write_text(f"domains: {{example.com: , example.org: }}\n{text}")
        self.assertMisused("import", "prosody", str(self.prosody), says="Which domain?")
        self.assertEqual(self.take_over("--domain", "example.com"), self.counts(invites=1))
        says = "has nothing of example.org: only of example.com"
        folder = str(self.prosody)
        self.assertRefused("import", "prosody", folder, "--domain", "example.org", says=says)

    def test_misused(self) -> None:
        """A missing folder, and a wrong one, are said to be."""
        self.assertMisused("import", "prosody", says="Missing argument 'DIR'")
        self.assertRefused("import", "prosody", str(self.folder / "none"), says="No such file")
        self.assertMisused("import", says="Usage")
        self.assertMisused("import", "--wrong", "x", says="No such option")

    def test_file_form(self) -> None:
        """A file that was exported is still read, with its option on either side."""
        exported = self.folder / "exported"
        exported.write_text(self.done("export"))
        for arguments in (("--json", str(exported)), (str(exported), "--json")):
            self.assertIn('"unchanged": 0', self.done("import", *arguments))
        self.assertIn("0 invites", self.done("import", "-", stdin=exported.read_bytes()))
