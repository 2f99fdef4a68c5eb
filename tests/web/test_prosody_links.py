"""Links to the page of Prosody's mod_invites_page, ``/invites_page?TOKEN``, which were sent."""

from typing import Any
from urllib.parse import urlsplit

from invitereg.policy.values import Domain
from invitereg.web.settings import SiteSettings
from tests.web.door import DOMAIN, EXTERNAL, WebCase

TOKEN = "FSC-3Pq_Q1OmR6WpGaVPTggR"


class ProsodyLinkTests(WebCase):
    async def test_followed(self) -> None:
        """Who opens an old link, or an app that resolves one, is sent on to the invitation."""
        _invite, token = await self.invite()
        for method in ("GET", "HEAD"):
            moved = await self.ask(method, f"/invites_page?{token}")
            self.assertEqual(moved.code, 302)
            where = self.header(moved, "location") or ""
            self.assertEqual(where, f"{EXTERNAL}invite/{token}")
            self.assertEqual(self.header(moved, "access-control-allow-origin"), "*")
            self.assertEqual(self.header(moved, "cache-control"), "no-store, no-transform")
            page = await self.ask(method, urlsplit(where).path)
            self.assertEqual(page.code, 200)
            self.assertIn(token, self.header(page, "link") or "")

    async def test_queries(self) -> None:
        """The token is found beside what messengers and proxies add to links."""
        for query, expected in (
            (TOKEN, TOKEN),
            (f"{TOKEN}=", TOKEN),
            (f"token={TOKEN}", TOKEN),
            (f"{TOKEN}&utm_source=mail&fbclid=x", TOKEN),
            (f"fbclid=x&{TOKEN}", TOKEN),
            ("%46SC-3Pq", "FSC-3Pq"),
            (f"{TOKEN}&lang=de", f"{TOKEN}?lang=de"),
        ):
            moved = await self.get(f"/invites_page?{query}")
            self.assertEqual(self.header(moved, "location"), f"{EXTERNAL}invite/{expected}")

    async def test_no_token(self) -> None:
        """A link that was cut off, or means another place, leads to no invitation."""
        for query in ("", "..", "a/b", "//evil.example", "a%0d%0ab", "x=y", "=", "%ff"):
            page = await self.get(f"/invites_page?{query}")
            self.assertEqual((page.code, self.header(page, "location")), (404, None), query)
            self.assertIn("not valid", page.body)

    async def test_nothing_is_looked_up(self) -> None:
        """The redirect does not tell which tokens there are: the page does, by its rules."""
        moved = await self.get(f"/invites_page?{TOKEN}")
        self.assertEqual(moved.code, 302)


class PathTests(WebCase):
    """The site is below a path of another host than Prosody's page was."""

    def make_site(self) -> SiteSettings:
        return SiteSettings(domain=DOMAIN, external_url="https://www.example.com/chat/")

    async def test_paths(self) -> None:
        """Old links are at the root; they are answered there and below the site's path."""
        for path in ("/invites_page", "/chat/invites_page"):
            moved = await self.get(f"{path}?{TOKEN}", headers={"Host": f"{DOMAIN}:5281"})
            where = f"https://www.example.com/chat/invite/{TOKEN}"
            self.assertEqual(self.header(moved, "location"), where)


class SeveralTests(WebCase):
    """Two domains, each with Prosody's page at its own name."""

    def setUp(self) -> None:
        super().setUp()
        self.domains["example.org"] = Domain(name="example.org", site_name="Other")
        url = "https://chat.example.com/org/"
        self.sites["example.org"] = SiteSettings(domain="example.org", external_url=url)

    async def at(self, host: str) -> Any:
        answer = await self.get(f"/invites_page?{TOKEN}", headers={"Host": host})
        return self.header(answer, "location")

    async def test_by_domain(self) -> None:
        """The domain in the link says whose page it was, with any port."""
        for host, url in (
            ("example.com", EXTERNAL),
            ("example.org:5281", f"{EXTERNAL}org/"),
            ("EXAMPLE.org", f"{EXTERNAL}org/"),
        ):
            self.assertEqual(await self.at(host), f"{url}invite/{TOKEN}")
        self.assertIsNone(await self.at("example.net"))

    async def test_international(self) -> None:
        """A domain with its own letters is asked for as browsers do, in A-labels."""
        name, url = "m\u00fcnchen.example", f"{EXTERNAL}m/"
        self.domains[name] = Domain(name=name)
        self.sites[name] = SiteSettings(domain=name, external_url=url)
        for host in ("xn--mnchen-3ya.example", "XN--MNCHEN-3YA.example:5281"):
            self.assertEqual(await self.at(host), f"{url}invite/{TOKEN}")
