"""`invitereg invite create --count N`."""

import json
import subprocess
from unittest import mock

from invitereg.cli import invites
from invitereg.store import invites as stored
from invitereg.store.store import Store, write
from tests.cli.case import CommandCase
from tests.cli.terminal import SECONDS, Terminal, command_line, environment


class CountTests(CommandCase):
    def setUp(self) -> None:
        super().setUp()
        self.patch(invites, "CHUNK", 4)

    def test_objects(self) -> None:
        """A script gets an object a line, each an invite of its own that works."""
        made = self.objects(
            "invite", "create", "--count", "10", "--uses", "2", "--note", "fair"
        )
        listed = self.objects("invite", "list")
        self.assertEqual([one["id"] for one in made], [one["id"] for one in listed])
        self.assertEqual(len({one["token"] for one in made}), 10)
        self.assertEqual({one["note"] for one in listed}, {"fair"})
        self.register("romeo", made[7]["token"])
        self.assertEqual(self.object("invite", "show", made[7]["id"])["uses"], 1)

    def test_links(self) -> None:
        """Without --json, the links alone are printed."""
        links = self.done("invite", "create", "--count", "5").splitlines()
        self.assertEqual(len(links), 5)
        for link in links:
            self.assertRegex(link, r"^xmpp:example\.com\?register;preauth=[A-Za-z0-9]{24}$")

    def test_pages(self) -> None:
        """Where there is a site, each link is the page of an invite, of whatever kind it is."""
        with self.config.open("a") as file:
            file.write("web: {external_url: 'https://example.com/'}\n")
        self.make_account()
        contact = ("--inviter", "romeo", "--contact", "--no-registration")
        for kind in ((), contact):
            links = self.done("invite", "create", "--count", "5", *kind).splitlines()
            self.assertEqual(len(set(links)), 5)
            for link in links:
                self.assertRegex(link, r"^https://example\.com/invite/[A-Za-z0-9]{24}$")

    def test_one(self) -> None:
        """One is a number too."""
        self.assertEqual(len(self.done("invite", "create", "--count", "1").splitlines()), 1)

    def test_misused(self) -> None:
        """What only one invite can have cannot be asked for many."""
        for arguments, says in (
            (("--count", "2", "--username", "romeo"), "leave out --count"),
            (("--count", "2", "--qr"), "or write a --page"),
            (("--count", "0"), "0 is not in the range"),
            (("--count", "-1"), "is not in the range"),
            (("--count", "some"), "not a valid integer"),
        ):
            with self.subTest(arguments):
                self.assertMisused("invite", "create", *arguments, says=says)
        self.assertEqual(self.objects("invite", "list"), [])

    def test_refused(self) -> None:
        """What is refused of one is refused of many."""
        inviter = ("invite", "create", "--count", "9", "--inviter", "nobody")
        self.assertRefused(*inviter, says="no account nobody@example.com")
        self.assertRefused("invite", "create", "--count", "9", "--uses", "0", says="one use")

    def test_interrupted(self) -> None:
        """After Ctrl-C, exactly what was printed exists."""
        create, steps = stored.create_all, iter((None, None, KeyboardInterrupt))

        def until_interrupted(*args: object) -> None:
            if (error := next(steps)) is not None:
                raise error
            create(*args)  # type: ignore[arg-type]

        with mock.patch.object(Store, "create_invites", write(until_interrupted)):
            result = self.call("invite", "create", "--count", "99", "--json")
        self.assertEqual((result.exit_code, result.stderr), (130, ""))
        printed = [json.loads(line)["id"] for line in result.stdout.splitlines()]
        self.assertEqual(len(printed), 8)
        self.assertEqual(printed, [one["id"] for one in self.objects("invite", "list")])


class ProcessTests(CommandCase):
    def test_closed_pipe(self) -> None:
        """A reader that goes away ends it in a line; what it read exists, what not does not."""
        line = command_line(self.config, "invite", "create", "--count", "1000000", "--json")
        process = subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
        )
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        process.stdout.close()
        told = process.communicate(timeout=SECONDS)[1]
        self.assertRegex(told, rb"^[^\n]* invites were revoked, as [^\n]*\n$")
        shown = self.object("invite", "show", first["id"])
        self.assertEqual(shown["status"], "pending")

    def test_progress(self) -> None:
        """On a terminal, what takes long shows how far it is; Ctrl-C ends it with 130."""
        printed = self.folder / "invites"
        script = (
            "import sys; from invitereg.cli import display, main;"
            "display.PATIENCE_SECONDS = 0;"
            f"sys.stdout = open({str(printed)!r}, 'w'); main()"
        )
        arguments = ("invite", "create", "--count", "1000000", "--json")
        terminal = Terminal(self.config, *arguments, program=("-c", script))
        self.addCleanup(terminal.close)
        terminal.expect("[1-9][0-9]*000/1000000")
        terminal.type("\x03")
        self.assertEqual(terminal.end()[0], 130)
        ids = [json.loads(line)["id"] for line in printed.read_text().splitlines()]
        listed = [one["id"] for one in self.objects("invite", "list", "--limit", "1000000")]
        self.assertEqual(ids, listed[: len(ids)])
        self.assertLessEqual(len(listed) - len(ids), invites.CHUNK)
