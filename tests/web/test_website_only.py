"""Pages of a domain whose apps connect to another server: the browser opens invitations."""

import re
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from invitereg.policy.inviting import OPERATOR
from tests.web.api.case import ApiCase
from tests.web.door import DOMAIN, EXTERNAL, PASSWORD, PHONE, WebCase
from tests.web.person import Person
from tests.web.test_landing import APPLE, PENGUIN

SERVER_ONLY = re.compile(r"xmpp:[^\"' ]*(register|preauth)|xmpp%3A[^\"' ]*(register|preauth)")
"""What an app would take to the server, which knows no tokens."""


class WebsiteOnlyCase(WebCase):
    def make_domain(self) -> Any:
        return replace(super().make_domain(), website_only=True)

    async def page(self, token: str, path: str = "", agent: str = PENGUIN) -> Any:
        """A page of an invite, on which no app is told a token."""
        page = await self.get(f"/invite/{token}{path}", headers={"User-Agent": agent})
        self.assertEqual(page.code, 200, page.body)
        link = self.header(page, "Link")
        self.assertNotRegex(f"{link} {page.body}", SERVER_ONLY)
        return page


class LandingTests(WebsiteOnlyCase):
    async def test_nothing_for_apps(self) -> None:
        """Whatever the kind and the device, link, code and header are of the page itself."""
        await self.account("romeo")
        for asked in ({}, {"username": "juliet"}, {"inviter": "romeo", "contact": True}):
            for agent in (PENGUIN, PHONE, APPLE, "curl/8"):
                if "username" in asked:
                    asked["username"] += "t"
                _invite, token = await self.invite(**asked)
                url = f"{EXTERNAL}invite/{token}"
                for path in ("", "/register"):
                    page = await self.page(token, path, agent)
                    self.assertEqual(self.header(page, "Link"), f'<{url}>; rel="canonical"')

    async def test_form_first(self) -> None:
        """The form is the first step, and to log in with an app the second."""
        _invite, token = await self.invite()
        for agent in (PENGUIN, PHONE):
            page = (await self.page(token, agent=agent)).body
            form = page.index(f'href="/invite/{token}/register"')
            self.assertLess(form, page.index("Log in with an app"))
            self.assertNotIn("Open it in the app", page)
            self.assertNotIn("Or without an app", page)
            self.assertIn("app=conversations", page)

    async def test_referrer(self) -> None:
        """Google Play hands the page's address to an app that it installs."""
        _invite, token = await self.invite()
        page = (await self.page(token, agent=PHONE)).body
        self.assertIn(f"&amp;referrer={quote(f'{EXTERNAL}invite/{token}', safe='')}", page)

    async def test_contact(self) -> None:
        """Who has an account opens the inviter's address in an app, without a token."""
        await self.account("romeo")
        _invite, token = await self.invite(inviter="romeo", contact=True, registration=False)
        page = await self.page(token)
        self.assertIn(f'href="xmpp:romeo@{DOMAIN}?roster"', page.body)
        self.assertIn("asks romeo to accept you", page.body)
        uri = f"xmpp:romeo@{DOMAIN}?roster"
        self.assertEqual(self.header(page, "Link"), f'<{uri}>; rel="alternate"')

    async def test_reset(self) -> None:
        """A new password is set on the site, and nowhere else."""
        await self.account("romeo")
        _invite, token = await self.issuer.create_reset(DOMAIN, "romeo", OPERATOR)
        for path in ("", "/reset"):
            page = await self.page(token, path)
            self.assertNotIn('id="open"', page.body)


class WalkTests(WebsiteOnlyCase):
    async def test_from_invitation_to_login(self) -> None:
        """From the invitation by the form to the way in which the chosen app logs in."""
        _invite, token = await self.invite()
        person = Person(self)
        await person.open(f"/invite/{token}")
        await person.open(f"/invite/{token}/register?app=conversations")
        await person.send(f"/invite/{token}/register", username="juliet", password=PASSWORD)
        done = await person.open(self.header(person.page, "location"))
        self.assertIn("juliet<wbr>@example.com", done.body)
        self.assertIn("Go on with Conversations", done.body)
        self.assertNotRegex(done.body, SERVER_ONLY)


class AnswerTests(ApiCase):
    def make_domain(self) -> Any:
        return replace(super().make_domain(), website_only=True)

    async def test_created(self) -> None:
        """Programs get the page's address, and an empty URI; a contact's has no token."""
        await self.account("romeo")
        await self.account("juliet")
        for body in ({}, {"kind": "account-and-contact", "inviter": "romeo"}):
            made = (await self.call("POST", "/invites", body, status=201)).content
            page = f"{EXTERNAL}invite/{made['token']}"
            self.assertEqual((made["uri"], made["landing_url"]), ("", page))
        made = await self.made(kind="contact", inviter="romeo")
        self.assertEqual(made["uri"], f"xmpp:romeo@{DOMAIN}?roster")
        made = await self.call("POST", "/resets", {"username": "juliet"}, status=201)
        self.assertEqual(made.content["uri"], "")

    async def test_address_of_prosody(self) -> None:
        """What was written for Prosody's API gets the page."""
        made = await self.get(f"/invites_api?key={self.secret}")
        self.assertRegex(self.header(made, "location"), rf"^{EXTERNAL}invite/[A-Za-z0-9]+$")
