"""What the operator does when an admin, a key or a user is not trusted any more."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from invitereg.cli.workspace import Workspace
from invitereg.model.invites import generate_invite_id, generate_token, token_digest
from invitereg.policy.inviting import Authority
from invitereg.testing import make_invite
from tests.cli.case import CommandCase


class RevokeCase(CommandCase):
    def setUp(self) -> None:
        super().setUp()
        for name in ("romeo", "juliet"):
            self.make_account(name)

    def key(self) -> str:
        return self.object("key", "create", "portal", "--scope", "resets:create")["id"]

    def make(self, source: str, **values: Any) -> str:
        """An invite as a door of the service stores it."""
        with Workspace.open(self.config) as workspace:
            now = workspace.now()
            invite = make_invite(
                id=generate_invite_id(),
                source=source,
                created_at=now,
                expires_at=None,
                **values,
            )
            workspace.run(workspace.store.create_invite(invite, token_digest(generate_token())))
        return invite.id

    def reset(self, source: str, username: str = "juliet") -> str:
        with Workspace.open(self.config) as workspace:
            by = Authority(source, resets=True)
            domain = self.domain
            return workspace.run(workspace.issuer.create_reset(domain, username, by))[0].id

    def status(self, invite_id: str) -> str:
        return self.object("invite", "show", invite_id)["status"]


class KeyTests(RevokeCase):
    def test_resets_end(self) -> None:
        """A revoked key takes the links along by which it would let itself in."""
        key = self.key()
        reset, invite = self.reset(f"api:{key}"), self.make(f"api:{key}")
        other = self.reset("cli")
        revoked = self.object("key", "revoke", key)
        ended = [{"domain": "example.com", "id": reset}]
        self.assertEqual(revoked["invites_revoked"], ended)
        statuses = [self.status(one) for one in (reset, invite, other)]
        self.assertEqual(statuses, ["revoked", "pending", "pending"])

    def test_with_invites(self) -> None:
        """Its invites end where that is asked for, at once or afterwards."""
        key = self.key()
        invite = self.make(f"api:{key}")
        self.done("key", "revoke", key)
        lines = self.done("key", "revoke", key, "--with-invites").splitlines()
        self.assertIn(f"revoked: key {key}", lines[0])
        self.assertIn(f"revoked: invite {invite}", lines[1])
        self.assertEqual(len(lines), 2)
        self.assertEqual(self.status(invite), "revoked")


class SourceTests(RevokeCase):
    def test_admin(self) -> None:
        """All that somebody has made by their account ends, however the address is typed."""
        source = "adhoc:romeo@example.com"
        for typed in (source, "adhoc:Romeo@EXAMPLE.com", "adhoc:romeo"):
            made = [self.reset(source), self.make(source, inviter="romeo")]
            stays = self.reset("cli")
            ended = self.objects("invite", "revoke", "--source", typed)
            self.assertEqual([one["id"] for one in ended], made)
            self.assertEqual({one["status"] for one in ended}, {"revoked"})
            self.assertEqual(self.status(stays), "pending")

    def test_for_people(self) -> None:
        """Each is named, and how many they were."""
        key = self.key()
        made = [self.make(f"api:{key}"), self.reset(f"api:{key}")]
        *lines, count = self.done("invite", "revoke", "--source", f"api:{key}").splitlines()
        self.assertEqual(count, "2 invites revoked")
        for line, invite in zip(lines, made, strict=True):
            self.assertIn(f"revoked: invite {invite}", line)

    def test_operator(self) -> None:
        """Also all that was made on the command line."""
        made = [self.object("invite", "create")["id"], self.reset("cli")]
        ended = self.objects("invite", "revoke", "--source", "cli")
        self.assertEqual([one["id"] for one in ended], made)

    def test_branch(self) -> None:
        """A branch ends with the links that its users made to others' accounts."""
        reset = self.reset("adhoc:romeo@example.com")
        (ended,) = self.objects("invite", "revoke", "--branch", "romeo")
        self.assertEqual(ended["id"], reset)

    def test_unknown(self) -> None:
        """Who is not known has made nothing: that is a mistake, not a success."""
        for source in ("api:nothing", "adhoc:tybalt@example.com", "web:tybalt"):
            self.assertRefused("invite", "revoke", "--source", source, says=source)
        self.assertRefused("invite", "revoke", "--source", "adhoc:x@example.org", says="domain")

    def test_misused(self) -> None:
        """One thing at a time is revoked."""
        for more in (("x",), ("--branch", "romeo")):
            self.assertMisused("invite", "revoke", "--source", "cli", *more, says="--source")

    texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)

    @settings(max_examples=40, deadline=None)
    @given(texts.filter(lambda text: text.partition(":")[0] not in ("api", "adhoc", "web")))
    def test_odd(self, source: str) -> None:
        """What is no source is said to be none, and nothing ends."""
        if source in ("cli", "prosody"):
            return
        result = self.call("invite", "revoke", f"--source={source}")
        self.assertEqual((result.exit_code, result.stdout), (2, ""))
        self.assertIn("A source is", " ".join(result.stderr.split()))
