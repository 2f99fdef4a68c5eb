"""What a key may do with an invite is judged by what the invite is, whatever the path."""

from dataclasses import replace
from datetime import timedelta
from itertools import chain, combinations
from typing import Any

from twisted.logger import ILogObserver, formatEvent, globalLogPublisher

from invitereg.interfaces.apikeys import Scope
from invitereg.interfaces.queries import Query
from invitereg.model.invites import Invite, Kind, token_digest
from invitereg.policy.inviting import OPERATOR
from invitereg.policy.values import Policy
from invitereg.testing import make_invite
from invitereg.usecases.newinvites import NewInvite
from tests.web.api.case import ApiCase
from tests.web.door import DOMAIN

OPERATIONS = {
    "show": ("GET", "", None, Scope.INVITES_READ),
    "edit": ("PATCH", "", {"note": "edited", "expires": "never"}, Scope.INVITES_EDIT),
    "renew": ("POST", "/renew", None, Scope.INVITES_EDIT),
    "revoke": ("POST", "/revoke", None, Scope.INVITES_EDIT),
}
INVITES: tuple[dict[str, Any], ...] = (
    {"kind": Kind.ACCOUNT},
    {"kind": Kind.ACCOUNT, "username": "nurse"},
    {"kind": Kind.ACCOUNT, "username": "paris"},
    {"kind": Kind.ACCOUNT_AND_CONTACT, "username": "paris", "inviter": "juliet"},
    {"kind": Kind.CONTACT, "inviter": "juliet"},
    {"kind": Kind.RESET, "username": "juliet"},
    {"kind": Kind.RESET, "username": "romeo"},
)
SOURCES = ("cli", "api:other", f"adhoc:romeo@{DOMAIN}")
SCOPES = (Scope.INVITES_READ, Scope.INVITES_EDIT, Scope.RESETS_CREATE)


class RightsTests(ApiCase):
    """romeo and paris are admins; paris has no account yet."""

    policy = Policy(admins=frozenset({"romeo", "paris"}))

    async def stored(self, token: str = "old", **values: Any) -> Invite:
        """An invite that is good for an hour."""
        made = {"created_at": self.now(), "expires_at": self.now() + timedelta(hours=1)}
        invite = make_invite(**(made | values))
        await self.store.create_invite(invite, token_digest(token))
        return invite

    async def opened(self, token: str = "old") -> Invite | None:
        """The invite that a token is of, as it is stored."""
        query = Query(domain=DOMAIN, now=self.now(), digest=token_digest(token))
        return (await self.store.look_up(query)).invite

    async def people(self) -> None:
        for username in ("juliet", "romeo"):
            await self.account(username)

    async def test_every_operation(self):
        """No scopes but those for its kind open an invite, and none opens an admin's."""
        await self.people()
        subsets = chain.from_iterable(combinations(SCOPES, n) for n in range(1, 4))
        for number, scopes in enumerate(subsets):
            self.secret = self.make_key(*scopes)
            for values in INVITES:
                for name in OPERATIONS:
                    source = SOURCES[number % len(SOURCES)]
                    await self.check(name, scopes, await self.stored(**values, source=source))

    async def check(self, name: str, scopes: tuple[Scope, ...], invite: Invite) -> None:
        method, path, body, scope = OPERATIONS[name]
        reset = invite.kind is Kind.RESET
        needed = {scope, Scope.RESETS_CREATE} if reset else {scope}
        admins = invite.username in self.policy.admins and name in ("edit", "renew")
        answer = await self.call(method, f"/invites/{invite.id}{path}", body)
        what = (name, scopes, invite.kind, invite.username, answer.body)
        if needed <= set(scopes) and not admins:
            self.assertEqual(answer.code, 200, what)
        else:
            self.assertEqual(answer.code, 403, what)
            missing = not needed <= set(scopes)
            self.assertProblem(answer, "missing-scope" if missing else "username-reserved")
            self.assertEqual(await self.opened(), invite, what)
        await self.store.revoke_invite(DOMAIN, invite.id, self.now())
        await self.store.purge_invites(DOMAIN, self.now(), 9)

    async def test_challenge(self):
        """A key that lacks the scope for resets is told its name, and where it was refused."""
        await self.people()
        self.secret = self.make_key(Scope.INVITES_READ, Scope.INVITES_EDIT)
        invite = await self.stored(kind=Kind.RESET, username="juliet")
        refused = await self.call("POST", f"/invites/{invite.id}/renew", status=403)
        self.assertProblem(refused, "missing-scope", "resets:create")
        challenge = self.header(refused, "WWW-Authenticate")
        self.assertIn('error="insufficient_scope", scope="resets:create"', challenge)

    async def test_list(self):
        """A list has resets only for a key that may have to do with them; pages go on."""
        await self.people()
        ids = []
        for number, kind in enumerate((Kind.ACCOUNT, Kind.RESET, Kind.ACCOUNT, Kind.RESET)):
            username = "juliet" if kind is Kind.RESET else None
            made = await self.stored(str(number), kind=kind, username=username)
            ids.append(made.id)
        self.assertEqual(await self.ids(), ids)
        self.secret = self.make_key(Scope.INVITES_READ)
        self.assertEqual(await self.ids(), ids[::2])
        self.assertEqual(await self.ids(f"?status=all&limit=1&after={ids[0]}"), ids[2:3])

    async def test_new_admin(self):
        """Who is an admin is asked when something is done, not when the invite was made."""
        await self.people()
        reset = await self.stored("reset", kind=Kind.RESET, username="juliet")
        await self.call("POST", f"/invites/{reset.id}/renew", status=200)
        fixed = await self.stored("fixed", username="nurse")
        policy = Policy(admins=frozenset({"juliet", "nurse"}))
        self.domains[DOMAIN] = replace(self.domains[DOMAIN], policy=policy)
        for invite in (reset, fixed):
            for method, path, body, _scope in (OPERATIONS["edit"], OPERATIONS["renew"]):
                refused = await self.call(
                    method, f"/invites/{invite.id}{path}", body, status=403
                )
                self.assertProblem(refused, "username-reserved", "command line")
        for path, body in (("/resets", "juliet"), ("/invites", "nurse")):
            refused = await self.call("POST", path, {"username": body}, status=403)
            self.assertProblem(refused, "username-reserved", "command line")

    async def test_renewed_for_a_new_admin(self):
        """A key that renewed what the operator made cannot be the admin that it is for."""
        await self.people()
        made = [
            await self.stored("reset", kind=Kind.RESET, username="juliet"),
            await self.stored("fixed", username="nurse"),
        ]
        for invite in made:
            await self.call("PATCH", f"/invites/{invite.id}", {"note": "x"}, status=200)
        renewed = [
            (await self.call("POST", f"/invites/{invite.id}/renew", status=200)).content
            for invite in made
        ]
        policy = Policy(admins=frozenset({"juliet", "nurse"}))
        self.domains[DOMAIN] = replace(self.domains[DOMAIN], policy=policy)
        for invite in renewed:
            body = {key: invite[key] for key in ("token", "username")}
            answer = await self.call("POST", "/registrations", {**body, "password": "o dagger"})
            self.assertIn(answer.code, (403, 404), answer.content)
        for invite in made:
            _invite, token = await self.issuer.renew(DOMAIN, invite.id, OPERATOR)
            body = {"token": token, "username": invite.username, "password": "o dagger"}
            answer = await self.call("POST", "/registrations", body)
            self.assertIn(answer.code, (200, 201), answer.content)

    async def test_repeated_after_the_operator(self):
        """A request that is repeated is given a token, so the link is the key's again."""
        named = {"Idempotency-Key": ["one"]}
        body = {"username": "nurse"}
        made = (await self.call("POST", "/invites", body, status=201, headers=named)).content
        invite, _token = await self.issuer.renew(DOMAIN, made["id"], OPERATOR)
        self.assertEqual(invite.source, OPERATOR.source)
        await self.call("POST", "/invites", body, status=201, headers=named)
        shown = (await self.call("GET", f"/invites/{invite.id}", status=200)).content
        self.assertEqual(shown["source"], self.key.authority.source)

    async def test_names(self):
        """A key fixes no name that a newcomer could not choose; the operator fixes any."""
        names = (
            *("root", "support", "r\u043emeo", "p\u0430ris", "romeo\u3164", "nur\u2800se"),
            *("rome\u200bo", "adm\u0131n", "ro\u00admeo"),
        )
        for name in names:
            refused = await self.call("POST", "/invites", {"username": name})
            self.assertIn(refused.code, (403, 422), ascii(name))
        self.assertEqual(await self.ids(), [])
        for name in ("nurse", "\u043c\u0438\u0448\u0430"):
            await self.made(username=name)
        for name in ("root", "r\u043emeo"):
            await self.issuer.create(NewInvite(domain=DOMAIN, source="cli", username=name))

    async def test_revoked_a_moment_ago(self):
        """A key that is still taken to be good changes nothing once it is revoked."""
        await self.people()
        invite = await self.stored(kind=Kind.RESET, username="juliet")
        named = {"Idempotency-Key": ["one"]}
        await self.call("POST", "/invites", {}, status=201, headers=named)
        await self.store.revoke_key(self.key.id, self.now())
        for name in ("edit", "renew"):
            method, path, body, _scope = OPERATIONS[name]
            await self.call(method, f"/invites/{invite.id}{path}", body, status=404)
        await self.call("POST", "/invites", {}, status=404, headers=named)
        self.assertEqual(await self.opened(), invite)

    async def test_log(self):
        """Who has made, edited and renewed something is in the log."""
        invite = await self.stored()
        lines: list[str] = []
        observer: ILogObserver = lambda event: lines.append(formatEvent(event))  # noqa: E731
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        for name in ("edit", "renew", "revoke"):
            method, path, body, _scope = OPERATIONS[name]
            await self.call(method, f"/invites/{invite.id}{path}", body, status=200)
        source = self.key.authority.source
        for what in ("edited", "renewed", "revoked"):
            line = f"invite {invite.id} (account) {what} at {DOMAIN} by {source}"
            self.assertEqual(lines.count(line), 1, lines)

    async def test_repeat(self):
        """A request that is repeated gets no new link for who has become an admin."""
        await self.people()
        named = {"Idempotency-Key": ["one"]}
        body = {"username": "juliet"}
        await self.call("POST", "/resets", body, status=201, headers=named)
        policy = Policy(admins=frozenset({"juliet"}))
        self.domains[DOMAIN] = replace(self.domains[DOMAIN], policy=policy)
        await self.call("POST", "/resets", body, status=403, headers=named)

    async def test_expired_reset(self):
        """A reset that has expired is opened again by nothing that a key can ask for."""
        await self.people()
        invite = await self.stored(kind=Kind.RESET, username="juliet")
        self.clock.advance(3600)
        path = f"/invites/{invite.id}"
        for body in (
            {"expires": "1h"},
            {"expires": "never"},
            {"expires_at": None},
            {"expires_at": "2026-02-01T00:00:00Z", "note": "x"},
            {"note": "x"},
            {"uses_allowed": 1},
        ):
            self.assertProblem(await self.call("PATCH", path, body, status=422))
        await self.call("POST", f"{path}/renew", status=422)
        self.assertEqual(await self.opened(), invite)

    async def test_token_made_before(self):
        """A link that a key made for somebody does not open the admin that they become."""
        await self.people()
        made = await self.call("POST", "/resets", {"username": "juliet"}, status=201)
        policy = Policy(admins=frozenset({"juliet"}))
        self.domains[DOMAIN] = replace(self.domains[DOMAIN], policy=policy)
        body = {"token": made.content["token"], "username": "juliet", "password": "o dagger"}
        refused = await self.call("POST", "/registrations", body, status=404)
        self.assertProblem(refused, "invalid-invite")
