"""The command, called in this process on a folder of its own."""

import json
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from invitereg.cli.root import command
from invitereg.cli.workspace import Workspace
from invitereg.policy.values import parse_address
from invitereg.testing import make_submission

CONFIG = """\
domain: example.com
data_dir: data
admins: [boss@example.com]
policy: {limits: {token_guesses: {max: 2, period: 1h}, blocklist: [192.0.2.0/24]}}
"""
LONGEST = "é" * 511
"""A username that is as long in bytes as one may be, and longer in a link."""


class CommandCase(SynchronousTestCase):
    """Each test has a configuration, and an empty store.

    Attributes:
        domain: what the configuration serves.
    """

    domain = "example.com"

    def setUp(self) -> None:
        # Files that others may write are warned of, whatever is usual where the tests run.
        self.addCleanup(os.umask, os.umask(0o022))
        self.folder = Path(tempfile.mkdtemp(prefix="invitereg-"))
        self.addCleanup(shutil.rmtree, self.folder)
        shutil.copytree(_empty_store().name, self.folder, dirs_exist_ok=True)
        self.config = self.folder / "config.yaml"

    def call(self, *arguments: str, stdin: str | bytes = "") -> Result:
        """What a command does, whatever it is; a bug in it is raised here."""
        return CliRunner().invoke(
            command, ["--config", str(self.config), *arguments], stdin, catch_exceptions=False
        )

    def done(self, *arguments: str, stdin: str | bytes = "") -> str:
        """What a command prints that succeeds."""
        result = self.call(*arguments, stdin=stdin)
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        return result.stdout

    def objects(self, *arguments: str, stdin: str | bytes = "") -> list[dict[str, Any]]:
        """The objects that a command prints as JSON, one a line."""
        lines = self.done(*arguments, "--json", stdin=stdin).splitlines()
        return [json.loads(line) for line in lines]

    def object(self, *arguments: str, stdin: str | bytes = "") -> dict[str, Any]:
        """The only object that a command prints."""
        (one,) = self.objects(*arguments, stdin=stdin)
        return one

    def assertRefused(self, *arguments: str, says: str, stdin: str | bytes = "") -> None:
        """The command prints nothing but one line on standard error, and ends with 1."""
        result = self.call(*arguments, stdin=stdin)
        self.assertEqual((result.exit_code, result.stdout), (1, ""), result.output)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertIn(says, result.stderr)

    def assertMisused(self, *arguments: str, says: str) -> None:
        """The command says what is wrong on standard error, and ends with 2."""
        result = self.call(*arguments)
        self.assertEqual((result.exit_code, result.stdout), (2, ""), result.output)
        self.assertIn(says, result.stderr)

    def make_account(self, name: str = "romeo") -> None:
        self.done("account", "create", name, stdin="correct horse\n")

    def register(self, username: str, token: str, address: str = "198.51.100.7") -> None:
        """Register as a client would, or set a password."""
        with Workspace.open(self.config) as workspace:
            grant = workspace.run(workspace.registrar.preauthorise(self.domain, None, token))
            submission = make_submission(
                domain=self.domain,
                address=parse_address(address),
                username=username,
                password="correct horse",
                grant=grant,
            )
            workspace.run(workspace.registrar.redeem(submission))


@cache
def _empty_store() -> "tempfile.TemporaryDirectory[str]":
    """A folder to copy from: to make a database takes ten times as long."""
    folder = tempfile.TemporaryDirectory(prefix="invitereg-")
    config = Path(folder.name) / "config.yaml"
    config.write_text(CONFIG)
    with Workspace.open(config):
        pass
    return folder
