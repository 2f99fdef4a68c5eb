"""The page of an invitation, as a browser without scripts gets it."""

import gc
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote
from weakref import ref
from zoneinfo import ZoneInfo

from invitereg.config.web import AppChoice
from invitereg.model.invites import Invite, Kind
from invitereg.policy.inviting import OPERATOR
from invitereg.policy.values import Domain, Policy
from invitereg.web.invitation import InvitationView, KeptPages
from tests.spying import note_calls
from tests.web.door import DOMAIN, EXTERNAL, PHONE, WebCase

APPLE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile/15E148 Safari/604.1"
PENGUIN = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"


class LandingCase(WebCase):
    async def landing(self, agent: str = PENGUIN, **asked: Any) -> tuple[str, str]:
        """The page of a new invite for some device, and its token."""
        _invite, token = await self.invite(**asked)
        page = await self.get(f"/invite/{token}", headers={"User-Agent": agent})
        self.assertEqual(page.code, 200, page.body)
        return page.body, token


class KindTests(LandingCase):
    async def test_account(self) -> None:
        """It says to what one is invited, until when, and that it is for one person."""
        page, token = await self.landing()
        for text in (
            "You are invited to chat at Example Chat",
            "@example.com",
            "January 8, 2026",
            "one person: you",
            f'href="xmpp:example.com?register;preauth={token}"',
            f"/invite/{token}/register",
            "You only choose a name and a password.",
        ):
            self.assertIn(text, page)
        self.assertNotIn("From", page)

    async def test_fixed_name(self) -> None:
        """A name that the invite fixes is in the address, and in the link for apps."""
        page, token = await self.landing(username="juliet")
        self.assertIn("juliet@example.com", page)
        self.assertIn(f"xmpp:juliet@example.com?register;preauth={token}", page)
        self.assertIn("You only choose a password.", page)
        self.assertNotIn("name and a password", page)

    async def test_contact(self) -> None:
        """Who gets an account and a contact reads who that will be."""
        await self.account("romeo")
        page, token = await self.landing(inviter="romeo", contact=True)
        self.assertIn("romeo will be your first contact.", page)
        self.assertIn(f"xmpp:romeo@example.com?roster;preauth={token};ibr=y", page)

    async def test_contact_only(self) -> None:
        """An invite that makes contacts offers only apps that open it, and no account."""
        await self.account("romeo")
        asked = {"inviter": "romeo", "contact": True, "registration": False}
        page, token = await self.landing(**asked)
        self.assertIn("romeo would like to chat with you", page)
        self.assertIn(f'href="xmpp:romeo@example.com?roster;preauth={token}"', page)
        for text in ("register", "Gajim", "Your address will be"):
            self.assertNotIn(text, page)
        form = await self.get(f"/invite/{token}/register")
        self.assertEqual(form.code, 404)

    async def test_reset(self) -> None:
        """A reset asks for the new password at once."""
        await self.account("juliet")
        _invite, token = await self.issuer.create_reset(DOMAIN, "juliet", OPERATOR)
        for path in ("", "/reset", "/register"):
            page = await self.get(f"/invite/{token}{path}")
            self.assertEqual(page.code, 200)
            self.assertIn("Set a new password for Example Chat", page.body)
            self.assertIn("juliet@example.com", page.body)
            self.assertIn(f"xmpp:juliet@example.com?register;preauth={token}", page.body)

    async def test_several_uses(self) -> None:
        """It says for how many it is still good, or that anybody may use it, or for ever."""
        page, _token = await self.landing(uses=30)
        self.assertIn("30 more people", page)
        page, _token = await self.landing(uses=None, expiry=None)
        self.assertIn("everybody who has the link", page)
        self.assertIn("it is withdrawn", page)


class LinkTests(LandingCase):
    async def test_link_header(self) -> None:
        """Contract point 21: the xmpp: URI is the first link, on GET and HEAD."""
        _invite, token = await self.invite()
        for method in ("GET", "HEAD"):
            for path in ("", "/register"):
                answer = await self.ask(method, f"/invite/{token}{path}")
                links = answer.headers.getRawHeaders("link")
                self.assertEqual(len(links), 1)
                uri = f"xmpp:example.com?register;preauth={token}"
                self.assertTrue(links[0].startswith(f"<{uri}>"), links)
                self.assertEqual(answer.code, 200)
                self.assertEqual(bool(answer.body), method == "GET")
                if method == "GET":
                    self.assertEqual(answer.length, len(answer.body.encode()))

    async def test_scripts_of_others(self) -> None:
        """A web app of another site reads the link of an invitation, and of no other page."""
        _invite, token = await self.invite()
        for path in (f"/invite/{token}", "/invite/nosuch"):
            for method in ("GET", "HEAD"):
                answer = await self.ask(method, path, headers={"Origin": "https://x.example"})
                self.assertEqual(self.header(answer, "access-control-allow-origin"), "*")
                self.assertEqual(self.header(answer, "access-control-expose-headers"), "Link")
                self.assertIsNone(self.header(answer, "access-control-allow-credentials"))
        for path in ("/", f"/invite/{token}/register", f"/invite/{token}/done", "/nosuch"):
            answer = await self.get(path, headers={"Origin": "https://x.example"})
            self.assertIsNone(self.header(answer, "access-control-allow-origin"), path)

    async def test_moment(self) -> None:
        """The end of an invitation is written as HTML allows it, in whole seconds."""
        self.clock.advance(0.123456)
        page, _token = await self.landing()
        self.assertIn('<time datetime="2026-01-08T00:00:00+00:00">', page)

    async def test_time_zone(self) -> None:
        """Without a script, its end is told in the domain's time zone, which is named."""
        zone = ZoneInfo("Asia/Tokyo")
        self.domains[DOMAIN] = replace(self.domains[DOMAIN], time_zone=zone)
        _invite, token = await self.invite()
        for language, shown in (("de", "8. Januar 2026, 09:00 JST"), ("fr", "8 janvier 2026")):
            page = await self.get(f"/invite/{token}?lang={language}")
            self.assertIn(f'<time datetime="2026-01-08T00:00:00+00:00">{shown}', page.body)

    async def test_play_referrer(self) -> None:
        """Google Play is told the whole URI, percent-encoded, and hands it to the app."""
        page, token = await self.landing(PHONE)
        uri = quote(f"xmpp:example.com?register;preauth={token}", safe="")
        place = "https://play.google.com/store/apps/details?id=eu.siacs.conversations"
        self.assertIn(f"{place}&amp;referrer={uri}", page)

    async def test_qr_code(self) -> None:
        """A desktop shows a code for the phone's camera; a phone, which has none, does not."""
        page, _token = await self.landing(PENGUIN)
        self.assertIn("<svg", page)
        page, _token = await self.landing("curl/8")
        self.assertIn("<svg", page)
        page, _token = await self.landing(PHONE)
        self.assertNotIn("<svg", page)

    async def test_nothing_from_elsewhere(self) -> None:
        """No byte is loaded from another host, and nothing runs or is styled inline."""
        page, _token = await self.landing()
        for loading in (' src="', '<link rel="stylesheet" href="', '<link rel="icon" href="'):
            for after in page.split(loading)[1:]:
                self.assertTrue(after.startswith("/static/"), after[:60])
        for inline in ("<style", " style=", "javascript:", " onclick="):
            self.assertNotIn(inline, page)


class AppTests(LandingCase):
    async def test_platforms(self) -> None:
        """The apps of the visitor's device come first, the others are in a details element."""
        for agent, first, later in (
            (PHONE, ("Conversations", "Cheogram"), "Monal"),
            (APPLE, ("Monal", "Siskin IM"), "Conversations"),
            (PENGUIN, ("Gajim", "Dino", "Kaidan"), "Monal"),
        ):
            page, _token = await self.landing(agent)
            shown, _, others = page.partition("<details>")
            for name in first:
                self.assertIn(f"<h3>{name}</h3>", shown)
                self.assertNotIn(f"<h3>{name}</h3>", others)
            self.assertIn(f"<h3>{later}</h3>", others)

    async def test_unknown_platform(self) -> None:
        """Who cannot be told sees all apps."""
        page, _token = await self.landing("Lynx/2.9")
        self.assertNotIn("<details", page)
        self.assertEqual(page.count("<h3>"), 10)
        self.assertIn("App Store (Mac)", page)

    async def test_chosen_platform(self) -> None:
        """The visitor may say which device they mean."""
        _invite, token = await self.invite()
        page = await self.get(f"/invite/{token}?platform=ios", headers={"User-Agent": PHONE})
        shown, _, _others = page.body.partition("<details>")
        self.assertIn("<h3>Monal</h3>", shown)
        self.assertIn(f"/invite/{token}/register?platform=ios", page.body)

    async def test_way_for_other_apps(self) -> None:
        """An app that opens no invitations is offered with an account made here first."""
        page, token = await self.landing(PENGUIN)
        self.assertIn(f"/invite/{token}/register?app=gajim", page)
        self.assertNotIn("register?app=conversations", page)

    async def test_every_app(self) -> None:
        """Each app of the list has a logo of ours, a text and a hint in each language."""
        for app in AppChoice().chosen():
            self.assertEqual(set(app.text), {"en", "de", "fr", "es"}, app.key)
            self.assertEqual(set(app.login), {"en", "de", "fr", "es"}, app.key)
            logo = await self.get(f"/static/apps/{app.logo}")
            self.assertEqual(
                (logo.code, self.header(logo, "content-type")), (200, "image/svg+xml")
            )


class OverTests(LandingCase):
    async def tokens(self) -> dict[str, str]:
        """A token of each sort that is not valid."""
        made = {}
        for sort in ("used", "revoked", "expired"):
            expiry = timedelta(hours=1) if sort == "expired" else None
            invite, made[sort] = await self.invite(expiry=expiry)
            if sort == "revoked":
                await self.issuer.revoke(DOMAIN, invite.id, OPERATOR)
            if sort == "used":
                await self.redeem("juliet", made[sort])
        self.clock.advance(3600)
        return made | {"unknown": "x" * 24, "no token": "%3Cb%3E", "long": "y" * 5000}

    async def test_same_page(self) -> None:
        """Used, revoked, expired and unknown: 404, with the same bytes and headers."""
        tokens = await self.tokens()
        for path in ("", "/register", "/reset", "/done"):
            seen = set()
            for sort, token in tokens.items():
                answer = await self.get(f"/invite/{token}{path}")
                self.assertEqual(answer.code, 404, sort)
                headers = dict(answer.headers.getAllRawHeaders())
                headers.pop(b"Date")
                seen.add((answer.body, str(sorted(headers.items()))))
            self.assertEqual(len(seen), 1, seen)
            self.clock.advance(3600)  # or else it would be too many guesses

    async def test_same_work(self) -> None:
        """The store is asked as often for a token that is over as for an unknown one."""
        tokens = await self.tokens()
        asked: dict[str, list[str]] = {}
        for sort in ("used", "revoked", "expired", "unknown"):
            asked[sort] = note_calls(self, self.store, "look_up", "hit")
            await self.get(f"/invite/{tokens[sort]}")
        self.assertEqual(asked["unknown"], ["look_up", "hit"])
        self.assertEqual(len({tuple(calls) for calls in asked.values()}), 1, asked)

    async def test_same_work_past_the_limit(self) -> None:
        """So it is while somebody guesses, and nothing is written any more."""
        tokens = await self.tokens()
        for number in range(10):
            await self.get(f"/invite/{number}")
        for sort in ("used", "revoked", "expired", "unknown"):
            asked = note_calls(self, self.store, "look_up", "hit")
            await self.get(f"/invite/{tokens[sort]}")
            self.assertEqual(asked, ["look_up"], sort)

    async def test_looking_is_free(self) -> None:
        """Previews, reloads and coming back never use an invitation up."""
        _invite, token = await self.invite()
        for _time in range(20):
            for method in ("GET", "HEAD"):
                for path in ("", "/register"):
                    answer = await self.ask(method, f"/invite/{token}{path}")
                    self.assertEqual(answer.code, 200)
        await self.redeem("juliet", token)

    async def test_guessing(self) -> None:
        """Who guesses tokens is told to wait; a good one opens its page all the same."""
        tokens = await self.tokens()
        for number in range(10):
            self.assertEqual((await self.get(f"/invite/{number}")).code, 404)
        refused = set()
        for sort in ("unknown", "used", "revoked", "expired"):
            answer = await self.get(f"/invite/{tokens[sort]}")
            self.assertEqual((answer.code, answer.phrase), (429, b"Too Many Requests"), sort)
            self.assertEqual(self.header(answer, "retry-after"), "600")
            self.assertIn("too often", answer.body)
            refused.add(answer.body)
        self.assertEqual(len(refused), 1)
        _invite, token = await self.invite()
        for path in ("", "/register"):
            self.assertEqual((await self.get(f"/invite/{token}{path}")).code, 200)
        self.clock.advance(600)
        self.assertEqual((await self.get("/invite/nosuch")).code, 404)

    async def test_embedded(self) -> None:
        """Pictures and frames on anybody's page make nobody guess, and see no invitation."""
        _invite, token = await self.invite()
        asked = note_calls(self, self.store, "look_up", "hit")
        for headers in (
            {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
            {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"},
            {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "empty"},
            {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
            {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "object"},
            {"Sec-Fetch-Mode": "websocket", "Sec-Fetch-Dest": "websocket"},
            {"Sec-Fetch-Mode": "navigate", "Sec-Purpose": "prefetch;prerender"},
        ):
            seen = set()
            for name in (token, "nosuch"):
                for path in ("", "/register", "/reset"):
                    for method in ("GET", "HEAD", "POST"):
                        where = f"/invite/{name}{path}"
                        answer = await self.ask(method, where, headers=headers)
                        if (method, path) != ("POST", ""):
                            seen.add((answer.code, answer.body))
            self.assertEqual({code for code, _body in seen}, {403}, headers)
            self.assertEqual(len(seen), 2, headers)  # HEAD has no body
        self.assertEqual(asked, [])

    async def test_opened(self) -> None:
        """Who opens a link is shown its page: in a browser, by an app, by a web app."""
        _invite, token = await self.invite()
        for headers in (
            {},
            {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
            {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
            {"Sec-Fetch-Mode": "same-origin"},
            {"Sec-Fetch-Mode": "nonsense", "Sec-Fetch-Site": "cross-site"},
        ):
            for path in ("", "/register"):
                answer = await self.get(f"/invite/{token}{path}", headers=headers)
                self.assertEqual(answer.code, 200, headers)

    async def test_scripts(self) -> None:
        """Scripts that guess are stopped by themselves: people and valid links are not."""
        _invite, token = await self.invite()
        by_script = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "cross-site"}
        for number in range(15):
            path = ("", "/register", "/reset")[number % 3]
            answer = await self.get(f"/invite/{number}{path}", headers=by_script)
            self.assertEqual(answer.code, 404 if number < 10 else 429)
        self.assertEqual((await self.get(f"/invite/{token}", headers=by_script)).code, 200)
        self.assertEqual((await self.get("/invite/nosuch")).code, 404)
        self.assertEqual((await self.get(f"/invite/{token}")).code, 200)

    async def test_over_is_no_guess(self) -> None:
        """To open an old link again and again is not to guess."""
        token = (await self.tokens())["used"]
        for _time in range(30):
            self.assertEqual((await self.get(f"/invite/{token}")).code, 404)


class KeptTests(LandingCase):
    async def test_as_if_made_anew(self) -> None:
        """A page that is kept for others is what it would be if it were made for this one."""
        await self.account("romeo")
        await self.account("nurse")
        for name, asked in enumerate(
            (
                {},
                {"inviter": "romeo", "contact": True},
                {"inviter": "nurse", "contact": True},
                {"inviter": "romeo", "contact": True, "registration": False},
                {"uses": 3},
                {"uses": 4},
                {"uses": None, "expiry": None},
                {"username": "juliet"},
                {"username": "mercutio", "expiry": timedelta(days=3)},
            )
        ):
            for agent in (PHONE, PENGUIN):
                one = {**asked}
                if "username" in one:
                    one["username"] += f"{name}{len(agent)}"
                _page, other = await self.landing(agent, **{**one, "username": None})
                page, token = await self.landing(agent, **one)
                site = self.sites[DOMAIN]
                self.sites[DOMAIN] = replace(site)  # for which nothing is kept
                anew = await self.get(f"/invite/{token}", headers={"User-Agent": agent})
                self.assertEqual(page, anew.body)
                self.assertNotIn(other, page)
                self.assertNotIn("GAP", page)
                self.sites[DOMAIN] = site

    async def test_reloads(self) -> None:
        """After a reload nothing is kept of what the site was before."""
        gone = []
        for _reload in range(5):
            await self.landing()
            gone.append(ref(self.sites[DOMAIN]))
            self.sites[DOMAIN] = replace(self.sites[DOMAIN])
        gc.collect()
        self.assertEqual([site() for site in gone], [None] * 5)

    def test_bounded(self) -> None:
        """However many pages differ, so many are kept, of all sites together."""
        kept, sites = KeptPages(), [self.make_site() for _ in range(3)]
        invite = Invite(
            id="x",
            domain=DOMAIN,
            kind=Kind.ACCOUNT,
            source="cli",
            created_at=self.now(),
            expires_at=None,
        )
        opened = InvitationView.at(sites[0], self.make_domain(), invite, "token", str)
        for number in range(1600):
            kept.page(sites[number % 3], number, opened, lambda _opened: "page")
            self.assertLessEqual(len(kept), 500)
        self.assertGreater(len(kept), 0)


class LanguageTests(LandingCase):
    async def title(self, query: str = "", accept: str = "") -> str:
        _invite, token = await self.invite()
        page = await self.get(f"/invite/{token}{query}", headers={"Accept-Language": accept})
        language = self.header(page, "content-language")
        self.assertIn(f'<html lang="{language}" dir="ltr">', page.body)
        return page.body.partition("<h1>")[2].partition("</h1>")[0]

    async def test_accepted(self) -> None:
        """The browser's languages count, by their weight; English otherwise."""
        for accept, title in (
            ("de-AT,de;q=0.9,en;q=0.8", "Du bist eingeladen, bei Example Chat zu chatten"),
            ("tlh,fr;q=0.5,es;q=0.9", "Tienes una invitación para chatear en Example Chat"),
            ("fr-CA", "Vous avez une invitation à discuter sur Example Chat"),
            ("tlh", "You are invited to chat at Example Chat"),
            (";;q=x,,=;q=0", "You are invited to chat at Example Chat"),
        ):
            self.assertEqual(await self.title(accept=accept), title, accept)

    async def test_chosen(self) -> None:
        """The visitor may choose another language, and stays with it."""
        self.assertEqual(
            await self.title("?lang=de", "fr"),
            "Du bist eingeladen, bei Example Chat zu chatten",
        )
        self.assertEqual(
            await self.title("?lang=../x", "en"), "You are invited to chat at Example Chat"
        )


class ClosedTests(LandingCase):
    policy = Policy(allow_registration=False)

    async def test_closed(self) -> None:
        """No accounts are made: then that is said; contacts and resets still work."""
        await self.account("romeo")
        _invite, token = await self.invite()
        page = await self.get(f"/invite/{token}")
        self.assertEqual(page.code, 403)
        self.assertIn("No new accounts", page.body)
        await self.landing(inviter="romeo", contact=True, registration=False)


class ClosedHomeTests(WebCase):
    policy = Policy(allow_registration=False, registration_invite_only=False)

    async def test_home(self) -> None:
        """Nobody is led to a form that would be refused; who finds it reads why."""
        page = await self.get("/")
        self.assertIn("No new accounts are made here at present.", page.body)
        self.assertNotIn("/register", page.body)
        form = await self.get("/register")
        self.assertEqual(form.code, 403)
        self.assertIn("No new accounts are made here at present.", form.body)


class HomeTests(WebCase):
    async def test_by_invitation(self) -> None:
        """Who comes without an invitation reads where they come from."""
        page = await self.get("/")
        self.assertEqual(page.code, 200)
        self.assertIn("New people come by invitation", page.body)
        self.assertNotIn("/register", page.body)

    async def test_robots(self) -> None:
        """Search engines stay away."""
        page = await self.get("/robots.txt")
        self.assertEqual(page.body, "User-agent: *\nDisallow: /\n")

    async def test_landing_url(self) -> None:
        """The page lies where the operator's commands say."""
        landing_url: str | None = Domain(name=DOMAIN).landing_url
        self.assertIsNone(landing_url)
        self.assertEqual(self.domains[DOMAIN].landing_url, f"{EXTERNAL}invite/")
