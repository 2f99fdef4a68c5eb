"""`invitereg invite create --page FILE`."""

import os
import re
import stat
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import segno

from invitereg.cli import files, paper
from invitereg.config.messages import user_name
from invitereg.policy.values import Domain
from invitereg.testing import make_invite
from tests.cli.case import LONGEST, CommandCase

SITE = "Verona & <Friends>"
LOADING = {"link", "script", "img", "iframe", "object", "embed", "base", "form", "video"}


class Document(HTMLParser):
    """What a browser finds in a page.

    Attributes:
        cards: the text of each paragraph or heading of each card.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cards: list[list[str]] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See `HTMLParser`."""
        self.tags.add(tag)
        self.attributes |= {name for name, _value in attrs}
        if tag == "article":
            self.cards.append([])

    def handle_data(self, data: str) -> None:
        """See `HTMLParser`."""
        if self.cards and data.strip():
            self.cards[-1].append(data)


class PageCase(CommandCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.folder / "fair.html"
        self.config.write_text(self.config.read_text() + f'site_name: "{SITE}"\n')

    def create(self, *options: str) -> str:
        """What is in the page that is made with these options."""
        self.done("invite", "create", "--page", str(self.path), *options)
        return self.path.read_text(encoding="utf-8")

    def pending(self) -> list[str]:
        return [one["id"] for one in self.objects("invite", "list", "--limit", "9999")]

    def assertNothing(self) -> None:
        """Neither a file nor an invite is left over."""
        self.assertEqual(self.pending(), [])
        self.assertEqual([path.name for path in self.folder.glob("*.html")], [])
        self.assertEqual(list(self.folder.glob(".invitereg-*")), [])


class PageTests(PageCase):
    def test_cards(self) -> None:
        """Each invite has a card: the name, the link, its QR code, the end, and the note."""
        note = 'Stall <12> & "13"'
        arguments = ("--count", "19", "--page", str(self.path), "--note", note)
        made = self.objects("invite", "create", *arguments)
        text = self.path.read_text(encoding="utf-8")
        cards = Document(text).cards
        self.assertEqual(len(cards), 19)
        for card, one in zip(cards, made, strict=True):
            self.assertEqual(card[0], SITE)
            self.assertEqual(card[1], f"You are invited to an account at {SITE}.")
            self.assertRegex(
                card[3], r"^For one person\. Valid until \w+ \d+, \d{4}, \d+:\d\d\s[AP]M UTC\.$"
            )
            self.assertEqual(card[4:], [note, one["uri"]])
            drawn = re.search('d="([^"]+)"', segno.make_qr(one["uri"]).svg_inline(border=4))
            assert drawn
            self.assertIn(drawn[1], text)
        self.assertEqual(text.count('<section class="sheet">'), 3)
        self.assertIn('<body class="cards">', text)
        self.register("juliet", made[18]["token"])

    def test_headings(self) -> None:
        """The page begins with its one heading of the first level."""
        for count in ("1", "2"):
            text = self.create("--count", count)
            self.assertEqual(re.findall("<h([1-6])", text), ["1", *"2" * int(count)])
            self.path.unlink()

    def test_said(self) -> None:
        """For people, it says what was made and where, and no link."""
        said = self.done("invite", "create", "--page", str(self.path), "--count", "9")
        self.assertEqual(said.splitlines()[0], f"9 invites on 2 pages: {self.path}")
        self.assertNotIn("preauth", said)

    def test_poster(self) -> None:
        """A single invite fills the sheet."""
        text = self.create("--uses", "30", "--expires", "never")
        self.assertIn('<body class="poster">', text)
        ((_name, _invitation, _how, terms, _link),) = Document(text).cards
        self.assertEqual(terms, "For up to 30 people.")

    def test_who_and_what(self) -> None:
        """A card says who invites, to what, and how many."""
        self.make_account()
        for options, invitation, people in (
            (["--username", "juliet"], "You are invited to the account juliet@", "one person"),
            (["--inviter", "romeo", "--uses", "2"], "romeo invites you", "up to 2 people"),
            (["--inviter", "romeo", "--no-registration"], "romeo@example.com would", "one"),
            (
                ["--uses", "unlimited", "--per-network", "9"],
                "You are invited to an account",
                "any number of people",
            ),
        ):
            with self.subTest(options):
                (card,) = Document(self.create(*options)).cards
                self.assertTrue(card[1].startswith(invitation), card)
                self.assertIn(f"For {people}", card[3])
            self.path.unlink()

    def test_landing_page(self) -> None:
        """Where there is a page for each invite, that is what the code leads to."""
        domain = Domain(name="example.com", landing_url="https://example.com/i/")
        done: list[int] = []
        text = paper.page(domain, [(make_invite(), "T" * 24)] * 9, done.append)
        card = Document(text).cards[0]
        self.assertEqual(card[0], "example.com")
        self.assertEqual(card[1], "You are invited to an account at example.com.")
        self.assertEqual(card[2], "Scan the code, or open the link.")
        self.assertEqual(card[-1], "https://example.com/i/" + "T" * 24)
        self.assertEqual(sum(done), 9)

    def test_time_zone(self) -> None:
        """The end is told in the operator's time zone, with its name, winter and summer."""
        link = "https://example.com/i/"
        for zone, month, shown in (
            ("Europe/Berlin", 1, "13:00 CET"),
            ("Europe/Berlin", 7, "14:00 CEST"),
            ("America/Sao_Paulo", 7, "09:00 UTC-03:00"),
            ("UTC", 7, "12:00 UTC"),
        ):
            domain = Domain(name="x.example", landing_url=link, time_zone=ZoneInfo(zone))
            end = datetime(2026, month, 31, 12, tzinfo=UTC)
            made = [(make_invite(expires_at=end), "T" * 24)]
            text = paper.page(domain, made, lambda _done: None, "de")
            self.assertIn(f"2026, {shown}.", Document(text).cards[0][3])

    def test_configured_zone(self) -> None:
        """Each domain has the zone that the file names, and a wrong name is a mistake."""
        text = self.config.read_text()
        self.config.write_text(f"{text}time_zone: Asia/Tokyo\n")
        self.assertIn(" JST.", self.create())
        self.path.unlink()
        for zone, says in (("Tokio", "did you mean Asia/Tokyo?"), ("berlin", "Europe/Berlin")):
            self.config.write_text(f"{text}time_zone: {zone}\n")
            self.assertMisused("invite", "list", says=f'"{zone}" is no time zone: did you mean')
            self.assertMisused("invite", "list", says=says)
        for zone in ("../../etc/passwd", "/etc/localtime", "''", "7", "Europe"):
            self.config.write_text(f"{text}time_zone: {zone}\n")
            self.assertMisused("invite", "list", says="time_zone: ")

    def test_no_jargon(self) -> None:
        """A card without a page says what to get, and not how that works."""
        for language in ("en", "de", "es", "fr"):
            text = self.create("--language", language)
            self.assertIn("Conversations", text)
            self.assertNotIn("XMPP", text)
            self.path.unlink()

    def test_language(self) -> None:
        """Cards are in the language that is asked for, with the operator's headline in it."""
        headline = "{de: 'Komm zum Verein!', en: 'Join the club!'}"
        web = f"{{external_url: 'https://example.com/', texts: {{headline: {headline}}}}}"
        self.config.write_text(f"{self.config.read_text()}web: {web}\n")
        self.make_account()
        invitations = {
            "de": "romeo lädt dich zu einem Konto bei",
            "fr": "romeo vous invite",
            "es": "romeo te invita",
            "en": "romeo invites you",
        }
        for language, invitation in invitations.items():
            text = self.create("--language", language, "--inviter", "romeo", "--uses", "2")
            self.assertIn(f'<html lang="{language}">', text)
            (card,) = Document(text).cards
            german = "Komm zum Verein!"
            self.assertEqual(card[0], german if language == "de" else "Join the club!")
            self.assertTrue(card[1].startswith(invitation), card)
            self.path.unlink()
        nothing = ("invite", "create", "--page", str(self.path), "--language", "tlh")
        self.assertMisused(*nothing, says="There are no texts in 'tlh', only in en, de, es, fr")
        self.assertMisused("invite", "create", "--language", "de", says="--page FILE")

    def test_region(self) -> None:
        """A language may have a region, by which its dates and numbers are written."""
        for tag, terms in (
            ("de-AT", r"bis zu 1[\s.]000 Personen\. Gültig bis \d+\. \w+ \d{4}, \d\d:\d\d UTC"),
            ("en-GB", r"up to 1,000 people\. Valid until \d+ \w+ \d{4}, \d\d:\d\d UTC"),
            ("EN-us", r"up to 1,000 people\. Valid until \w+ \d+, \d{4}, \d+:\d\d\s[AP]M UTC"),
        ):
            text = self.create("--language", tag, "--uses", "1000", "--per-network", "9")
            (card,) = Document(text).cards
            self.assertRegex(card[3], terms)
            self.assertIn(f'<html lang="{tag}">', text)
            self.path.unlink()
        for tag in ("", "de_AT", "de-QQ", "pt-BR", "e", '"><b>', "../de", "d" * 5000):
            arguments = ("invite", "create", "--page", str(self.path), "--language", tag)
            self.assertMisused(*arguments, says="There are no texts in ")

    def test_alone(self) -> None:
        """Whoever opens the page asks nobody for anything."""
        text = self.create("--count", "3", "--note", '"><img src=x>')
        document = Document(text)
        self.assertEqual(document.tags & LOADING, set())
        self.assertEqual(document.attributes & {"src", "href", "action", "style"}, set())
        self.assertNotIn("url(", text)
        self.assertNotIn("@import", text)
        self.assertIn("default-src 'none'", text)

    def test_no_permission(self) -> None:
        """Where the command's user may not write, that user is named, and nothing is made."""
        allowed = os.open

        def refusing(path: str | os.PathLike[str], *rest: Any, **options: Any) -> int:
            if path == self.path:
                raise PermissionError(13, "Permission denied")
            return allowed(path, *rest, **options)

        with mock.patch("os.open", refusing):
            result = self.call("invite", "create", "--page", str(self.path))
        self.assertEqual(result.exit_code, 1)
        self.assertIn(f"Permission denied for the user {user_name()}", result.stderr)
        self.assertEqual(self.objects("invite", "list"), [])

    def test_long_headline(self) -> None:
        """A headline has two lines on a card, and as many as it needs on a poster."""
        text = self.create("--count", "2")
        self.assertRegex(text, r"\nh2 \{[^}]*-webkit-line-clamp: 2")
        self.assertRegex(text, r"\.poster h2 \{[^}]*display: block")

    def test_secret(self) -> None:
        """Nobody else can read the file, at no time, whatever the umask."""
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        seen: list[int] = []

        def look(*_arguments: object) -> None:
            there = [*self.folder.glob(".invitereg-*"), *self.folder.glob("*.html")]
            seen.extend(stat.S_IMODE(path.stat().st_mode) for path in there)

        with mock.patch.object(files.os, "fsync", look):
            self.create()
        self.assertEqual(seen, [0o600, 0o600])
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)


class RefusalTests(PageCase):
    def test_exists(self) -> None:
        """Nothing is overwritten, and nothing made."""
        self.path.write_text("other invites")
        self.assertRefused("invite", "create", "--page", str(self.path), says="exists already")
        self.assertEqual(self.path.read_text(), "other invites")
        self.path.unlink()
        self.assertNothing()

    def test_no_place(self) -> None:
        """A folder that is not there is an error, before anything is made."""
        path = self.folder / "none" / "fair.html"
        self.assertRefused("invite", "create", "--page", str(path), says="No such file")
        self.assertRefused("invite", "create", "--page", str(self.folder), says="exists")
        self.assertNothing()

    def test_misused(self) -> None:
        """What does not go together is wrong usage."""
        many = ("--count", "2", "--username", "juliet")
        for options, says in (
            (("--count", "1001"), "1,000 invites at most"),
            (("--qr",), "leave out --qr"),
            (many, "leave out --count"),
        ):
            with self.subTest(options):
                arguments = ("invite", "create", "--page", str(self.path), *options)
                self.assertMisused(*arguments, says=says)
        self.assertNothing()

    def test_refused(self) -> None:
        """What is refused leaves no file."""
        options = ("invite", "create", "--page", str(self.path))
        self.assertRefused(*options, "--inviter", "nobody", says="no account nobody@")
        self.assertRefused(*options, "--username", LONGEST, says="too long for a QR code")
        self.assertNothing()

    def test_cannot_be_written(self) -> None:
        """A disk that is full, or Ctrl-C, revokes what nobody has seen."""
        options = ("invite", "create", "--page", str(self.path), "--count", "3")
        full = OSError(28, "No space left on device")
        with mock.patch.object(files.os, "fsync", side_effect=full):
            self.assertRefused(*options, says="No space left on device")
        with mock.patch.object(paper, "_code", side_effect=KeyboardInterrupt):
            self.assertEqual(self.call(*options).exit_code, 130)
        self.assertNothing()
        self.assertEqual(len(self.objects("invite", "list", "--status", "revoked")), 6)
