"""`invitereg policy explain`."""

import json
from typing import Any

from invitereg.cli.workspace import Workspace
from invitereg.usecases.userinvites import User, UserInvites
from tests.cli.case import CommandCase


class ExplainTests(CommandCase):
    def explain(self, *options: str) -> dict[str, Any]:
        """The decision; the exit status must say the same."""
        result = self.call("policy", "explain", "--json", *options)
        decision: dict[str, Any] = json.loads(result.stdout)
        more = {"open_invites", "invites_made", "invite_id"} & set(decision)
        self.assertEqual(set(decision) - more, {"allowed", "rule", "text", "passed"})
        self.assertEqual(result.exit_code, 0 if decision["allowed"] else 1)
        self.assertEqual(result.stderr, "")
        return decision

    def invite(self, *options: str) -> str:
        token: str = self.object("invite", "create", *options)["token"]
        return token

    def test_refused(self) -> None:
        """A refusal names its rule, its text and what was passed before."""
        self.assertEqual(
            self.explain(),
            {
                "allowed": False,
                "rule": "invite-required",
                "text": "This server is by invitation only: "
                "you need an invitation to register.",
                "passed": ["closed", "blocklisted", "not-allowlisted", "too-many-guesses"],
            },
        )

    def test_allowed(self) -> None:
        """With a token and a free name, every rule passes but those about passwords."""
        decision = self.explain("--token", self.invite(), "--username", "juliet")
        self.assertEqual((decision["rule"], decision["text"]), ("allowed", None))
        self.assertIn("throttled", decision["passed"])
        self.assertEqual(decision["passed"][-1], "username-taken")

    def test_without_username(self) -> None:
        """Where no name is given, no rule about names is claimed to have passed."""
        decision = self.explain("--token", self.invite())
        self.assertTrue(decision["allowed"])
        self.assertNotIn("username-taken", decision["passed"])

    def test_username(self) -> None:
        """Names are judged as at registration."""
        self.make_account()
        token = self.invite()
        for name, rule in (
            ("romeo", "username-taken"),
            ("root", "username-reserved"),
            ("ro\u03bft", "username-look-alike"),
            ("bo\u0455s", "username-look-alike"),
            ("juliet\u3164", "username-look-alike"),
            ("boss", "username-of-admin"),
            ("a b", "username-invalid"),
            ("romeo@example.com", "username-taken"),
            ("a b@example.com", "username-invalid"),
            ("@example.com", "field-missing"),
            ("", "field-missing"),
        ):
            decision = self.explain("--token", token, "--username", name)
            self.assertEqual(decision["rule"], rule, name)

    def test_ip(self) -> None:
        """Addresses are judged by the lists."""
        self.assertEqual(self.explain("--ip", "192.0.2.9")["rule"], "blocklisted")
        self.assertEqual(self.explain("--ip", "2001:db8::1")["rule"], "invite-required")

    def test_counts_nothing(self) -> None:
        """To ask about unknown tokens, however often, does not count as guessing."""
        for _ in range(4):
            decision = self.explain("--ip", "198.51.100.7", "--token", "x" * 24)
            self.assertEqual(decision["rule"], "invite-unknown")

    def test_for_people(self) -> None:
        """A person reads the rule, its text and what was passed."""
        result = self.call("policy", "explain", "--ip", "192.0.2.9")
        self.assertEqual(result.exit_code, 1)
        lines = result.stdout.splitlines()
        self.assertEqual(lines[0], "refused: blocklisted")
        self.assertEqual(lines[2:], ["rules passed:", "  closed"])
        self.assertIn("allowed\n", self.done("policy", "explain", "--token", self.invite()))
        closed = "domain: example.com\ndata_dir: data\npolicy: {allow_registration: false}\n"
        self.config.write_text(closed)
        told = self.call("policy", "explain").stdout
        self.assertEqual(told.splitlines()[-1], "rules passed: none")

    def test_whose_token(self) -> None:
        """Whoever has only a link finds its invite by its token."""
        made = self.object("invite", "create")
        for act in (("show",), ("renew",), ("revoke",), ("edit", "--note", "x")):
            says = "It looks like a token: invitereg policy explain --token TOKEN names the id"
            self.assertRefused("invite", *act, made["token"], says=says)
            self.assertNotIn(made["token"], self.call("invite", *act, made["token"]).output)
        told = self.done("policy", "explain", "--token", made["token"])
        self.assertEqual(told.splitlines()[-1], f"invite id: {made['id']}")
        self.assertEqual(self.explain("--token", made["token"])["invite_id"], made["id"])
        self.done("invite", "revoke", made["id"])
        self.assertEqual(self.explain("--token", made["token"])["invite_id"], made["id"])
        self.assertIsNone(self.explain("--token", "x" * 24)["invite_id"])
        result = self.call("policy", "explain", "--token", "x" * 24)
        self.assertIn("invite id: unknown\n", result.stdout)

    def test_whole_link(self) -> None:
        """A link can be pasted as it is, whichever of them."""
        self.config.write_text(
            self.config.read_text() + "web: {external_url: 'https://example.com/chat/'}\n"
        )
        self.make_account()
        for options in ((), ("--username", "juliet"), ("--inviter", "romeo", "--contact")):
            made = self.object("invite", "create", *options)
            token, page = made["token"], made["landing_url"]
            old = f"https://example.com/invites_page?{token}"
            for link in (token, made["uri"], page, f" {page}\n", f"{page}?lang=de", old):
                explained = self.explain("--token", link)
                self.assertEqual(explained["invite_id"], made["id"], link)
            result = self.call("invite", "show", page)
            self.assertIn("policy explain --token TOKEN", result.stderr)

    def test_nobody_as_inviter(self) -> None:
        """Nobody has no limits: only that there is no such account is told."""
        explained = self.explain("--inviter", "nobody")
        self.assertEqual(set(explained), {"allowed", "rule", "text", "passed"})
        self.assertIn("no account nobody", explained["text"])

    def test_inviter(self) -> None:
        """Who may invite is explained by the rules about inviting."""
        self.make_account()
        decision = self.explain("--inviter", "romeo")
        self.assertEqual(decision["rule"], "registration-invites")
        self.assertEqual(decision["passed"], ["inviter-unknown", "closed", "role-denied"])
        contact = self.explain("--inviter", "Romeo@example.com", "--no-registration")
        self.assertEqual((contact["rule"], contact["passed"][-1]), ("allowed", "too-many-made"))
        self.assertEqual(self.explain("--inviter", "nobody")["rule"], "inviter-unknown")

    def test_numbers(self) -> None:
        """How much of their limits a user has used is told; an admin has none."""
        text = self.config.read_text()
        users = "{max_open: 3, made: {max: 7, period: 36h}}"
        rules = f"{{allow_user_invites: true, users: {users}}}"
        self.config.write_text(text.replace("policy: {", f"policy: {{invites: {rules}, "))
        self.make_account()
        self.make_account("boss")
        with Workspace.open(self.config) as workspace:
            invites = UserInvites(workspace.issuer, workspace.store)
            romeo = User("example.com", "romeo", "adhoc")
            made = [workspace.run(invites.invite(romeo))[0] for _number in range(2)]
            workspace.run(invites.revoke(romeo, made[0].id))
        told = self.explain("--inviter", "romeo")
        self.assertEqual(told["open_invites"], {"count": 1, "most": 3})
        self.assertEqual(told["invites_made"], {"count": 2, "most": 7, "seconds": 129600})
        lines = self.done("policy", "explain", "--inviter", "romeo").splitlines()
        self.assertEqual(
            lines[-2:], ["open invites: 1 of 3", "invites made: 2 of 7 within 36h"]
        )
        self.assertNotIn("open_invites", self.explain("--inviter", "boss"))
        self.config.write_text(
            self.config.read_text().replace("max_open: 3", "max_open: unlimited")
        )
        self.assertIn("1 of any number", self.done("policy", "explain", "--inviter", "romeo"))

    def test_inviter_by_role(self) -> None:
        """What the configuration says of roles, limits and admins is what is explained."""
        text = self.config.read_text()
        rules = "{allow_user_invites_by_roles: [team], users: {min_account_age: 1h}}"
        self.config.write_text(text.replace("policy: {", f"policy: {{invites: {rules}, "))
        self.make_account()
        self.make_account("boss")
        self.done("account", "role", "romeo", "--add", "team")
        self.assertEqual(self.explain("--inviter", "romeo")["rule"], "account-too-young")
        passed = ["inviter-unknown", "closed", "admin"]
        self.assertEqual(self.explain("--inviter", "boss")["passed"], passed)

    def test_misused(self) -> None:
        """What is no address is wrong usage; a domain that is not served is not found."""
        self.assertMisused("policy", "explain", "--ip", "192.0.2", says="is no address")
        alone = ("policy", "explain", "--no-registration")
        self.assertMisused(*alone, says="is about an --inviter")
        both = ("policy", "explain", "--inviter", "romeo", "--username", "juliet")
        self.assertMisused(*both, says="goes with none of")
        self.assertRefused("policy", "explain", "--inviter", "a b", says="not a valid username")
        self.assertRefused("policy", "explain", "--domain", "example.org", says="no domain")
