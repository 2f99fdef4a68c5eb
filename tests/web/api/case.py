"""The API on a real port of this computer, over a store in memory, and keys for it."""

import json
from datetime import timedelta
from typing import Any

from twisted.web.pages import notFound

from invitereg.interfaces.apikeys import Scope, issue_key
from invitereg.model.invites import token_digest
from invitereg.policy.values import Limit
from invitereg.usecases.issuer import Issuer
from invitereg.web.api.auth import Authorization, Rates
from invitereg.web.api.invites import Invites
from invitereg.web.api.operations import operations_of
from invitereg.web.api.prosody import PROSODY_PATH, ProsodyInvites
from invitereg.web.api.registrations import Registrations
from invitereg.web.api.server import API_PATH, Api
from invitereg.web.site import WebDoor
from tests.contracts.store_case import DOMAIN
from tests.web.door import WebCase

ALL = tuple(Scope)


class ApiCase(WebCase):
    """Tests of the API.

    Attributes:
        rate: how much a key may.
        set_by: by how much the time of day was set.
        secret: of a key that may do everything; None once it is not to be sent.
    """

    rate = Limit(max=1000, period=timedelta(seconds=60))
    set_by = timedelta()

    def setUp(self) -> None:
        super().setUp()
        self.secret: str | None = self.make_key()

    def make_door(self) -> WebDoor:
        accounts = {DOMAIN: self.accounts}
        self.issuer = Issuer(self.domains, self.store, accounts, self.now)
        rates = Rates(self.rate, self.clock.seconds)
        self.authorization = Authorization(
            self.store, rates, lambda: self.now() + self.set_by, self.clock.seconds
        )
        operations = (
            *operations_of(Invites(self.issuer, self.store, self.now)),
            *operations_of(Registrations(self.registrar)),
        )
        door = WebDoor(
            sites=self.sites, trusted_proxies=(), pages=notFound(), reactor=self.reactor()
        )
        door.mount(API_PATH, Api(operations, self.authorization, self.domains).resource())
        door.mount(PROSODY_PATH, ProsodyInvites(self.issuer, self.authorization).resource())
        return door

    def reactor(self) -> Any:
        from twisted.internet import reactor

        return reactor

    def make_key(self, *scopes: Scope, **changes: Any) -> str:
        key, secret = issue_key("test", scopes or ALL, self.now(), **changes)
        self.successResultOf(self.store.create_key(key, token_digest(secret)))
        self.key = key
        return secret

    async def call(
        self, method: str, path: str, body: Any = None, *, status: int | None = None, **options
    ) -> Any:
        """Ask the API; the answer's ``content`` is what its JSON says."""
        headers = {"Authorization": [f"Bearer {self.secret}"]} if self.secret else {}
        if body is not None:
            headers["Content-Type"] = ["application/json"]
            options["data"] = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers |= options.pop("headers", {})
        response = await self.ask(method, f"/api/v1{path}", headers=headers, **options)
        response.content = json.loads(response.body) if response.body else None
        if status is not None:
            self.assertEqual(response.code, status, response.body)
        if response.code >= 400 and method != "HEAD":
            self.assertProblem(response)
        return response

    async def made(self, **body: Any) -> dict[str, Any]:
        return (await self.call("POST", "/invites", body, status=201)).content

    async def ids(self, query: str = "?status=all") -> list[str]:
        listed = await self.call("GET", f"/invites{query}", status=200)
        return [one["id"] for one in listed.content["items"]]

    def assertProblem(self, response: Any, code: str | None = None, says: str = "") -> None:
        self.assertEqual(self.header(response, "Content-Type"), "application/problem+json")
        content = response.content
        self.assertEqual(content["status"], response.code)
        self.assertLessEqual({"type", "title", "detail", "code"}, content.keys())
        self.assertIn(code, (None, content["code"]))
        self.assertIn(says, content["detail"])
        self.assertNotIn("Traceback", response.body)
