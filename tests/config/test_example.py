"""The example that operators begin with."""

from pathlib import Path

from invitereg.config.messages import key_paths
from invitereg.config.schema import File
from invitereg.config.types import key_tree
from invitereg.config.yamlfile import parse
from tests.config.case import ConfigCase

UPSTREAM = {
    ("component",),
    *(("component", key) for key in ("connect", "jid", "secret_file", "register_from")),
    *(("accounts", key) for key in ("url", "user", "password_file", "token_file", "ca")),
}
EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"


class ExampleTests(ConfigCase):
    """config.example.yaml is right, complete and shows the defaults."""

    def setUp(self) -> None:
        super().setUp()
        self.text = EXAMPLE.read_text()

    def test_right(self) -> None:
        """The example can be used as it is, beside a certificate."""
        self.assertEqual(self.mistakes(self.text), [])

    def test_complete(self) -> None:
        """Every key that there is, is in the example; some for upstream servers in comments."""
        commented = {name for name in UPSTREAM if f"{name[-1]}:" in self.text}
        self.assertEqual(commented, UPSTREAM)
        known = set(key_paths(key_tree(File))) - {("domains",)} - UPSTREAM
        known = {
            path for path in known if path[:2] not in (("c2s", "upstream"), ("web", "tls"))
        }
        keys = {path for path in parse(self.text.encode()).lines if path}
        named = {path for path in keys if not any(isinstance(part, int) for part in path)}
        self.assertEqual(known - named, set())

    def test_shows_defaults(self) -> None:
        """What the example sets is the default, but for the name of the site."""
        shown = self.loaded(self.text)
        default = self.loaded("domain: example.com\nsite_name: Example Chat")
        self.assertEqual(shown, default)

    def test_short_lines(self) -> None:
        """The example can be read in a terminal of 96 columns."""
        self.assertLessEqual(max(map(len, self.text.splitlines())), 96)
