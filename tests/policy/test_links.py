"""The links of an invite, wherever one is shown."""

import ast
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from invitereg.model.invites import Invite, Kind
from invitereg.policy.texts import app_uri, link
from invitereg.policy.values import Domain, Policy
from tests.test_structure import MODULES, PACKAGE

TOKEN = "t" * 24
PAGE = f"https://chat.example.com/invite/{TOKEN}"
MAKES_URIS = {"policy/texts.py", "model/invites.py", "cli/demo.py"}
"""The demo is its own server."""
NAMES = {"uri", "registration_uri", "contact_uri"}


def made(kind: Kind, username: str | None) -> Invite:
    return Invite(
        id="abc",
        domain="example.com",
        kind=kind,
        inviter="romeo" if kind in (Kind.CONTACT, Kind.ACCOUNT_AND_CONTACT) else None,
        source="cli",
        username="juliet" if kind is Kind.RESET else username,
        uses_allowed=1,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        expires_at=None,
    )


class LinkTests(SynchronousTestCase):
    @given(st.sampled_from(Kind), st.sampled_from([None, "juliet"]), st.booleans())
    def test_website_only(self, kind: Kind, username: str | None, names: bool) -> None:
        """Nothing that an app opens has a token in it, or asks a server to register."""
        domain = Domain(
            name="example.com",
            policy=Policy(),
            landing_url=PAGE.removesuffix(TOKEN),
            website_only=True,
        )
        invite = made(kind, username)
        uri = app_uri(domain, invite, TOKEN, names=names)
        expected = "xmpp:romeo@example.com?roster" if kind is Kind.CONTACT else ""
        self.assertEqual((uri, link(domain, invite, TOKEN)), (expected, PAGE))

    def test_one_place(self) -> None:
        """Nobody makes an invite's URI but the module that knows which domains have one."""
        found = {
            str(path.relative_to(PACKAGE)) for path in MODULES if self.makes_uris(Path(path))
        }
        self.assertLessEqual(found, MAKES_URIS)

    def makes_uris(self, path: Path) -> bool:
        tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        of_invites = (
            node
            for node in tree
            if isinstance(node, ast.Attribute)
            and node.attr in NAMES
            and isinstance(node.value, ast.Name)
            and node.value.id == "invite"
        )
        return any(of_invites)
