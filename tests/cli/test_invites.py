"""`invitereg invite …` and `invitereg reset …`."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from invitereg.errors import TooManyGuests
from tests.cli.case import LONGEST, CommandCase

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def moment(text: str) -> datetime:
    assert TIME.fullmatch(text), text
    return datetime.fromisoformat(text)


class ClosedTests(CommandCase):
    """Invites that are made while nobody may register."""

    def setUp(self) -> None:
        super().setUp()
        closed = "policy: {allow_registration: false, "
        self.config.write_text(self.config.read_text().replace("policy: {", closed))

    def test_warning(self) -> None:
        """The operator may prepare invites, and is told that they open nothing now."""
        single = self.call("invite", "create", "--json")
        made = json.loads(single.stdout)["id"]
        for told in (
            single,
            self.call("invite", "renew", made),
            self.call("invite", "create", "--count", "2"),
            self.call("invite", "create", "--page", str(self.folder / "page.html")),
        ):
            self.assertEqual((told.exit_code, told.stderr.count("\n")), (0, 1), told.output)
            self.assertIn("warning: registration is closed at example.com", told.stderr)
            self.assertIn("policy.allow_registration", told.stderr)

    def test_no_warning(self) -> None:
        """Nothing is said of links that are good for something."""
        self.make_account()
        contact = ("invite", "create", "--inviter", "romeo", "--no-registration")
        for made in (self.object(*contact), self.object("reset", "create", "romeo")):
            self.object("invite", "renew", made["id"])


class EventTests(CommandCase):
    """An invite for many people who are at one place, and so in one network."""

    def test_warning(self) -> None:
        """Who makes one for more than a network may is told, and by what to change it."""
        for uses, most in (("31", "31"), ("50", "50"), ("unlimited", "300")):
            made = self.call("invite", "create", "--uses", uses)
            self.assertEqual((made.exit_code, made.stderr.count("\n")), (0, 1))
            self.assertIn("only 30 people can register with it within 1h", made.stderr)
            self.assertIn(f"--per-network {most}.", made.stderr)

    def test_edited(self) -> None:
        """So is who lets more people in with one that there is."""
        made = self.object("invite", "create")["id"]
        self.done("invite", "edit", made, "--uses", "30")
        edited = self.call("invite", "edit", made, "--uses", "50")
        self.assertEqual((edited.exit_code, edited.stderr.count("\n")), (0, 1))
        self.assertIn("--per-network 50.", edited.stderr)
        self.done("invite", "edit", made, "--per-network", "50")
        self.done("invite", "edit", made, "--uses", "60")
        self.done("invite", "edit", made, "--note", "fair")

    def test_edited_contact(self) -> None:
        """Nor is it said of an invite by which nobody registers."""
        self.make_account()
        contact = ("invite", "create", "--inviter", "romeo", "--no-registration")
        self.done("invite", "edit", self.object(*contact)["id"], "--uses", "50")

    def test_no_warning(self) -> None:
        """Nothing is said where all get in, where it was said how many, or nobody registers."""
        self.make_account()
        for options in (
            ("--uses", "30"),
            ("--uses", "50", "--per-network", "50"),
            ("--uses", "50", "--per-network", "40"),
            ("--uses", "50", "--inviter", "romeo", "--no-registration"),
        ):
            self.done("invite", "create", *options)

    def test_guests(self) -> None:
        """As many register from one network as it says, and the next is told what to do."""
        few = "limits: {shared_invite: {max: 1, period: 1h}, "
        self.config.write_text(self.config.read_text().replace("limits: {", few))
        made = self.object("invite", "create", "--uses", "9", "--per-network", "2")
        self.assertEqual(made["per_network_allowed"], 2)
        for name in ("anna", "bea"):
            self.register(name, made["token"])
        with self.assertRaises(TooManyGuests) as refused:
            self.register("cleo", made["token"])
        self.assertIn("mobile data", str(refused.exception))
        self.register("dora", made["token"], "198.51.100.8")
        shown = self.object("invite", "edit", made["id"], "--per-network", "3")
        self.assertEqual((shown["per_network_allowed"], shown["uses"]), (3, 3))
        self.register("cleo", made["token"])
        people = self.done("invite", "show", made["id"])
        self.assertIn("network:  3 from each", people)

    def test_refused(self) -> None:
        """For one guest it means nothing; and none at all would let nobody in."""
        single = ("invite", "create", "--per-network", "2")
        self.assertRefused(*single, says="for an invite with several uses")
        self.assertMisused(*single[:-1], "0", "--uses", "5", says="--per-network")
        made = self.object("invite", "create")
        edit = ("invite", "edit", made["id"], "--per-network", "2")
        self.assertRefused(*edit, says="for an invite with several uses")
        self.assertEqual(self.object(*edit, "--uses", "5")["per_network_allowed"], 2)


class CreateTests(CommandCase):
    def test_object(self) -> None:
        """A script gets exactly the documented keys, with null for what there is none of."""
        made = self.object("invite", "create")
        within = datetime.now(UTC) + timedelta(days=7) - moment(made["expires_at"])
        self.assertLess(abs(within), timedelta(minutes=1))
        self.assertRegex(made["token"], r"^[A-Za-z0-9]{24}$")
        self.assertEqual(
            made,
            {
                "id": made["id"],
                "token": made["token"],
                "uri": f"xmpp:example.com?register;preauth={made['token']}",
                "landing_url": "",
                "kind": "account",
                "domain": "example.com",
                "inviter": None,
                "username": None,
                "expires_at": made["expires_at"],
                "uses_allowed": 1,
                "per_network_allowed": None,
            },
        )

    def test_every_option(self) -> None:
        """Everything that can be said about an invite is kept."""
        self.make_account()
        made = self.object(
            *("invite", "create", "--domain", "EXAMPLE.com", "--inviter", "romeo", "--contact"),
            *(
                "--uses",
                "5",
                "--role",
                "a",
                "--role",
                "b:c",
                "--role",
                "a",
                "--group",
                "Für uns",
            ),
            *("--expires", "12h", "--note", "for the\nparty"),
        )
        self.assertEqual(made["kind"], "account-and-contact")
        self.assertEqual(
            made["uri"], f"xmpp:romeo@example.com?roster;preauth={made['token']};ibr=y"
        )
        shown = self.object("invite", "show", made["id"])
        self.assertEqual(moment(shown["expires_at"]) - moment(shown["created_at"]), HALF_DAY)
        kept = {key: shown[key] for key in ("uses_allowed", "roles", "groups", "note")}
        self.assertEqual(
            kept,
            {
                "uses_allowed": 5,
                "roles": ["a", "b:c"],
                "groups": ["Für uns"],
                "note": "for the\nparty",
            },
        )

    def test_contact(self) -> None:
        """An invite without registration is one to make contacts only."""
        self.make_account()
        made = self.object("invite", "create", "--inviter", "romeo", "--no-registration")
        self.assertEqual(made["kind"], "contact")
        self.assertEqual(made["uri"], f"xmpp:romeo@example.com?roster;preauth={made['token']}")

    def test_username(self) -> None:
        """An invite for one name carries it; the operator may even give away an admin's."""
        made = self.object("invite", "create", "--username", "Boss")
        self.assertEqual((made["username"], made["uses_allowed"]), ("boss", 1))
        self.assertEqual(made["uri"], f"xmpp:boss@example.com?register;preauth={made['token']}")

    def test_addresses(self) -> None:
        """Users can be given by their address."""
        self.make_account()
        made = self.object(
            *("invite", "create", "--contact", "--inviter", "romeo@example.com"),
            *("--username", "juliet@example.com"),
        )
        self.assertEqual((made["inviter"], made["username"]), ("romeo", "juliet"))

    def test_without_end(self) -> None:
        """Never and unlimited are null."""
        unlimited = ("--uses", "unlimited", "--per-network", "9")
        made = self.object("invite", "create", "--expires", "never", *unlimited)
        self.assertEqual((made["expires_at"], made["uses_allowed"]), (None, None))

    def test_for_people(self) -> None:
        """A person gets the link on a line of its own, and what it is good for."""
        link, about = self.done("invite", "create", "--expires", "never").splitlines()
        self.assertRegex(link, r"^xmpp:example\.com\?register;preauth=[A-Za-z0-9]{24}$")
        self.assertRegex(about, r"^invite [a-z0-9]{10}, kind account, never expires, uses 0/1$")
        self.assertNotIn("\x1b", link + about)

    def test_page(self) -> None:
        """Where there is a site, its page is on the next line, and in the JSON."""
        self.config.write_text(
            self.config.read_text() + "\nweb: {external_url: 'https://chat.example.com/'}\n"
        )
        uri, page, _about = self.done("invite", "create").splitlines()
        token = uri.rpartition("=")[2]
        self.assertEqual(page, f"https://chat.example.com/invite/{token}")
        made = self.object("invite", "create")
        self.assertEqual(
            made["landing_url"], f"https://chat.example.com/invite/{made['token']}"
        )

    def test_qr(self) -> None:
        """A QR code can be had, but not in the middle of JSON."""
        self.assertIn("█▄▄▄▄▄▄▄█", self.done("invite", "create", "--qr"))
        self.assertMisused("invite", "create", "--qr", "--json", says="choose one")

    def test_long_qr(self) -> None:
        """A link that fits into no code is printed without one."""
        result = self.call("invite", "create", "--qr", "--username", LONGEST)
        self.assertEqual(result.exit_code, 0)
        self.assertRegex(result.stdout, r"^xmpp:(%C3%A9)+@example\.com\?register;preauth=")
        self.assertEqual(result.stderr, "The link is too long for a QR code.\n")

    def test_refused(self) -> None:
        """What makes no sense or is taken is refused in one line."""
        self.make_account()
        self.done("invite", "create", "--username", "juliet")
        for arguments, says in (
            (("--inviter", "nobody"), "no account nobody@example.com"),
            (("--inviter", "romeo@example.org"), "There is no domain example.org"),
            (("--domain", "example.org"), "There is no domain example.org, only example.com"),
            (("--username", "romeo"), "exists already"),
            (("--username", "juliet"), ": revoke it to free the name"),
            (("--username", "a b"), "not a valid username"),
            (("--username", "nurse", "--uses", "2"), "one use only"),
            (("--username", "nurse", "--uses", "unlimited"), "one use only"),
            (("--uses", "0"), "at least one use"),
            (("--uses", "-1"), "at least one use"),
            (("--contact",), "needs an inviter"),
            (("--no-registration",), "needs an inviter"),
        ):
            with self.subTest(arguments):
                self.assertRefused("invite", "create", *arguments, says=says)
        self.assertEqual(len(self.objects("invite", "list")), 1)

    def test_misused(self) -> None:
        """What is not written as the help says is wrong usage."""
        for arguments, says in (
            (("--expires", "7"), '"7" is no duration (did you mean 7d?)'),
            (("--expires", "0d"), "longer than nothing"),
            (("--uses", "many"), "neither a number nor unlimited"),
            (("--uses", "9" * 30), "unlimited"),
            (("--role", "a b"), "is no role"),
            (("--colour", "red"), "No such option"),
            (("--note", "\udcff"), "UTF-8"),
            (("extra",), "unexpected extra argument"),
        ):
            with self.subTest(arguments):
                self.assertMisused("invite", "create", *arguments, says=says)


HALF_DAY = timedelta(hours=12)


class StoredTests(CommandCase):
    def make(self, *options: str) -> dict[str, Any]:
        return self.object("invite", "create", *options)

    def statuses(self, *options: str) -> dict[str, str]:
        return {one["id"]: one["status"] for one in self.objects("invite", "list", *options)}

    def test_object(self) -> None:
        """A listed invite has exactly the documented keys, and no secret."""
        made = self.make("--note", "n", "--role", "r", "--group", "g")
        (listed,) = self.objects("invite", "list")
        moment(listed["created_at"])
        self.assertEqual(
            listed,
            {
                "id": made["id"],
                "kind": "account",
                "domain": "example.com",
                "inviter": None,
                "username": None,
                "expires_at": made["expires_at"],
                "uses_allowed": 1,
                "per_network_allowed": None,
                "uses": 0,
                "status": "pending",
                "created_at": listed["created_at"],
                "revoked_at": None,
                "source": "cli",
                "roles": ["r"],
                "groups": ["g"],
                "note": "n",
            },
        )

    def test_list_by_status(self) -> None:
        """Pending ones are listed, unless others are asked for."""
        pending, used, revoked = (self.make() for _ in range(3))
        self.register("juliet", used["token"])
        self.done("invite", "revoke", revoked["id"])
        expected = {pending["id"]: "pending", used["id"]: "used", revoked["id"]: "revoked"}
        self.assertEqual(self.statuses(), {pending["id"]: "pending"})
        self.assertEqual(self.statuses("--status", "all"), expected)
        self.assertEqual(self.statuses("--status", "used"), {used["id"]: "used"})
        self.assertEqual(self.statuses("--status", "revoked"), {revoked["id"]: "revoked"})
        self.assertEqual(self.statuses("--status", "expired"), {})

    def test_list_in_pages(self) -> None:
        """A long list is read page by page, in the order of making."""
        ids = [self.make()["id"] for _ in range(3)]
        page = self.call("invite", "list", "--limit", "2")
        self.assertEqual([line[:10] for line in page.stdout.splitlines()], ids[:2])
        self.assertEqual(
            page.stderr, f"There are more: add --after {ids[1]}, or a higher --limit.\n"
        )
        self.assertEqual(list(self.statuses("--limit", "3")), ids)
        self.assertEqual(list(self.statuses("--limit", "2", "--after", ids[1])), ids[2:])
        self.assertRefused("invite", "list", "--after", "nothing", says="no invite nothing")

    def test_list_plain(self) -> None:
        """A pipe gets a line for each invite, tabs between the cells, no tricks from notes."""
        made = self.make("--expires", "never", "--note", "a\tb\x9b2J")
        cells = [made["id"], "pending", "account", "never", "0/1", "-", "-", "a�b�2J", "-"]
        self.assertEqual(self.done("invite", "list"), "\t".join(cells) + "\n")

    def test_list_who_joined(self) -> None:
        """A list of those that were used says who came by each, and when."""
        made = self.make("--uses", "3")
        for name in ("juliet", "nurse"):
            self.register(name, made["token"])
        (line,) = self.done("invite", "list").splitlines()
        joined = line.split("\t")[-1]
        self.assertRegex(joined, r"^nurse \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ and 1 before$")

    def test_list_misused(self) -> None:
        """A status or a limit that does not exist is wrong usage."""
        self.assertMisused("invite", "list", "--status", "lost", says="'lost' is not one of")
        self.assertMisused("invite", "list", "--limit", "0", says="--limit")

    def test_show(self) -> None:
        """An invite's history tells who used it, when, through which door and from where."""
        made = self.make("--uses", "2")
        self.register("juliet", made["token"])
        self.register("nurse", made["token"], address="2001:db8::1")
        shown = self.object("invite", "show", made["id"])
        self.assertEqual((shown["uses"], shown["status"]), (2, "used"))
        times = [moment(use.pop("at")) for use in shown["history"]]
        self.assertEqual(times, sorted(times))
        self.assertEqual(
            shown["history"],
            [
                {"username": "juliet", "door": "c2s", "address": "198.51.100.7"},
                {"username": "nurse", "door": "c2s", "address": "2001:db8::1"},
            ],
        )
        (listed,) = self.objects("invite", "list", "--status", "all")
        self.assertEqual(set(shown) - set(listed), {"history"})

    def test_show_for_people(self) -> None:
        """A person reads what is set, a line for each thing."""
        made = self.make("--note", "party", "--expires", "never")
        self.register("juliet", made["token"])
        text = self.done("invite", "show", made["id"])
        for line in ("status:   used", "note:     party", "expires:  never"):
            self.assertIn(line, text.splitlines())
        self.assertRegex(text, r"used:     \S+Z by juliet \(c2s from 198\.51\.100\.7\)\n$")

    def test_edit(self) -> None:
        """Expiry, uses and note can be changed, one by one; the link stays good."""
        made = self.make()
        changed = self.object("invite", "edit", made["id"], "--expires", "never")
        self.assertEqual((changed["expires_at"], changed["uses_allowed"]), (None, 1))
        of_event = "--uses", "unlimited", "--per-network", "99"
        changed = self.object("invite", "edit", made["id"], *of_event)
        self.assertEqual((changed["expires_at"], changed["uses_allowed"]), (None, None))
        changed = self.object("invite", "edit", made["id"], "--uses", "3", "--note", "new")
        self.assertEqual((changed["uses_allowed"], changed["note"]), (3, "new"))
        changed = self.object("invite", "edit", made["id"], "--expires", "1d", "--note", "")
        self.assertEqual(changed["note"], "")
        left = moment(changed["expires_at"]) - datetime.now(UTC)
        self.assertLess(abs(left - timedelta(days=1)), timedelta(minutes=1))
        self.assertEqual(set(changed), set(self.objects("invite", "list")[0]))
        self.register("juliet", made["token"])

    def test_edit_refused(self) -> None:
        """Nothing to change is wrong usage; a change that makes no sense is refused."""
        made = self.make("--uses", "2")
        self.register("juliet", made["token"])
        self.assertMisused("invite", "edit", made["id"], says="Say what to change")
        for uses in ("0", "1"):
            self.assertRefused("invite", "edit", made["id"], "--uses", uses, says="use")
        self.assertRefused("invite", "edit", "nothing", "--note", "x", says="no invite nothing")

    def test_renew(self) -> None:
        """A renewed invite is printed like a new one, and the old link is dead."""
        made = self.make("--note", "kept")
        renewed = self.object("invite", "renew", made["id"])
        self.assertEqual(renewed.keys(), made.keys())
        self.assertEqual(renewed["id"], made["id"])
        self.assertNotEqual(renewed["token"], made["token"])
        old = self.call("policy", "explain", "--token", made["token"], "--json")
        new = self.call("policy", "explain", "--token", renewed["token"], "--json")
        self.assertEqual((old.exit_code, new.exit_code), (1, 0))

    def test_revoke(self) -> None:
        """A revoked invite says so and frees its name; to revoke it again changes nothing."""
        made = self.make("--username", "juliet")
        revoked = self.object("invite", "revoke", made["id"])
        self.assertEqual(revoked["status"], "revoked")
        moment(revoked["revoked_at"])
        self.assertEqual(self.object("invite", "revoke", made["id"]), revoked)
        self.assertIn(
            f"revoked: invite {made['id']}", self.done("invite", "revoke", made["id"])
        )
        self.make("--username", "juliet")

    def test_over(self) -> None:
        """What is used up or revoked can be neither renewed nor changed."""
        used, revoked = self.make(), self.make()
        self.register("juliet", used["token"])
        self.done("invite", "revoke", revoked["id"])
        for made, says in ((used, "used up"), (revoked, "is revoked")):
            self.assertRefused("invite", "renew", made["id"], says=says)
            self.assertRefused("invite", "edit", made["id"], "--note", "x", says=says)
        self.assertRefused("invite", "revoke", used["id"], says="used up")

    def test_unknown(self) -> None:
        """An id that does not exist is not found."""
        for verb in ("show", "renew", "revoke"):
            self.assertRefused("invite", verb, "nothing", says="There is no invite nothing")


class ResetTests(CommandCase):
    def test_object(self) -> None:
        """A link to set a password has the keys of an invite, and a day."""
        self.make_account()
        keys = self.object("invite", "create").keys()
        made = self.object("reset", "create", "romeo@example.com")
        self.assertEqual(made.keys(), keys)
        self.assertEqual((made["kind"], made["username"]), ("reset", "romeo"))
        self.assertEqual(
            made["uri"], f"xmpp:romeo@example.com?register;preauth={made['token']}"
        )
        left = moment(made["expires_at"]) - datetime.now(UTC)
        self.assertLess(abs(left - timedelta(days=1)), timedelta(minutes=1))
        self.register("romeo", made["token"])

    def test_expires(self) -> None:
        """How long it is good can be said."""
        self.make_account()
        made = self.object("reset", "create", "romeo", "--expires", "never")
        self.assertIsNone(made["expires_at"])

    def test_refused(self) -> None:
        """There is none for an account that does not exist."""
        self.assertRefused("reset", "create", "romeo", says="no account romeo@example.com")
        self.assertRefused("reset", "create", "romeo@example.org", says="no domain example.org")
