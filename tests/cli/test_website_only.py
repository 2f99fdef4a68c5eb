"""The command where people register on the site only, and apps connect to another server."""

import re

import segno

from tests.cli.case import CONFIG, CommandCase

SITE = "https://chat.example.com/"
KEYS = f"""\
c2s: {{listen: [], listen_tls: []}}
web: {{external_url: "{SITE}"}}
accounts: {{backend: ejabberd, url: "http://127.0.0.1:5280/api"}}
"""


class WebsiteOnlyTests(CommandCase):
    def setUp(self) -> None:
        super().setUp()
        self.config.write_text(CONFIG + KEYS)

    def test_check(self) -> None:
        """No mistake is found, and no certificate is needed."""
        self.assertEqual(self.done("check"), "")

    def test_object(self) -> None:
        """The URI is empty, and the page is the link."""
        made = self.object("invite", "create")
        self.assertEqual((made["uri"], made["landing_url"]), ("", self.page(made["token"])))

    def test_lines(self) -> None:
        """The page is the only line before what is said of the invite, also after a renewal."""
        link, about = self.done("invite", "create").splitlines()
        self.assertRegex(link, rf"^{re.escape(SITE)}invite/[A-Za-z0-9]+$")
        invite_id = about.split()[1].rstrip(",")
        renewed, _about = self.done("invite", "renew", invite_id).splitlines()
        self.assertRegex(renewed, rf"^{re.escape(SITE)}invite/")

    def test_many(self) -> None:
        """Of many, each line is a page."""
        lines = self.done("invite", "create", "--count", "3").splitlines()
        self.assertEqual([line.startswith(f"{SITE}invite/") for line in lines], [True] * 3)

    def test_printed(self) -> None:
        """QR codes on a terminal and on cards are of the page."""
        shown = self.done("invite", "create", "--qr")
        self.assertNotIn("xmpp:", shown)
        self.assertIn("█", shown)
        path = self.folder / "cards.html"
        made = self.object("invite", "create", "--page", str(path))
        text = path.read_text(encoding="utf-8")
        self.assertNotIn("xmpp:", text)
        drawn = re.search('d="([^"]+)"', segno.make_qr(self.page(made["token"])).svg_inline())
        assert drawn
        self.assertIn(self.page(made["token"]), text)

    def page(self, token: str) -> str:
        return f"{SITE}invite/{token}"
