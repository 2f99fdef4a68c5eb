"""What a guest reads, from invitation to login: by device, language and region."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from invitereg.config.apps import App, StoreButton
from invitereg.policy.inviting import OPERATOR
from invitereg.policy.values import Policy
from invitereg.translations import languages
from invitereg.web.apps import Visitor
from invitereg.web.rendering import Reader, accepted, region_of
from tests.web.door import DOMAIN, PASSWORD, PHONE, WebCase
from tests.web.person import Person
from tests.web.test_landing import APPLE, PENGUIN

WINDOWS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"
)
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18.0 Safari/605.1.15"
OPENING = {"android": PHONE, "ios": APPLE, "macos": MAC}
"""Devices for which a listed app opens invitations."""
OTHERS = {"windows": WINDOWS, "linux": PENGUIN}
DEVICES = {**OPENING, **OTHERS, "unknown": "Lynx/2.9"}
MOMENT = datetime(1970, 1, 1, tzinfo=UTC)
BY_ITSELF = "from Google Play opens this invitation by itself after the installation"


def read(page: str) -> str:
    """What somebody reads on a page, and what a screen reader says."""
    words = re.sub(r"<[^>]+>", " ", page.partition("<main")[2].partition("<footer")[0])
    return re.sub(r"\s+", " ", unescape(words))


def primary(page: str) -> list[str]:
    """The address behind each button that stands out."""
    links = re.findall(r'<a class="button( big)?"[^>]* href="([^"]*)"', page)
    return [unescape(address) for _big, address in links]


class GuestCase(WebCase):
    async def at(
        self, token: str, agent: str = PENGUIN, path: str = "", language: str = "en"
    ) -> str:
        """A page of an invite."""
        headers = {"User-Agent": agent, "Accept-Language": language}
        page = await self.get(f"/invite/{token}{path}", headers=headers)
        self.assertEqual(page.code, 200, page.body)
        return str(page.body)

    async def from_anna(self, **asked: Any) -> str:
        """The token of a new invite of anna's."""
        if not await self.store.list_accounts(DOMAIN):
            await self.account("anna")
        _invite, token = await self.invite(inviter="anna", **asked)
        return token

    async def registered(self, token: str, agent: str = PENGUIN, **headers: str) -> str:
        """The page after an account was made with an invite."""
        person = Person(self, {"User-Agent": agent, **headers})
        await person.open(f"/invite/{token}/register")
        name = f"guest{len(await self.store.list_accounts(DOMAIN))}"
        await person.send(f"/invite/{token}/register", username=name, password=PASSWORD)
        page = await person.open(self.header(person.page, "location"))
        self.assertEqual(page.code, 200, page.body)
        return str(page.body)


class FirstWordsTests(GuestCase):
    async def test_who_invites(self) -> None:
        """The first sentence says who invites, to what and where, in each language."""
        for language, sentence in (
            ("en", "anna invites you to chat at Example Chat"),
            ("de", "anna lädt dich ein, bei Example Chat zu chatten"),
            ("fr", "anna vous invite à discuter sur Example Chat"),
            ("es", "anna te invita a chatear en Example Chat"),
        ):
            for asked in ({}, {"contact": True}, {"uses": 5}):
                token = await self.from_anna(**asked)
                page = await self.at(token, language=language)
                self.assertIn(f"<h1>{sentence}</h1>", page)
                self.assertIn(f"<title>{sentence}</title>", page)

    async def test_own_headline(self) -> None:
        """An operator's headline stands before that sentence, not in its place."""
        texts = self.sites[DOMAIN].texts.model_copy(
            update={"headline": {"en": "Welcome to the club"}}
        )
        self.sites[DOMAIN] = replace(self.sites[DOMAIN], texts=texts)
        page = read(await self.at(await self.from_anna()))
        headline = page.index("Welcome to the club")
        self.assertLess(headline, page.index("anna invites you to chat at Example Chat."))

    async def test_no_address_twice(self) -> None:
        """The inviter's address is read once, whatever the invite is for."""
        for asked in ({}, {"contact": True}, {"contact": True, "registration": False}):
            token = await self.from_anna(**asked)
            for agent in DEVICES.values():
                page = read(await self.at(token, agent))
                self.assertEqual(page.count(f"anna@{DOMAIN}"), 1, page)

    async def test_no_unexplained_word(self) -> None:
        """No page for guests speaks of XMPP."""
        tokens = [await self.from_anna(), await self.from_anna(contact=True)]
        tokens.append(await self.from_anna(contact=True, registration=False))
        for language in languages():
            for agent in DEVICES.values():
                pages = [await self.at(token, agent, "", language) for token in tokens]
                pages.append(await self.at(tokens[0], agent, "/register", language))
                spoken = {"Accept-Language": language}
                new = await self.from_anna(contact=True)
                pages.append(await self.registered(new, agent, **spoken))
                pages += [(await self.get(f"/{one}", headers=spoken)).body for one in ("", "x")]
                for page in pages:
                    self.assertNotIn("XMPP", read(page))
                    self.assertNotIn("Jabber", read(page))

    async def test_without_end(self) -> None:
        """An invite without an end is valid until it is withdrawn, in each language."""
        token = await self.from_anna(expiry=None)
        for language, sentence in (
            ("en", "Valid until it is withdrawn"),
            ("de", "Gültig bis sie zurückgezogen wird"),
            ("fr", "Valable jusqu’à son retrait"),
            ("es", "Válida hasta que se retire"),
        ):
            self.assertIn(sentence, read(await self.at(token, language=language)))


class DeviceTests(GuestCase):
    async def test_one_primary_button(self) -> None:
        """Each device has one button that stands out: to open it, or to create the account."""
        for asked in ({}, {"contact": True}, {"username": "juliet"}):
            token = await self.from_anna(**asked)
            for device, agent in DEVICES.items():
                (address,) = primary(await self.at(token, agent))
                if device in OTHERS:
                    self.assertEqual(address, f"/invite/{token}/register")
                else:
                    self.assertTrue(address.startswith("xmpp:"), (device, address))

    async def test_second_step(self) -> None:
        """Where no listed app opens invitations, step 2 is to create the account."""
        token = await self.from_anna()
        for device, agent in DEVICES.items():
            page = read(await self.at(token, agent))
            second = "2 Create your account" if device in OTHERS else "2 Open the invitation"
            self.assertLess(page.index("1 Get an app"), page.index(second))
            self.assertEqual("Open it in the app" in page, device not in OTHERS)
            self.assertEqual("Or without an app for now" in page, device not in OTHERS)
            # Who has another app that opens it is not kept from it.
            self.assertIn(f'href="xmpp:{DOMAIN}?register', await self.at(token, agent))

    async def test_own_list(self) -> None:
        """The operator's list counts: without Monal, nothing opens it on a Mac."""
        apps = tuple(app for app in self.sites[DOMAIN].apps if app.key != "monal")
        self.sites[DOMAIN] = replace(self.sites[DOMAIN], apps=apps)
        page = read(await self.at(await self.from_anna(), MAC))
        self.assertIn("2 Create your account", page)

    async def test_numbered_steps(self) -> None:
        """What to do after an installation is numbered: install, come back here, press."""
        token = await self.from_anna()
        for language, words in (
            ("en", ("Install the app.", "Come back here", "Press the button")),
            ("de", ("Installiere die App.", "Komm hierher zurück", "Drücke den Knopf")),
            ("fr", ("Installez l’application.", "Revenez ici", "Appuyez sur le bouton")),
            ("es", ("Instala la aplicación.", "Vuelve aquí", "Pulsa el botón")),
        ):
            for agent in OPENING.values():
                page = await self.at(token, agent, language=language)
                steps = re.findall(r"<li>([^<]*)</li>", page.partition('<ol class="way">')[2])
                for step, begin in zip(steps, words, strict=True):
                    self.assertTrue(unescape(step).startswith(begin), step)

    async def test_google_play(self) -> None:
        """On Android, and nowhere else, Google Play spares the way back to the page."""
        for asked in ({}, {"contact": True}, {"contact": True, "registration": False}):
            token = await self.from_anna(**asked)
            for device, agent in DEVICES.items():
                told = BY_ITSELF in read(await self.at(token, agent))
                self.assertEqual(told, device in ("android", "unknown"), device)

    async def test_google_play_of_others(self) -> None:
        """It takes an app in that shop that opens invitations, and no iPhone."""
        token = await self.from_anna()
        play = StoreButton(shop="google-play", url="https://play.google.com/store?id=x")
        app = App(
            key="ours",
            name="Ours",
            text={"": "Ours."},
            platforms=("android", "ios"),
            link="https://example.com/",
            stores=(play,),
            preauth=True,
        )
        for changes, devices in (
            ({}, {"android"}),
            ({"preauth": False}, set()),
            ({"stores": ()}, set()),
        ):
            one = app.model_copy(update=changes)
            self.sites[DOMAIN] = replace(self.sites[DOMAIN], apps=(one,))
            for device in ("android", "ios", "windows"):
                told = BY_ITSELF in read(await self.at(token, DEVICES[device]))
                self.assertEqual(told, device in devices, (changes, device))


class WebsiteOnlyTests(GuestCase):
    def make_domain(self) -> Any:
        return replace(super().make_domain(), website_only=True)

    async def test_one_primary_button(self) -> None:
        """On each device the form is the one button that stands out, and nothing opens apps."""
        for asked in ({}, {"contact": True}):
            token = await self.from_anna(**asked)
            for agent in DEVICES.values():
                page = await self.at(token, agent)
                self.assertEqual(primary(page), [f"/invite/{token}/register"])
                self.assertNotIn(BY_ITSELF, read(page))
                self.assertNotIn("opens invitations", read(page))

    async def test_contact(self) -> None:
        """Who has an account adds anna by an ordinary link; others read what to ask."""
        token = await self.from_anna(contact=True, registration=False)
        for agent in DEVICES.values():
            page = await self.at(token, agent)
            self.assertEqual(primary(page), [f"xmpp:anna@{DOMAIN}?roster"])
            self.assertIn("ask anna for an invitation", read(page))


class ContactTests(GuestCase):
    async def test_no_dead_end(self) -> None:
        """Who has no account reads first that they need one, and what to ask for."""
        token = await self.from_anna(contact=True, registration=False)
        for language, none, ask in (
            (
                "en",
                "You need an account for it: this invitation makes none. If you",
                "ask anna for an invitation with which you also get",
            ),
            (
                "de",
                "Du brauchst dafür ein Konto",
                "bitte anna um eine Einladung, mit der du auch",
            ),
            ("fr", "Il vous faut un compte", "demandez à anna une invitation qui vous donne"),
            ("es", "necesitas una cuenta", "pide a anna una invitación con la que también"),
        ):
            for agent in DEVICES.values():
                body = await self.at(token, agent, language=language)
                page = read(body)
                self.assertLess(page.index(none), page.index(ask))
                self.assertLess(body.index('id="no-account"'), body.index('class="steps"'))
                self.assertNotIn("/register", body)

    async def test_add_by_hand(self) -> None:
        """If nothing opens, the address beside "From" can be added as a contact."""
        token = await self.from_anna(contact=True, registration=False)
        for device, agent in DEVICES.items():
            page = read(await self.at(token, agent))
            self.assertIn("add the address of anna as a contact", page)
            # On Windows and Linux no app that could be installed opens it.
            self.assertEqual("Install the app." in page, device not in OTHERS)


class OpenContactTests(GuestCase):
    policy = Policy(registration_invite_only=False)

    async def test_open_registration(self) -> None:
        """Where anybody may register, the same page leads to the form."""
        token = await self.from_anna(contact=True, registration=False)
        for agent in DEVICES.values():
            page = await self.at(token, agent)
            self.assertIn('href="/register"', page)
            self.assertNotIn("ask anna", read(page))
            self.assertEqual(len(primary(page)), 1)


class ClosedContactTests(GuestCase):
    policy = Policy(allow_registration=False)

    async def test_closed(self) -> None:
        """Where no accounts are made, nobody is sent to ask for one."""
        page = await self.at(await self.from_anna(contact=True, registration=False))
        self.assertIn("You need an account for it", read(page))
        self.assertIn("No new accounts are made here at present.", read(page))
        self.assertNotIn("ask anna", read(page))


class AfterwardsTests(GuestCase):
    async def test_first_contact(self) -> None:
        """After registering one reads who is in one's contacts; nobody is where nobody was."""
        for language, words in (
            ("en", "anna is in your contacts: say hello!"),
            ("de", "anna ist in deinen Kontakten: Sag hallo!"),
            ("fr", "anna est dans vos contacts : dites bonjour !"),
            ("es", "anna está en tus contactos: ¡saluda!"),
        ):
            spoken = {"Accept-Language": language}
            page = await self.registered(await self.from_anna(contact=True), **spoken)
            self.assertIn(words, read(page))
            page = await self.registered(await self.from_anna(), **spoken)
            self.assertNotIn("anna", read(page))

    async def test_contact_told_again(self) -> None:
        """Who comes back to the invitation, after a restart, too, reads the same."""
        token = await self.from_anna(contact=True)
        person = Person(self)
        await person.open(f"/invite/{token}/register")
        await person.send(f"/invite/{token}/register", username="juliet", password=PASSWORD)
        for path in ("", "/register", "/done"):
            page = await person.open(f"/invite/{token}{path}")
            if page.code == 303:
                page = await person.open(self.header(page, "location"))
            self.assertIn("anna is in your contacts", page.body)

    async def test_each_app(self) -> None:
        """Each app of the list has its own way to log in."""
        for device, agent in DEVICES.items():
            page = await self.registered(await self.from_anna(), agent)
            cards = (card.partition("</h3>") for card in page.split("<h3>")[1:])
            ways = {unescape(name): read(f"<main>{card}") for name, _, card in cards}
            for app in self.sites[DOMAIN].apps:
                self.assertIn(app.login["en"], ways[app.name], device)

    async def test_login_link(self) -> None:
        """An app that can be opened to log in is, with the new address."""
        apps = tuple(
            app.model_copy(update={"login_link": "https://x.example/?jid={address}"})
            for app in self.sites[DOMAIN].apps
        )
        self.sites[DOMAIN] = replace(self.sites[DOMAIN], apps=apps)
        page = await self.registered(await self.from_anna())
        self.assertEqual(page.count("https://x.example/?jid=guest1@example.com"), len(apps))

    async def test_other_device(self) -> None:
        """The apps of another device are a choice away, in the browser that registered."""
        token = await self.from_anna()
        self.assertIn(f'href="/invite/{token}/done?platform=ios"', await self.registered(token))

    async def test_used_reset(self) -> None:
        """A link that is over speaks of passwords, too: it may have been one for that."""
        await self.account("juliet")
        _invite, token = await self.issuer.create_reset(DOMAIN, "juliet", OPERATOR)
        person = Person(self)
        await person.open(f"/invite/{token}")
        await person.send(f"/invite/{token}/reset", password="another " + PASSWORD)
        for language, words in (
            ("en", "If you have set a new password with it"),
            ("de", "Wenn du damit ein neues Passwort gesetzt hast"),
            ("fr", "un nouveau mot de passe"),
            ("es", "una contraseña nueva"),
        ):
            gone = await self.get(f"/invite/{token}", headers={"Accept-Language": language})
            self.assertEqual(gone.code, 404)
            self.assertIn(words, read(gone.body))
            self.assertNotIn("invitation is not valid", gone.body)


class DateTests(GuestCase):
    async def test_by_region(self) -> None:
        """Moments are written as in the visitor's region, in the language of the page."""
        token = await self.from_anna()
        await self.account("juliet")
        _invite, reset = await self.issuer.create_reset(DOMAIN, "juliet", OPERATOR)
        for spoken, query, day in (
            ("en", "", "January 8, 2026, 12:00"),
            ("en-US,en;q=0.9", "", "January 8, 2026, 12:00"),
            ("en-GB,en;q=0.9", "", "8 January 2026, 00:00"),
            ("de-DE,de;q=0.9,en-GB;q=0.5", "", "8. Januar 2026, 00:00"),
            ("de-AT", "", "8. Jänner 2026, 00:00"),
            ("de,de-at;q=0.9", "", "8. Jänner 2026, 00:00"),
            ("fr-CA", "", "8 janvier 2026, 00"),
            ("es-MX", "", "8 de enero de 2026"),
            ("de-AT,en-GB;q=0.5", "?lang=en", "8 January 2026, 00:00"),
            ("de-AT", "?lang=fr", "8 janvier 2026, 00:00"),
            ("en-XX,en-*", "", "January 8, 2026, 12:00"),
        ):
            headers = {"Accept-Language": spoken}
            page = await self.get(f"/invite/{token}{query}", headers=headers)
            self.assertIn(day, read(page.body), (spoken, query))
            page = await self.get(f"/invite/{reset}{query}", headers=headers)
            self.assertIn('<time datetime="2026-01-02T00:00:00+00:00">', page.body)
            self.assertIn(day.replace("8", "2", 1).partition(",")[0], read(page.body))


class AcceptedTests(SynchronousTestCase):
    def test_order(self) -> None:
        """The language with the most weight comes first; one of no weight is not wanted."""
        self.assertEqual(accepted("fr;q=0.2, de;q=0, es, en;q=0.7"), ["es", "en", "fr"])
        self.assertEqual(accepted("de;q=0"), [])

    def test_long(self) -> None:
        """A header may be as long as it likes: little of it is read."""
        for header in (",".join(["x" * 5000] * 20), ",".join(["en"] * 5000), "en;" * 5000):
            self.assertLessEqual(sum(map(len, accepted(header))), 1000, header[:9])


class RegionTests(SynchronousTestCase):
    @given(st.lists(st.one_of(st.text(), st.from_regex("(en|de)-[A-Za-z0-9_-]{0,9}"))))
    def test_any_header(self, tags: list[str]) -> None:
        """Whatever a browser says of its languages, a moment can be written."""
        for language in languages():
            region = region_of(language, accepted(",".join(tags)))
            who = Reader(language, "", Visitor(""), region)
            self.assertIn("1970", who.date(MOMENT, UTC))
