"""Portals, which ask for name and password themselves."""

from datetime import timedelta

from invitereg.policy.values import Limit, Limits, Policy
from tests.web.api.case import ApiCase
from tests.web.door import DOMAIN, PASSWORD


class RegisterTests(ApiCase):
    policy = Policy(
        fields={"email": True, "nick": False},
        limits=Limits(token_guesses=Limit(max=2, period=timedelta(minutes=10))),
    )

    async def register(self, token=None, username="juliet", status=None, **more):
        body = {"username": username, "password": PASSWORD, "fields": {"email": "a@b"}}
        if token is not None:
            body["token"] = token
        return await self.call("POST", "/registrations", body | more, status=status)

    async def preview(self, token, status=None, **more):
        return await self.call("POST", "/previews", {"token": token, **more}, status=status)

    async def accounts_made(self):
        accounts = await self.store.list_accounts(DOMAIN)
        return [account.username for account in accounts]

    async def test_preview(self):
        """A portal learns what to ask for; that uses nothing up."""
        made = await self.made(username="nurse")
        for _ in range(2):
            seen = (await self.preview(made["token"], status=200)).content
        self.assertEqual(
            seen,
            {
                "kind": "account",
                "domain": DOMAIN,
                "site_name": "Example Chat",
                "inviter": None,
                "username": "nurse",
                "expires_at": made["expires_at"],
                "uses_allowed": 1,
                "per_network_allowed": None,
                "uses": 0,
                "fields": [
                    {"name": "email", "required": True},
                    {"name": "nick", "required": False},
                ],
            },
        )

    async def test_register(self):
        """An account is made by the API's door, once for each use."""
        made = await self.made()
        done = await self.register(made["token"], "Juliet", 201, client_address="2001:db8::1")
        self.assertEqual(
            done.content, {"username": "juliet", "domain": DOMAIN, "kind": "account"}
        )
        account = await self.store.get_account(DOMAIN, "juliet")
        self.assertEqual(account.details["email"], "a@b")
        (use,) = await self.store.list_uses(DOMAIN)
        self.assertEqual((use.door, use.address), ("api", "2001:db8::1"))
        self.assertProblem(await self.register(made["token"], "romeo", 404), "invalid-invite")
        self.assertEqual(await self.accounts_made(), ["juliet"])
        self.assertIsNotNone(await self.accounts.check_password("juliet", PASSWORD))

    async def test_refused(self):
        """What is refused costs the invite nothing, and says what to do."""
        token, fixed = (
            (await self.made())["token"],
            (await self.made(username="nurse"))["token"],
        )
        await self.account("tybalt")
        for status, code, said in (
            (422, "weak-password", {"password": "short"}),
            (422, "field-missing", {"fields": {}}),
            (422, "unacceptable-field", {"fields": {"email": "a\x1b"}}),
            (422, "invalid-request", {"fields": {"email": 1}}),
            (422, "invalid-request", {"password": "x" * 1024}),
            (422, "invalid-username", {"username": "a b"}),
            (409, "username-taken", {"username": "tybalt"}),
            (403, "username-reserved", {"username": "admin"}),
            (403, "username-reserved", {"username": "аdmin"}),
            (403, "username-reserved", {"username": "nurse"}),
            (403, "username-reserved", {"token": fixed}),
        ):
            refused = await self.register(**({"token": token} | said), status=status)
            self.assertProblem(refused, code)
            self.assertNotIn(PASSWORD, refused.body)
        refused = await self.register(fixed, status=403)
        self.assertEqual(refused.content["username"], "nurse")
        self.assertProblem(await self.register(status=403), "invite-required")
        self.assertEqual(await self.accounts_made(), ["tybalt"])
        await self.register(token, status=201)

    async def test_typed(self):
        """What a person has typed is taken for the name that it means."""
        for name, typed in (("juliet", " juliet\u3000"), ("nurse", f"xmpp:nurse@{DOMAIN}")):
            token = (await self.made(username=f"{name}@{DOMAIN} "))["token"]
            done = await self.register(token, typed, status=201)
            self.assertEqual(done.content["username"], name)
            reset = await self.call("POST", "/resets", {"username": f" {typed}"}, status=201)
            self.assertEqual(reset.content["username"], name)
        for name in (" ", f"@{DOMAIN}", "juliet@example.org"):
            body = {"kind": "account", "username": name}
            refused = await self.call("POST", "/invites", body, status=422)
            self.assertProblem(refused, "invalid-username")
        self.assertEqual(await self.accounts_made(), ["juliet", "nurse"])

    async def test_reset(self):
        """A reset's token sets a new password."""
        await self.account("romeo")
        reset = await self.call("POST", "/resets", {"username": "romeo"}, status=201)
        new = "a rose by any other name"
        done = await self.register(
            reset.content["token"], "romeo", 201, password=new, fields={}
        )
        self.assertEqual(done.content["kind"], "reset")
        self.assertIsNotNone(await self.accounts.check_password("romeo", new))

    async def test_reset_without_name(self):
        """A name of blanks, or a domain alone, is none: also a reset needs its account's."""
        await self.account("romeo")
        reset = await self.call("POST", "/resets", {"username": "romeo"}, status=201)
        for username in ("  ", f"@{DOMAIN}"):
            refused = await self.register(reset.content["token"], username, 422)
            self.assertProblem(refused, "field-missing")
        await self.register(reset.content["token"], "romeo", 201)

    async def test_over(self):
        """Used, revoked, expired and unknown tokens are alike, to preview and to register."""
        used, revoked, brief = [await self.made(expires="1h") for _ in range(3)]
        await self.register(used["token"], status=201)
        await self.call("POST", f"/invites/{revoked['id']}/revoke", status=200)
        self.clock.advance(3600)
        bodies = set()
        for one in (used, revoked, brief, {"token": "A" * 24}):
            bodies.add((await self.preview(one["token"], 404)).body)
            bodies.add((await self.register(one["token"], "x", 404)).body)
        self.assertEqual(len(bodies), 1)

    async def test_guesses(self):
        """Guesses are counted by the address that the portal names."""
        for _ in range(2):
            await self.preview("A" * 24, 404, client_address="198.51.100.1")
        refused = await self.preview("B" * 24, 429, client_address="198.51.100.1")
        self.assertIsNotNone(self.header(refused, "Retry-After"))
        await self.preview("B" * 24, 404, client_address="198.51.100.2")
        await self.preview("B" * 24, 404)
        await self.preview("B" * 24, 422, client_address="nowhere")


class OpenTests(ApiCase):
    policy = Policy(
        registration_invite_only=False,
        limits=Limits(registration=Limit(max=1, period=timedelta(hours=1))),
    )

    async def test_open(self):
        """Without a token, where registration is open; the limits are those of any door."""
        for status, username in ((201, "juliet"), (429, "nurse")):
            body = {"username": username, "password": PASSWORD}
            await self.call("POST", "/registrations", body, status=status)
