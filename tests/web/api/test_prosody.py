"""``/invites_api``, for what was written for Prosody."""

from invitereg.interfaces.apikeys import Scope
from tests.web.api.case import ApiCase
from tests.web.door import DOMAIN, EXTERNAL


class ProsodyTests(ApiCase):
    async def made_invites(self):
        return list(await self.store.list_invites(DOMAIN, self.now()))

    async def test_created(self):
        """A key in the query or in the header makes an invite: 201 and the page's address."""
        bearer = {"Authorization": [f"Bearer {self.secret}"]}
        for method, query, headers in (
            ("GET", f"?key={self.secret}", {}),
            ("POST", f"?key={self.secret}", {}),
            ("GET", "", bearer),
            ("POST", "", bearer),
        ):
            before = len(await self.made_invites())
            response = await self.ask(method, f"/invites_api{query}", headers=headers)
            self.assertEqual((response.code, response.body), (201, ""))
            page = self.header(response, "Location")
            self.assertTrue(page.startswith(f"{EXTERNAL}invite/"))
            invites = await self.made_invites()
            self.assertEqual(len(invites), before + 1)
            self.assertEqual(invites[-1].source, f"api:{self.key.id}")
            grant = await self.registrar.preauthorise(DOMAIN, None, page.rpartition("/")[2])
            self.assertEqual(grant.invite.id, invites[-1].id)

    async def test_redirect(self):
        """A browser is sent on to the page at once."""
        response = await self.get(f"/invites_api?key={self.secret}&redirect=true")
        self.assertEqual(response.code, 303)
        self.assertTrue(self.header(response, "Location").startswith(f"{EXTERNAL}invite/"))
        self.assertEqual(self.header(response, "Cache-Control"), "no-store, no-transform")

    async def test_refused(self):
        """Without a good key, and by a method that only looks, nothing is made."""
        for method, query, status in (
            ("GET", "", 401),
            ("GET", "?key=wrong", 401),
            ("GET", f"?key={self.secret}&key=x", 422),
            ("GET", f"?key={self.secret}&redirct=true", 422),
            ("HEAD", f"?key={self.secret}", 405),
            ("DELETE", f"?key={self.secret}", 405),
            ("GET", f"/x?key={self.secret}", 404),
        ):
            response = await self.ask(method, f"/invites_api{query}")
            self.assertEqual(response.code, status, (method, query))
            if status == 405:
                self.assertEqual(self.header(response, "Allow"), "GET, POST")
        self.assertEqual(self.header(response, "Content-Type"), "application/problem+json")
        other = self.make_key(Scope.INVITES_READ)
        self.assertEqual((await self.get(f"/invites_api?key={other}")).code, 403)
        self.assertEqual(await self.made_invites(), [])
