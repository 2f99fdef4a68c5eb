"""Who may use the API: keys, scopes, domains and rates."""

from datetime import timedelta

from invitereg.interfaces.apikeys import Scope
from invitereg.model.invites import token_digest
from invitereg.policy.values import Domain, Limit
from invitereg.testing import START
from tests.web.api.case import ApiCase
from tests.web.door import DOMAIN

OTHER = "example.org"


class KeyTests(ApiCase):
    async def unauthorized(self, code, headers=None, path="/invites"):
        refused = await self.call("GET", path, status=401, headers=headers or {})
        self.assertProblem(refused, code)
        self.assertTrue(self.header(refused, "WWW-Authenticate").startswith("Bearer realm="))

    async def test_none(self):
        """Without a key there is nothing but the way to show one."""
        self.secret = None
        await self.unauthorized("no-key")
        await self.unauthorized("no-key", path="/invites/x")
        for path in ("/invites", "/resets", "/previews", "/registrations"):
            self.assertProblem(await self.call("POST", path, {}, status=401), "no-key")

    async def test_malformed(self):
        """A header that says something else is no key."""
        secret = self.secret
        for values in (["Basic eDp5"], ["Bearer"], [""], [secret], [f"Bearer {secret}"] * 2):
            refused = await self.call(
                "GET", "/invites", status=401, headers={"Authorization": values}
            )
            self.assertIn(refused.content["code"], ("no-key", "invalid-key"))

    async def test_scheme(self):
        """The scheme's name is read in upper and lower case (RFC 9110 §11.1)."""
        headers = {"Authorization": [f"bearer  {self.secret}"]}
        await self.call("GET", "/invites", status=200, headers=headers)

    async def test_wrong(self):
        """Unknown, revoked and expired keys are alike."""
        bodies = set()
        brief = self.make_key(lifetime=timedelta(hours=1))
        revoked = self.make_key()
        await self.store.revoke_key(self.key.id, self.now())
        self.clock.advance(3600)
        for secret in ("A" * 24, "A", "A" * 3000, brief, revoked, self.key.id):
            self.secret = secret
            refused = await self.call("GET", "/invites", status=401)
            self.assertProblem(refused, "invalid-key")
            bodies.add(refused.body)
        self.assertEqual(len(bodies), 1)

    async def test_revoked(self):
        """A key that is in use ends within half a second of its revocation."""
        await self.call("GET", "/invites", status=200)
        await self.store.revoke_key(self.key.id, self.now())
        self.clock.advance(0.5)
        await self.unauthorized("invalid-key", {"Authorization": [f"Bearer {self.secret}"]})

    async def test_revoked_and_clock_set(self):
        """A revoked key ends as soon when the clock is set back or ahead meanwhile."""
        for hours in (-1, 1, -24 * 365):
            self.secret = self.make_key()
            await self.call("GET", "/invites", status=200)
            await self.store.revoke_key(self.key.id, self.now())
            self.set_by += timedelta(hours=hours)
            self.clock.advance(0.5)
            headers = {"Authorization": [f"Bearer {self.secret}"]}
            await self.unauthorized("invalid-key", headers)

    async def test_expires_in_use(self):
        """A key that expires ends at once."""
        self.secret = self.make_key(lifetime=timedelta(seconds=0.1))
        await self.call("GET", "/invites", status=200)
        self.clock.advance(0.1)
        await self.unauthorized("invalid-key", {"Authorization": [f"Bearer {self.secret}"]})

    async def test_scopes(self):
        """A key opens what it is for, and nothing else."""
        made = await self.made()
        one = f"/invites/{made['id']}"
        calls = (
            (Scope.INVITES_CREATE, "POST", "/invites", {}),
            (Scope.INVITES_READ, "GET", "/invites", None),
            (Scope.INVITES_READ, "GET", one, None),
            (Scope.INVITES_EDIT, "PATCH", one, {"note": "x"}),
            (Scope.INVITES_EDIT, "POST", f"{one}/renew", None),
            (Scope.RESETS_CREATE, "POST", "/resets", {"username": "nobody"}),
            (Scope.REGISTRATIONS_CREATE, "POST", "/previews", {"token": "x"}),
            (
                Scope.REGISTRATIONS_CREATE,
                "POST",
                "/registrations",
                {"username": "x", "password": "wherefore", "token": "x"},
            ),
            (Scope.INVITES_EDIT, "POST", f"{one}/revoke", None),
        )
        for has in Scope:
            self.secret = self.make_key(has)
            for needs, method, path, body in calls:
                if needs == has:
                    response = await self.call(method, path, body)
                    self.assertNotIn(response.code, (401, 403), (has, path))
                    continue
                refused = await self.call(method, path, body, status=403)
                self.assertProblem(refused, "missing-scope", needs)
                challenge = self.header(refused, "WWW-Authenticate")
                self.assertIn(f'error="insufficient_scope", scope="{needs}"', challenge)

    async def test_stored_as_digest(self):
        """What the store knows of a key opens nothing."""
        self.secret = token_digest(self.secret).hex()[:24]
        await self.unauthorized("invalid-key")


class RateTests(ApiCase):
    rate = Limit(max=3, period=timedelta(seconds=60))

    async def test_rate(self):
        """A key may do so much at once; then it is told when to come again."""
        for _ in range(3):
            await self.call("GET", "/invites", status=200)
        refused = await self.call("GET", "/invites", status=429)
        self.assertProblem(refused, "throttled")
        wait = int(self.header(refused, "Retry-After"))
        self.assertLessEqual(wait, 21)
        self.clock.advance(wait)
        await self.call("GET", "/invites", status=200)
        await self.call("GET", "/invites", status=429)

    async def test_each(self):
        """Other keys, and who has none, are no matter."""
        for _ in range(4):
            await self.call("GET", "/invites")
        self.secret = "A" * 24
        for _ in range(4):
            await self.call("GET", "/invites", status=401)
        self.secret = self.make_key()
        await self.call("GET", "/invites", status=200)


class DomainTests(ApiCase):
    """Two domains are served."""

    def make_door(self):
        self.domains[OTHER] = Domain(name=OTHER, landing_url="https://chat.example.org/invite/")
        return super().make_door()

    async def test_said(self):
        """Which domain it is about must be said where there are several."""
        refused = await self.call("POST", "/invites", {}, status=422)
        self.assertProblem(
            refused, "invalid-request", f"domain: say for which domain: {DOMAIN}"
        )
        await self.call("GET", "/invites", status=422)
        made = await self.made(domain=OTHER)
        self.assertEqual(made["domain"], OTHER)
        self.assertEqual(await self.ids(f"?domain={OTHER}"), [made["id"]])
        self.assertEqual(await self.ids(f"?domain={DOMAIN}"), [])
        await self.call("GET", f"/invites/{made['id']}?domain={DOMAIN}", status=404)
        await self.call("GET", f"/invites/{made['id']}?domain={OTHER}", status=200)

    async def test_spelled(self):
        """An internationalised domain may be said in A-labels, and is told in U-labels."""
        name, spelling = "m\u00fcnchen.example", "XN--mnchen-3ya.example"
        self.domains[name] = Domain(name=name, landing_url="https://chat.example.org/invite/")
        made = await self.made(domain=spelling)
        self.assertEqual(made["domain"], name)
        self.assertTrue(made["uri"].startswith("xmpp:m%C3%BCnchen.example?register;preauth="))
        self.assertEqual(await self.ids(f"?domain={spelling}"), [made["id"]])
        body = {"token": made["token"], "domain": spelling}
        shown = await self.call("POST", "/previews", body, status=200)
        self.assertEqual(shown.content["domain"], name)

    async def test_bound(self):
        """A key for one domain is for no other, and needs not say which."""
        theirs = await self.made(domain=DOMAIN)
        self.secret = self.make_key(domain=OTHER)
        made = await self.made()
        self.assertEqual(made["domain"], OTHER)
        self.assertEqual(await self.ids(), [made["id"]])
        refused = await self.call("POST", "/invites", {"domain": DOMAIN}, status=403)
        self.assertProblem(refused, "other-domain", OTHER)
        await self.call("POST", f"/invites/{theirs['id']}/revoke", status=404)
        await self.call("POST", f"/invites/{theirs['id']}/revoke?domain={DOMAIN}", status=403)
        invite = await self.store.get_invite(DOMAIN, theirs["id"])
        self.assertIsNone(invite.revoked_at)
        self.assertEqual(self.now(), START)
