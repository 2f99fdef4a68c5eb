"""Invites and resets through the API."""

import itertools
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from invitereg.model.invites import Kind, token_digest
from invitereg.policy.values import Policy, UsernameRules
from invitereg.testing import START
from tests.web.api.case import ApiCase
from tests.web.door import DOMAIN, EXTERNAL

ISSUED = [
    *("id", "token", "uri", "landing_url", "kind", "domain", "inviter", "username"),
    *("expires_at", "uses_allowed", "per_network_allowed"),
]


class CreateTests(ApiCase):
    async def test_default(self):
        """An empty object, or nothing, makes an invite like the command line's."""
        for body in ({}, None):
            response = await self.call("POST", "/invites", body, status=201)
            made = response.content
            self.assertEqual(list(made), ISSUED)
            self.assertEqual(made["uri"], f"xmpp:{DOMAIN}?register;preauth={made['token']}")
            self.assertEqual(made["landing_url"], f"{EXTERNAL}invite/{made['token']}")
            self.assertEqual(made["expires_at"], "2026-01-08T00:00:00Z")
            self.assertEqual(
                self.header(response, "Location"), f"{EXTERNAL}api/v1/invites/{made['id']}"
            )
            invite = await self.store.get_invite(DOMAIN, made["id"])
            self.assertEqual(invite.source, f"api:{self.key.id}")

    async def test_everything(self):
        """Every field does what it says."""
        await self.account("romeo")
        made = await self.made(
            domain="EXAMPLE.com",
            kind="account-and-contact",
            inviter="Romeo",
            expires_at="2026-01-02T01:00:00+01:00",
            uses_allowed=None,
            roles=["member", "member"],
            groups=["Montagues"],
            note="zwei\nZeilen ☃",
        )
        self.assertEqual(made["uri"].split("?")[0], f"xmpp:romeo@{DOMAIN}")
        self.assertEqual(made["expires_at"], "2026-01-02T00:00:00Z")
        invite = await self.store.get_invite(DOMAIN, made["id"])
        self.assertEqual((invite.roles, invite.groups), (("member",), ("Montagues",)))
        self.assertEqual((invite.note, invite.uses_allowed), ("zwei\nZeilen ☃", None))
        self.assertIs(invite.kind, Kind.ACCOUNT_AND_CONTACT)

    async def test_expiry(self):
        """How long it lasts is said in either way, or left to the configuration."""
        for said, expires_at in (
            ({"expires": "12h"}, "2026-01-01T12:00:00Z"),
            ({"expires": "never"}, None),
            ({"expires_at": None}, None),
        ):
            made = await self.made(**said)
            self.assertEqual(made["expires_at"], expires_at, said)

    async def test_username(self):
        """A fixed name is reserved, prepared; who is there already, or reserved, is refused."""
        await self.account("juliet")
        made = await self.made(username="Nurse")
        self.assertEqual(made["username"], "nurse")
        for username, status, code in (
            ("juliet", 409, "username-taken"),
            ("romeo", 403, "username-reserved"),
            ("nurse", 403, "username-reserved"),
            ("a b", 422, "invalid-username"),
        ):
            refused = await self.call("POST", "/invites", {"username": username}, status=status)
            self.assertProblem(refused, code)
        self.assertEqual(await self.ids(), [made["id"]])

    async def test_refused(self):
        """What makes no sense is refused, with the field's name where one is wrong."""
        for body, says in (
            ({"uses_allowed": 0}, "uses_allowed: "),
            ({"uses_allowed": True}, "uses_allowed: "),
            ({"uses_allowed": 10**10}, "uses_allowed: "),
            ({"uses_allowed": 2, "username": "x"}, "one use only"),
            ({"per_network_allowed": 2}, "with several uses"),
            ({"per_network_allowed": 0, "uses_allowed": 2}, "per_network_allowed: "),
            ({"kind": "reset"}, "kind: "),
            ({"kind": "contact"}, "needs an inviter"),
            ({"colour": "red"}, "colour: is not known here"),
            ({"expires": "1:30"}, "expires: "),
            ({"expires": "0d"}, "expires: "),
            ({"expires": "36526d"}, "expires: "),
            ({"expires": None}, "expires"),
            ({"expires_at": 1767225600}, "expires_at: "),
            ({"expires_at": "2026-01-02T00:00:00"}, "expires_at: "),
            ({"expires_at": "2025-12-31T00:00:00Z"}, "valid for some time"),
            ({"expires_at": "0001-01-01T00:00:00+23:00"}, "too far away"),
            ({"expires": "1d", "expires_at": None}, "exclude each other"),
            ({"roles": ["A b"]}, "roles.0: "),
            ({"groups": ["x"] * 101}, "groups: "),
            ({"note": "\x00"}, "note: "),
            ({"note": "x" * 10_001}, "note: "),
            ({"inviter": ""}, "inviter: "),
            ({"domain": "example.org"}, "domain: is not served here"),
            ([], ""),
        ):
            refused = await self.call("POST", "/invites", body, status=422)
            self.assertProblem(refused, "invalid-request", says)
        unknown = await self.call("POST", "/invites", {"inviter": "nobody"}, status=404)
        self.assertProblem(unknown, "not-found", "nobody@example.com")
        self.assertEqual(await self.ids(), [])

    async def test_moments(self):
        """A moment is stored as it was asked for, in an invite, a change and a reset alike."""
        await self.account("juliet")
        invite = (await self.call("POST", "/invites", {}, status=201)).content["id"]
        asked = (
            ("POST", "/invites", {}, 201),
            ("PATCH", f"/invites/{invite}", {}, 200),
            ("POST", "/resets", {"username": "juliet"}, 201),
        )
        # The clock goes on from each look at it to the next.
        self.clock.seconds = partial(next, itertools.count(self.clock.seconds(), 0.7))
        for moment in ("2026-02-01T00:00:00Z", "9999-12-31T23:59:59Z"):
            for method, path, body, status in asked:
                body = {**body, "expires_at": moment}
                made = (await self.call(method, path, body, status=status)).content
                self.assertEqual(made["expires_at"], moment)
        for moment in ("2025-12-31T00:00:00Z", "2026-01-01T00:00:00Z"):
            for method, path, body, _status in asked:
                body = {**body, "expires_at": moment}
                refused = await self.call(method, path, body, status=422)
                self.assertProblem(refused, "invalid-request", "valid for some time")

    async def test_moments_elsewhere(self):
        """A moment is the same in whichever zone it was written, and however exactly."""
        for moment, told in (
            ("2026-02-01T02:00:00+02:00", "2026-02-01T00:00:00Z"),
            ("2026-01-31T14:00:00.25-10:00", "2026-02-01T00:00:00Z"),
            ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59Z"),
        ):
            made = await self.made(expires_at=moment)
            self.assertEqual(made["expires_at"], told)
            kept = await self.store.get_invite(DOMAIN, made["id"])
            self.assertEqual(kept.expires_at, datetime.fromisoformat(moment))
        refused = await self.call(
            "POST", "/invites", {"expires_at": "9999-12-31T23:59:59-01:00"}, status=422
        )
        self.assertProblem(refused, "invalid-request", "too far away")

    async def test_reset(self):
        """A reset is for an account that exists."""
        await self.account("juliet")
        response = await self.call(
            "POST", "/resets", {"username": "juliet", "expires": "1h"}, status=201
        )
        made = response.content
        self.assertEqual((made["kind"], made["username"]), ("reset", "juliet"))
        self.assertEqual(made["expires_at"], "2026-01-01T01:00:00Z")
        self.assertTrue(self.header(response, "Location").endswith(f"/invites/{made['id']}"))
        await self.call("POST", "/resets", {"username": "nobody"}, status=404)
        await self.call("POST", "/resets", {}, status=422)


class ManageTests(ApiCase):
    async def test_list(self):
        """Pages follow each other until there is no next, also by the Link header."""
        ids = [(await self.made())["id"] for _ in range(5)]
        first = await self.call("GET", "/invites?limit=2", status=200)
        self.assertEqual([one["id"] for one in first.content["items"]], ids[:2])
        self.assertEqual(first.content["next"], ids[1])
        self.assertEqual(
            self.header(first, "Link"),
            f'<{EXTERNAL}api/v1/invites?limit=2&after={ids[1]}>; rel="next"',
        )
        last = await self.call("GET", f"/invites?limit=3&after={ids[1]}", status=200)
        self.assertEqual([one["id"] for one in last.content["items"]], ids[2:])
        self.assertIsNone(last.content["next"])
        self.assertIsNone(self.header(last, "Link"))
        await self.call("GET", "/invites?after=nothing", status=404)

    async def test_filters(self):
        """Invites are listed by state and by inviter."""
        await self.account("romeo")
        mine = (await self.made(inviter="romeo"))["id"]
        over = (await self.made())["id"]
        await self.call("POST", f"/invites/{over}/revoke", status=200)
        brief = (await self.made(expires="1h"))["id"]
        self.clock.advance(3600)
        self.assertEqual(await self.ids(""), [mine])
        self.assertEqual(await self.ids("?status=revoked"), [over])
        self.assertEqual(await self.ids("?status=expired"), [brief])
        self.assertEqual(await self.ids("?status=all&inviter=ROMEO"), [mine])
        for query in ("status=x", "limit=0", "limit=1001", "limit=x", "colour=red", "limit="):
            await self.call("GET", f"/invites?{query}", status=422)
        await self.call("GET", "/invites?limit=1&limit=2", status=422)
        await self.call("GET", "/invites?limit", status=400)
        await self.call("GET", "/invites?inviter=%ff", status=400)

    async def test_show(self):
        """An invite is shown with its uses and without its token."""
        made = await self.made(note="x")
        shown = (await self.call("GET", f"/invites/{made['id']}", status=200)).content
        self.assertEqual((shown["note"], shown["status"], shown["uses"]), ("x", "pending", 0))
        self.assertEqual(shown["history"], [])
        self.assertNotIn("token", shown)
        await self.call("GET", "/invites/nothing", status=404)

    async def test_edit(self):
        """What is named is changed, the rest stays, the token too."""
        made = await self.made()
        path = f"/invites/{made['id']}"
        edited = (await self.call("PATCH", path, {"uses_allowed": 3}, status=200)).content
        self.assertEqual(
            (edited["uses_allowed"], edited["expires_at"]), (3, made["expires_at"])
        )
        edited = (await self.call("PATCH", path, {"expires": "1h", "note": "y"})).content
        self.assertEqual((edited["expires_at"], edited["note"]), ("2026-01-01T01:00:00Z", "y"))
        edited = await self.call("PATCH", path, {"expires_at": None, "uses_allowed": None})
        self.assertEqual(edited.content["expires_at"], None)
        self.assertEqual(edited.content["uses_allowed"], None)
        edited = await self.call("PATCH", path, {"per_network_allowed": 50})
        self.assertEqual(edited.content["per_network_allowed"], 50)
        for body in (
            {},
            {"kind": "contact"},
            {"uses_allowed": 0},
            {"per_network_allowed": 0},
            {"expires_at": "2025-01-01T00:00:00Z"},
        ):
            await self.call("PATCH", path, body, status=422)
        await self.call("PATCH", "/invites/nothing", {"note": "x"}, status=404)

    async def test_renew_and_revoke(self):
        """A new token ends the old one; a revoked invite has none."""
        made = await self.made()
        path = f"/invites/{made['id']}"
        renewed = (await self.call("POST", f"{path}/renew", status=200)).content
        self.assertEqual(list(renewed), ISSUED)
        self.assertEqual(renewed["id"], made["id"])
        self.assertNotEqual(renewed["token"], made["token"])
        revoked = (await self.call("POST", f"{path}/revoke", {}, status=200)).content
        self.assertEqual(
            (revoked["status"], revoked["revoked_at"]), ("revoked", "2026-01-01T00:00:00Z")
        )
        again = (await self.call("POST", f"{path}/revoke", status=200)).content
        self.assertEqual(again, revoked)
        await self.call("POST", f"{path}/renew", status=422)
        await self.call("POST", f"{path}/renew", {"x": 1}, status=422)
        for action in ("renew", "revoke"):
            await self.call("POST", f"/invites/nothing/{action}", status=404)


class RepeatTests(ApiCase):
    async def repeat(self, body, name="a-name", path="/invites", **options):
        headers = {"Idempotency-Key": [name]}
        return await self.call("POST", path, body, headers=headers, **options)

    async def test_repeat(self):
        """The same again makes nothing, and answers with the same id and a new token."""
        first = (await self.repeat({"note": "x"}, status=201)).content
        again = (await self.repeat({"note": "x"}, status=201)).content
        self.assertEqual(again["id"], first["id"])
        self.assertNotEqual(again["token"], first["token"])
        self.assertEqual(await self.ids(), [first["id"]])
        found = await self.registrar.preview(DOMAIN, None, again["token"])
        self.assertEqual(found.invite.id, first["id"])

    async def test_another(self):
        """Another name is another request; so is the same of another key, or after a day."""
        first = (await self.repeat({}, status=201)).content
        other = (await self.repeat({}, "other", status=201)).content
        self.secret = self.make_key()
        theirs = (await self.repeat({}, status=201)).content
        self.assertEqual(len({first["id"], other["id"], theirs["id"]}), 3)
        self.clock.advance(timedelta(hours=24).total_seconds())
        later = (await self.repeat({}, status=201)).content
        self.assertNotEqual(later["id"], theirs["id"])

    async def test_other_body(self):
        """The same name for something else is a mistake."""
        await self.account("juliet")
        await self.repeat({"note": "x"}, status=201)
        refused = await self.repeat({"note": "y"}, status=422)
        self.assertProblem(refused, "other-request")
        refused = await self.repeat({"username": "juliet"}, path="/resets", status=422)
        self.assertProblem(refused, "other-request")
        self.assertEqual(len(await self.ids()), 1)

    async def test_reset(self):
        """A reset is repeated likewise."""
        await self.account("juliet")
        body = {"username": "juliet"}
        first = (await self.repeat(body, path="/resets", status=201)).content
        again = (await self.repeat(body, path="/resets", status=201)).content
        self.assertEqual(first["id"], again["id"])

    async def register(self, token, username="juliet"):
        body = {"token": token, "username": username, "password": "correct horse"}
        return await self.call("POST", "/registrations", body)

    async def test_used(self):
        """Once the invite is used, a repeat is refused alike, whatever was asked for."""
        await self.account("nurse")
        for path, body, username in (
            ("/invites", {}, "tybalt"),
            ("/invites", {"username": "juliet"}, "juliet"),
            ("/invites", {"kind": "account-and-contact", "inviter": "nurse"}, "mercutio"),
            ("/resets", {"username": "nurse"}, "nurse"),
        ):
            await self.repeat(body, username, path, status=201)
            made = (await self.repeat(body, username, path, status=201)).content
            used = await self.register(made["token"], username)
            self.assertIn(used.code, (200, 201), used.content)
            for _ in range(2):
                refused = await self.repeat(body, username, path, status=422)
                self.assertProblem(refused, "invalid-request", f"{made['id']} is used up")

    async def test_expired(self):
        """So it is once the invite has expired, though the request names the moment itself."""
        body = {"expires_at": "2026-01-01T00:00:01Z"}
        made = (await self.repeat(body, status=201)).content
        self.clock.advance(1)
        refused = await self.repeat(body, status=422)
        self.assertProblem(refused, "invalid-request", f"{made['id']} has expired")
        self.assertEqual(self.flushWarnings(), [])

    async def test_revoked(self):
        """So it is when the invite was revoked, or its inviter or account is gone."""
        await self.account("nurse")
        await self.account("juliet")
        one = (await self.repeat({"username": "paris"}, "1", status=201)).content
        await self.call("POST", f"/invites/{one['id']}/revoke", {}, status=200)
        contact = {"kind": "contact", "inviter": "nurse"}
        await self.repeat(contact, "2", status=201)
        await self.repeat({"username": "juliet"}, "3", "/resets", status=201)
        for username in ("nurse", "juliet"):
            await self.registrar.delete_account(DOMAIN, username)
        for body, name, path in (
            ({"username": "paris"}, "1", "/invites"),
            (contact, "2", "/invites"),
            ({"username": "juliet"}, "3", "/resets"),
        ):
            refused = await self.repeat(body, name, path, status=422)
            self.assertProblem(refused, "invalid-request", "revoked")

    async def test_policy_changed(self):
        """A repeat is answered as the first was, though the policy has changed since."""
        body = {"username": "juliet", "expires": "30d"}
        first = (await self.repeat(body, status=201)).content
        rules = UsernameRules(reserved=frozenset({"juliet"}))
        policy = replace(self.domains[DOMAIN].policy, usernames=rules)
        self.domains[DOMAIN] = replace(self.domains[DOMAIN], policy=policy)
        again = (await self.repeat(body, status=201)).content
        token, uri, page = again.pop("token"), again.pop("uri"), again.pop("landing_url")
        self.assertIn(token, uri)
        self.assertIn(token, page)
        self.assertEqual(again, {key: first[key] for key in again})
        refused = await self.repeat(body, "other")
        self.assertProblem(refused, "username-reserved")

    async def test_name(self):
        """A name that cannot be one is refused."""
        for name in ("", "a b", "ü", "x" * 256):
            refused = await self.repeat({}, name, status=400)
            self.assertProblem(refused, "malformed-header", "Idempotency-Key")
        self.assertEqual(await self.ids(), [])

    async def test_not_stored(self):
        """Neither the name nor what was asked for is kept."""
        await self.repeat({"note": "a note"}, "secret-name", status=201)
        with self.store.database.engine.connect() as connection:
            stored = connection.connection.dbapi_connection.serialize()
        self.assertIn(b"a note", stored)
        self.assertNotIn(b"secret-name", stored)
        self.assertEqual(START, self.now())
        self.assertIsNone(await self.store.find_key(token_digest("x")))


class ClosedTests(ApiCase):
    policy = Policy(allow_registration=False)

    async def test_closed(self):
        """A key gets no link to register that would open nothing, nor a new one for an old."""
        await self.account("juliet")
        invite, _token = await self.invite()
        for path in ("/invites", f"/invites/{invite.id}/renew"):
            refused = await self.call("POST", path, {}, status=403)
            self.assertProblem(refused, "registration-closed", "takes no new accounts")
        prosody = await self.get(f"/invites_api?key={self.secret}")
        self.assertEqual(prosody.code, 403)
        self.assertEqual(await self.ids(), [invite.id])

    async def test_others(self):
        """Contacts and resets are made as ever; and old invites are edited and revoked."""
        await self.account("juliet")
        invite, _token = await self.invite()
        await self.made(kind="contact", inviter="juliet")
        await self.call("POST", "/resets", {"username": "juliet"}, status=201)
        await self.call("PATCH", f"/invites/{invite.id}", {"note": "x"}, status=200)
        await self.call("POST", f"/invites/{invite.id}/revoke", status=200)
