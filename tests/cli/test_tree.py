"""`invitereg invite tree` and `invitereg invite revoke --branch`."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

from invitereg.cli import tree
from invitereg.cli.workspace import Workspace
from invitereg.interfaces.queries import Redemption
from invitereg.model.invites import Kind, Use, generate_token, token_digest
from invitereg.testing import make_account, make_invite
from tests.cli.case import CommandCase


class TreeCase(CommandCase):
    """Through escalus came romeo, juliet and nurse, each through the one before; and paris."""

    def setUp(self) -> None:
        super().setUp()
        self.ids: dict[str, str] = {}
        self.come("escalus")
        for username, inviter in (
            ("romeo", "escalus"),
            ("juliet", "romeo"),
            ("paris", "escalus"),
            ("nurse", "juliet"),
        ):
            self.come(username, inviter)

    def come(self, username: str, inviter: str | None = None) -> None:
        invite = self.invite(inviter)
        self.register(username, invite["token"])
        self.ids[username] = invite["id"]

    def invite(self, inviter: str | None = None) -> dict[str, Any]:
        chosen = () if inviter is None else ("--inviter", inviter)
        return self.object("invite", "create", *chosen)

    def names(self, *arguments: str) -> list[tuple[int, str]]:
        return [(o["depth"], o["username"]) for o in self.objects("invite", "tree", *arguments)]

    def drawn(self, *arguments: str) -> list[str]:
        """The lines of the tree, each without when and by which invite."""
        lines = self.done("invite", "tree", *arguments).splitlines()
        deleted = [" (deleted)" if line.endswith("(deleted)") else "" for line in lines]
        return [line.split("  20")[0] + end for line, end in zip(lines, deleted, strict=True)]


class TreeTests(TreeCase):
    def test_all(self) -> None:
        """Everybody is below whoever brought them."""
        self.make_account("benvolio")
        self.assertEqual(
            self.drawn(),
            [
                "example.com",
                "├── escalus",
                "│   ├── romeo",
                "│   │   └── juliet",
                "│   │       └── nurse",
                "│   └── paris",
                "└── benvolio",
            ],
        )

    def test_object(self) -> None:
        """An object tells through whom, by what, when and through which door."""
        everybody = self.objects("invite", "tree")
        romeo = everybody[1]
        at = romeo.pop("at")
        self.assertRegex(at, r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(
            romeo,
            {
                "username": "romeo",
                "domain": "example.com",
                "inviter": "escalus",
                "invite_id": self.ids["romeo"],
                "door": "c2s",
                "depth": 1,
                "deleted": False,
            },
        )
        self.assertIsNone(everybody[0]["inviter"])
        self.assertIn(self.ids["romeo"], self.done("invite", "tree").splitlines()[2])

    def test_user(self) -> None:
        """Of one, those above and below are shown, nobody beside."""
        expected = [(0, "escalus"), (1, "romeo"), (2, "juliet"), (3, "nurse")]
        self.assertEqual(self.names("juliet"), expected)
        self.assertEqual(self.names("juliet@example.com"), expected)
        self.assertEqual(self.drawn("paris"), ["example.com", "└── escalus", "    └── paris"])

    def test_deleted_and_purged(self) -> None:
        """The tree outlives accounts and invites."""
        self.done("account", "delete", "juliet")
        self.done("purge", "--older-than", "1s")
        for invite in self.ids.values():
            self.call("invite", "revoke", invite)
        with mock.patch("invitereg.cli.workspace.Workspace.now", _in_a_year):
            self.done("purge")
        self.assertRefused("invite", "show", self.ids["juliet"], says="no invite")
        self.assertEqual(
            self.drawn("juliet"),
            [
                "example.com",
                "└── escalus",
                "    └── romeo",
                "        └── juliet (deleted)",
                "            └── nurse",
            ],
        )

    def test_name_given_away(self) -> None:
        """Who has the name of a deleted account is another; no circle comes of it."""
        token = self.invite("nurse")
        self.done("account", "delete", "romeo")
        self.make_account("romeo")
        found = [
            (o["username"], o["depth"], o["deleted"])
            for o in self.objects("invite", "tree", "romeo")
        ]
        self.assertEqual(
            found,
            [
                ("escalus", 0, False),
                ("romeo", 1, True),
                ("juliet", 2, False),
                ("nurse", 3, False),
                ("romeo", 0, False),
            ],
        )
        self.assertEqual(token["inviter"], "nurse")

    def test_nobody(self) -> None:
        """A name that nobody ever had, and a domain that is not served, are refused."""
        self.assertRefused("invite", "tree", "tybalt", says="nobody came through that name")
        self.assertRefused("invite", "tree", "romeo@example.org", says="no domain example.org")
        self.assertRefused("invite", "tree", "a b", says="not a valid username")

    def test_deep(self) -> None:
        """What lies very deep is numbered, not indented for ever."""
        with mock.patch.object(tree, "DRAWN_LEVELS", 2):
            lines = self.drawn("nurse")
        self.assertEqual(
            lines[1:],
            [
                "└── escalus",
                "    └── romeo",
                "        └── [3] juliet",
                "        └── [4] nurse",
            ],
        )


class EmptyTests(CommandCase):
    def test_empty(self) -> None:
        """Where nobody is, nobody is shown."""
        self.assertEqual(self.objects("invite", "tree"), [])
        self.assertEqual(self.done("invite", "tree"), "example.com\n")


class BranchTests(TreeCase):
    def test_branch(self) -> None:
        """The open invites of somebody and of those below end; all others stay."""
        ended = [self.invite(inviter)["id"] for inviter in ("romeo", "juliet", "nurse")]
        stay = [self.invite(inviter)["id"] for inviter in ("escalus", "paris", None)]
        revoked = self.objects("invite", "revoke", "--branch", "romeo")
        self.assertEqual([one["id"] for one in revoked], ended)
        self.assertEqual({one["status"] for one in revoked}, {"revoked"})
        self.assertEqual([one["id"] for one in self.objects("invite", "list")], stay)
        self.assertEqual(self.objects("invite", "revoke", "--branch", "romeo"), [])

    def test_for_people(self) -> None:
        """Each is named, and how many they were."""
        invite = self.invite("nurse")["id"]
        *lines, count = self.done("invite", "revoke", "--branch", "romeo").splitlines()
        self.assertEqual(count, "1 invite revoked")
        self.assertEqual(len(lines), 1)
        self.assertIn(f"revoked: invite {invite}", lines[0])
        again = self.done("invite", "revoke", "--branch", "romeo@example.com")
        self.assertEqual(again, "0 invites revoked\n")

    def test_misused(self) -> None:
        """One of both is needed; nobody's branch is no branch."""
        self.assertMisused("invite", "revoke", says="--branch USER")
        self.assertMisused("invite", "revoke", "x", "--branch", "romeo", says="--branch USER")
        self.assertRefused("invite", "revoke", "--branch", "tybalt", says="Nobody")

    def test_account_deleted(self) -> None:
        """Whoever deletes an account ends its invites."""
        invite = self.invite("romeo")
        self.done("account", "delete", "romeo")
        (shown,) = self.objects("invite", "show", invite["id"])
        self.assertEqual(shown["status"], "revoked")


class BehindTests(CommandCase):
    """The accounts are at another server, and no service runs that could ask it."""

    def setUp(self) -> None:
        super().setUp()
        text = self.config.read_text()
        url = "http://127.0.0.1:9/api"
        self.config.write_text(f"{text}accounts: {{backend: ejabberd, url: '{url}'}}\n")

    def store(self, job: Callable[[Workspace], Any]) -> None:
        with Workspace.open(self.config) as workspace:
            workspace.run(job(workspace))

    def invited(self, inviter: str, source: str = "cli") -> str:
        """The id of an open invite of somebody whom only the server knows."""
        now = datetime.now(UTC)
        invite = make_invite(inviter=inviter, source=source, created_at=now, expires_at=None)
        digest = token_digest(generate_token())
        self.store(lambda workspace: workspace.store.create_invite(invite, digest))
        return invite.id

    def came(self, username: str, inviter: str) -> None:
        """Somebody has registered through an account that only the server knows."""
        account = make_account(username=username, credentials=None)
        use = Use(
            domain="example.com",
            username=username,
            kind=Kind.ACCOUNT,
            at=datetime.now(UTC),
            door="c2s",
            inviter=inviter,
        )
        redemption = Redemption(account=account, use=use)
        self.store(lambda workspace: workspace.store.redeem(redemption))

    def test_brake(self) -> None:
        """The open invites of somebody end whom invitereg has not met yet."""
        ids = [self.invited("anna"), self.invited("anna", "adhoc:anna@example.com")]
        other = self.invited("bea")
        revoked = self.objects("invite", "revoke", "--branch", "anna")
        self.assertEqual([one["id"] for one in revoked], ids)
        self.assertEqual([one["id"] for one in self.objects("invite", "list")], [other])
        again = self.done("invite", "revoke", "--branch", "anna")
        self.assertEqual(again, "0 invites revoked\n")

    def test_brake_for_nobody(self) -> None:
        """A name that is mistyped is told: no invite is theirs."""
        self.invited("anna")
        self.assertRefused("invite", "revoke", "--branch", "ana", says="no invite is theirs")

    def test_unmet_is_not_deleted(self) -> None:
        """Who is known to the server alone is not called deleted; who was deleted is."""
        self.came("bea", "anna")
        self.came("cleo", "dora")
        self.store(lambda workspace: workspace.store.learn(make_account(username="dora")))
        for name in ("dora", "cleo"):
            self.store(
                lambda workspace, name=name: workspace.store.delete_account(
                    "example.com", name, datetime.now(UTC)
                )
            )
        found = {one["username"]: one["deleted"] for one in self.objects("invite", "tree")}
        self.assertEqual(found, {"anna": None, "bea": False, "cleo": True, "dora": True})
        lines = self.done("invite", "tree").splitlines()
        self.assertEqual(lines[1], "├── anna  (not met yet)")
        self.assertEqual(lines[3], "└── dora  (deleted)")


def _in_a_year(_desk: Any) -> datetime:
    return datetime.now(UTC) + timedelta(days=365)
