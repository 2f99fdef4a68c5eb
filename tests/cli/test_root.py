"""What holds for all commands: the configuration, the errors, the help."""

import json
import os
from pathlib import Path
from unittest import mock

from click.testing import CliRunner
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from invitereg import __version__
from invitereg.cli.root import COMMANDS, command
from invitereg.config import loading
from invitereg.config.messages import user_name
from invitereg.runtime.tls import write_certificate
from invitereg.store.store import Store, read
from tests.cli.case import CommandCase


class CheckTests(CommandCase):
    def test_nothing(self) -> None:
        """A configuration that can be used is no news."""
        write_certificate(self.folder, "example.com")
        self.config.write_text("domain: example.com\ndata_dir: data\n")
        self.assertEqual(self.done("check"), "")

    def test_certificates(self) -> None:
        """A certificate for another name is named, for apps and for browsers; the rest runs."""
        write_certificate(self.folder, "xmpp.example.com")
        text = "domain: example.com\ndata_dir: data\n"
        self.config.write_text(text)
        file = self.folder / "fullchain.pem"
        about = f"warning: the certificate {file} is not for"
        result = self.call("check")
        self.assertEqual((result.exit_code, result.output), (0, f"{about} example.com\n"))
        web = "external_url: 'https://chat.example.com/', listen: []"
        self.config.write_text(text + f"web: {{{web}, listen_tls: ['tcp:443']}}\n")
        lines = [f"{about} {name}" for name in ("example.com", "chat.example.com")]
        self.assertEqual(self.call("check").stderr.splitlines(), lines)
        self.config.write_text(text + f"web: {{{web}}}\n")
        self.assertEqual(self.call("check").stderr.splitlines(), lines[:1])

    def test_component_alone(self) -> None:
        """A component at a server whose accounts are not used is named."""
        write_certificate(self.folder, "example.com")
        (self.folder / "secret").write_text("secret")
        component = "{connect: 'tcp:127.0.0.1:5347', jid: i.example.com, secret_file: secret}"
        text = f"domain: example.com\ndata_dir: data\ncomponent: {component}\n"
        self.config.write_text(text)
        result = self.call("check")
        self.assertEqual(result.exit_code, 0)
        self.assertIn("warning: example.com has a component at another server", result.stderr)
        self.config.write_text(text + "accounts: {backend: xmpp}\n")
        self.assertEqual(self.call("check").output, "")

    def test_idle_keys(self) -> None:
        """A key that has no effect is named with its line; the service runs."""
        write_certificate(self.folder, "example.com")
        self.config.write_text(
            "domain: example.com\ndata_dir: data\nweb:\n  webchat_url: 'https://c.example/'\n"
        )
        result = self.call("check")
        told = "4: web.webchat_url: has no effect: there is no site without web.external_url"
        expected = (0, f"warning: {self.config}:{told}\n")
        self.assertEqual((result.exit_code, result.output), expected)

    def test_patterns(self) -> None:
        """A pattern that an operator may not have meant so is named; the service runs."""
        write_certificate(self.folder, "example.com")
        text = "domain: example.com\ndata_dir: data\npolicy: {usernames: {%s}}\n"
        about = "warning: example.com: policy.usernames"
        none = f"{about}.pattern: does not match a name such as juliet: "
        brace = "{ stands for itself where it begins no repetition, such as {1,3}"
        alone = "[:alnum:] stands for one of these characters: write [[:alnum:]]"
        for keys, warnings in {
            "pattern: '[[:alnum:]_.-]+'": [],
            r"pattern: '[^x{][\pL\p{Nd}]{1,20}'": [],
            r"pattern: '\w+'": [
                rf"{about}.pattern: \w means ASCII letters, ASCII digits and _ only: "
                r"for those of every script write [\pL\pM\pN_]"
            ],
            "pattern: '[0-9]+'": [f"{none}[0-9]+"],
            "pattern: 'a{ 1,3}'": [f"{none}a{{ 1,3}}; {brace}"],
            "pattern: '[:alnum:]+'": [f"{none}[:alnum:]+; {alone}"],
            "reserved: ['*']": [
                f"{about}.reserved: * stands for every name, so nobody can choose one"
            ],
            "reserved: ['*-bot']": [],
        }.items():
            self.config.write_text(text % keys)
            result = self.call("check")
            self.assertEqual((result.exit_code, result.stdout), (0, ""))
            self.assertEqual(result.stderr.splitlines(), warnings)

    def test_read_by_others(self) -> None:
        """Secrets that everybody may read are named; those of the service's group are not."""
        write_certificate(self.folder, "example.com")
        secret = self.folder / "secret"
        secret.write_text("secret")
        component = "{connect: 'tcp:127.0.0.1:5347', jid: i.example.com, secret_file: secret}"
        keys = f"component: {component}\naccounts: {{backend: xmpp}}\n"
        self.config.write_text(f"domain: example.com\ndata_dir: data\n{keys}")
        self.folder.chmod(0o755)
        for path in (secret, self.folder / "privkey.pem"):
            path.chmod(0o640)
        self.assertEqual(self.done("check"), "")
        for path in (secret, self.folder / "privkey.pem"):
            path.chmod(0o644)
            says = (
                f"warning: {path} is secret, and can be read by everybody: chmod o-r {path}\n"
            )
            self.assertEqual(self.call("check").stderr, says)
            self.folder.chmod(0o750)
            self.assertEqual(self.done("check"), "")
            self.folder.chmod(0o755)
            path.chmod(0o640)

    def test_written_by_others(self) -> None:
        """What others may write is named, and the folders that it is in; the service runs."""
        write_certificate(self.folder, "example.com")
        (self.folder / "data").mkdir(exist_ok=True)
        (self.folder / "pages").mkdir()
        (self.folder / "pages" / "base.html").touch()
        web = "{external_url: 'https://example.com/', templates: pages}"
        self.config.write_text(f"domain: example.com\ndata_dir: data\nweb: {web}\n")
        for path in (self.folder, *self.folder.rglob("*")):
            path.chmod(path.stat().st_mode & ~0o022)
        self.assertEqual(self.done("check"), "")
        for name, mode in (
            ("", 0o770),
            ("config.yaml", 0o666),
            ("privkey.pem", 0o620),
            ("fullchain.pem", 0o602),
            ("data", 0o730),
            ("pages", 0o777),
            ("pages/base.html", 0o664),
        ):
            path = self.folder / name
            before = path.stat().st_mode
            path.chmod(mode)
            result = self.call("check")
            path.chmod(before)
            says = f"warning: {path} can be written by others than its owner: chmod go-w {path}"
            self.assertEqual((result.exit_code, result.stderr), (0, f"{says}\n"))
        self.folder.chmod(0o1777)
        self.assertEqual(self.call("check").stderr, "")

    def test_links_of_others(self) -> None:
        """A link where others may write is named by its folder, wherever it points."""
        service, shared = self.folder / "service", self.folder / "shared"
        for folder in (service, service / "data", service / "pages", service / "there", shared):
            folder.mkdir()
            folder.chmod(0o755)
        write_certificate(service, "example.com")
        config = service / "config.yaml"
        for path in service.glob("*.pem"):
            path.chmod(0o640)
        web = "{external_url: 'https://example.com/', templates: pages}"
        text = f"domain: example.com\ndata_dir: data\nweb: {web}\n"
        config.write_text(text)
        config.chmod(0o640)
        self.config = config
        self.assertEqual(self.done("check"), "")
        told = f"{shared} can be written by others than its owner: chmod go-w {shared}"
        for way in ("config.yaml", "privkey.pem", "data", "pages", "pages/base.html"):
            for real in ("there/real", "../service/there/../there/real"):
                self.assertLinked(way, real, f"warning: {told}\n")

    def assertLinked(self, way: str, real: str, says: str) -> None:
        """Reach a file of the service by a link in the shared folder: ``check`` says so."""
        service, shared = self.config.parent, self.folder / "shared"
        path, kept, link = service / way, service / "there" / "real", shared / "link"
        if way.endswith(".html"):
            path.touch()
            path.chmod(0o640)
        path.rename(kept)
        link.symlink_to(f"../service/{real}")
        path.symlink_to(link)
        for mode, told in ((0o777, says), (0o1777, ""), (0o755, "")):
            shared.chmod(mode)
            result = self.call("check")
            self.assertEqual((result.exit_code, result.stderr), (0, told), (way, real))
        path.unlink()
        link.unlink()
        kept.rename(path)

    def test_data_dir(self) -> None:
        """A data_dir that the service could not use is told before it is started."""
        write_certificate(self.folder, "example.com")
        self.config.write_text("domain: example.com\ndata_dir: nowhere/data\n")
        self.assertMisused("check", says=f"data_dir {self.folder}/nowhere/data is not")

    def test_no_data_dir(self) -> None:
        """A data_dir that is not there, maybe mistyped, is named: by a check and when made."""
        write_certificate(self.folder, "example.com")
        self.config.write_text("domain: example.com\ndata_dir: dta\n")
        told = f"data_dir {self.folder}/dta"
        checked = self.call("check")
        self.assertEqual(checked.exit_code, 0)
        self.assertIn(f"warning: {told} does not exist yet", checked.stderr)
        made = self.call("invite", "create")
        self.assertEqual(made.exit_code, 0)
        self.assertIn(f"{told} was not there: it was made", made.stderr)
        self.done("invite", "create")
        self.assertNotIn("dta", self.call("check").stderr)

    def test_watchers(self) -> None:
        """Who is to be told of registrations, and has no account, is named by a check."""
        write_certificate(self.folder, "example.com")
        more = "registration_watchers: [boss@example.com, romeo@example.com]\n"
        self.config.write_text(f"domain: example.com\ndata_dir: data\n{more}")
        self.make_account("romeo")
        checked = self.call("check")
        self.assertEqual((checked.exit_code, checked.stderr.count("has no account")), (0, 1))
        self.assertIn("boss@example.com has no account yet", checked.stderr)
        self.make_account("boss")
        self.assertEqual(self.call("check").stderr, "")

    def test_templates(self) -> None:
        """A folder of templates that is not there is a mistake, as every page would fail."""
        write_certificate(self.folder, "example.com")
        web = "web: {external_url: 'https://example.com/', templates: nowhere}"
        self.config.write_text(f"domain: example.com\ndata_dir: data\n{web}\n")
        self.assertMisused("check", says=f"web.templates: there is no folder {self.folder}/no")

    def test_every_mistake(self) -> None:
        """All mistakes are told at once, a line for each, with their places."""
        self.config.write_text("domain: example.com\npolicy: {alow_registration: true}\nx: 1\n")
        result = self.call("check")
        self.assertEqual((result.exit_code, result.stdout), (2, ""))
        lines = result.stderr.splitlines()
        self.assertTrue(all(line.startswith(f"{self.config}:") for line in lines), lines)
        told = [line for line in lines if "allow_registration" in line or ": x:" in line]
        self.assertEqual(len(told), 2)

    def test_schema(self) -> None:
        """The schema for editors and scripts is printed without any configuration."""
        self.config.unlink()
        schema = json.loads(self.done("check", "--schema"))
        self.assertEqual(schema["type"], "object")
        self.assertIn("domain", schema["properties"])
        self.assertEqual(schema["additionalProperties"], False)

    def test_for_listening(self) -> None:
        """Checking looks at certificate and endpoints, which other commands do not need."""
        write_certificate(self.folder, "example.com")
        self.config.write_text('domain: example.com\nc2s: {listen: ["tcp:never"]}\n')
        self.assertMisused("check", says="c2s.listen")


class ConfigTests(CommandCase):
    def call_bare(self, *arguments: str, variable: str = "") -> int:
        """The exit status of a command with no ``--config``, in the folder."""
        variables = {"INVITEREG_CONFIG": variable or None}
        here = os.getcwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, here)
        return CliRunner(env=variables).invoke(command, arguments).exit_code

    def test_default(self) -> None:
        """In its folder, the configuration need not be named."""
        self.assertEqual(self.call_bare("invite", "list"), 0)
        self.config.rename(self.folder / "other.yaml")
        self.assertEqual(self.call_bare("invite", "list"), 2)
        self.assertEqual(self.call_bare("invite", "list", variable="other.yaml"), 0)

    def test_option_wins(self) -> None:
        """``--config`` is stronger than the environment."""
        other = ("--config", "missing.yaml", "invite", "list")
        self.assertEqual(self.call_bare(*other, variable="config.yaml"), 2)

    def test_mistakes(self) -> None:
        """Every command tells the mistakes in the configuration and ends with 2."""
        self.config.write_text("domian: example.com\n")
        for arguments in (("invite", "list"), ("account", "list"), ("policy", "explain")):
            self.assertMisused(*arguments, says=f"{self.config}:1: domian: ")


class ErrorTests(CommandCase):
    def test_data_dir(self) -> None:
        """A data folder that cannot be used is told in one line."""
        self.config.write_text("domain: example.com\ndata_dir: missing/data\n")
        self.assertRefused("invite", "list", says=f"data_dir {self.folder}/missing/data")

    def test_damaged(self) -> None:
        """So is a database that is none."""
        (self.folder / "data" / "invitereg.db").write_bytes(b"rubbish" * 1000)
        self.assertRefused("invite", "list", says="damaged or no database")

    def test_unavailable(self) -> None:
        """A database that fails is told with its cause, as there is no log to look into."""

        def fail(connection: Connection, *rest: object) -> None:
            raise OperationalError("SELECT", {}, Exception("disk I/O error"))

        with mock.patch.object(Store, "get_invite", read(fail)):
            self.assertRefused("invite", "show", "x", says="disk I/O error")

    def test_usage(self) -> None:
        """Wrong usage ends with 2 and says where help is."""
        for arguments in ((), ("invite",), ("invite", "crate"), ("lost",)):
            result = CliRunner().invoke(command, arguments)
            self.assertEqual(result.exit_code, 2, arguments)

    def test_nearest(self) -> None:
        """A command that is mistyped, or called without its group, is suggested."""
        for arguments, says in (
            (("invit",), "Did you mean invite?"),
            (("list",), "Did you mean account list or invite list or key list?"),
            (("tree",), "Did you mean invite tree?"),
            (("invite", "crate"), "Did you mean create?"),
            (("invite", "lsit"), "Did you mean list?"),
            (("key", "xyz"), "There are create, list, revoke."),
            (("policy", "explian"), "Did you mean explain?"),
        ):
            self.assertMisused(*arguments, says=says)

    def test_import_of_nothing(self) -> None:
        """A file that is not there is told with the usage of the command, as it is called."""
        result = self.call("import", "nosuch")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("FILE [--any-domain] [--json] | prosody DIR", result.stderr)
        self.assertNotIn("import import", result.stderr)
        self.assertIn("nosuch", result.stderr)

    def test_no_configuration(self) -> None:
        """Where there is no configuration, it is said how to name another."""
        self.config.unlink()
        self.assertMisused("invite", "list", says="INVITEREG_CONFIG=FILE")
        self.assertMisused("check", says="invitereg --config FILE")

    def test_no_permission(self) -> None:
        """What may not be read or written is told with the user who may not."""
        denied = PermissionError(13, "Permission denied")
        says = f"Permission denied for the user {user_name()}"
        (self.folder / "prosody").mkdir()
        with mock.patch("os.access", return_value=False):  # as click asks before
            with mock.patch.object(loading, "_content", side_effect=denied):
                self.assertMisused("invite", "list", says=f"cannot be read: {says}")
            self.assertRefused("invite", "list", says=says)
        with (
            mock.patch.object(Path, "iterdir", side_effect=denied),
            mock.patch("os.access", lambda path, *_: "prosody" not in str(path)),
        ):
            folder = str(self.folder / "prosody")
            self.assertRefused("import", "prosody", folder, says=f"{folder}: {says}")

    def test_no_entry(self) -> None:
        """A path that nobody can even look at, such as one too long, is told as any other."""
        path = str(self.folder / ("x" * 300) / "data")
        says = f"{path}: cannot be read: File name too long"
        result = self.call("--config", path, "invite", "list")
        self.assertEqual((result.exit_code, result.stderr), (2, f"{says}\n"))
        write_certificate(self.folder, "example.com")
        self.config.write_text(f"domain: example.com\ndata_dir: {path}\n")
        says = f"data_dir {path} is not a folder that can be written (File name too long)"
        self.assertRefused("invite", "list", says=says)
        self.assertMisused("check", says=says)

    def test_interrupted(self) -> None:
        """Ctrl-C ends a command with 130 and no words."""

        def interrupted(connection: Connection, *rest: object) -> None:
            raise KeyboardInterrupt

        with mock.patch.object(Store, "get_invite", read(interrupted)):
            result = self.call("invite", "show", "x")
        self.assertEqual((result.exit_code, result.output), (130, ""))


class HelpTests(CommandCase):
    def test_version(self) -> None:
        self.assertEqual(self.done("--version"), f"invitereg {__version__}\n")

    def test_help(self) -> None:
        """The help lists every command, and every command has help."""
        text = self.done("--help")
        for name in COMMANDS:
            self.assertIn(f"\n  {name} ", text)
            self.assertIn("Usage: ", self.done(name, "--help"))
