"""What people do with a service in a long time: all of it, again and again, at fixed rates.

Residents have accounts, and are connected. Guests come by an invite, and remove their account
at the end, so that the population stays the same.
"""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from bench.clients import DOMAIN, Client, RefusedError, address, fetch, request
from bench.pacing import Paced
from bench.sessions import PASSWORD, Person, chat, name_of
from invitereg.model.invites import generate_token

RESIDENTS = 20
CONTACTS = 6
AT_ONCE = 50
PATIENCE_SECONDS = 30
REGISTER = "<query xmlns='jabber:iq:register'>{}</query>"
PING = "<ping xmlns='urn:xmpp:ping'/>"
FORGET = (
    "<iq type='set' id='f'><query xmlns='jabber:iq:roster'>"
    "<item jid='{}' subscription='remove'/></query></iq>"
)
INVITE = (
    "<command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:invite#invite' "
    "action='execute'/>"
)

Act = Callable[[int], Awaitable[None]]


class Traffic:
    """Everybody who uses a service: its port of clients, and that of its site.

    Attributes:
        acts: what they do, by name, each at its rate.
    """

    def __init__(self, port: int, web: int, key: str, context: ssl.SSLContext) -> None:
        """``key`` is for the HTTP API, and may do everything with invites."""
        self._port = port
        self._web = web
        self._key = key
        self._context = context
        self._residents = [Person(port, context, number) for number in range(RESIDENTS)]
        rates: list[tuple[str, float, Act]] = [
            ("guest", 2, self.be_guest),
            ("invite revoked", 1, self.revoke),
            ("invite by a resident", 0.2, self.invite),
            ("login of a resident", 0.2, self.come_and_go),
            ("presence", 1, self.change_presence),
            ("message", 5, self.write),
            ("page", 3, self.look),
            ("wrong token", 0.5, self.guess_token),
            ("wrong password", 0.2, self.guess_password),
            ("broken off", 0.5, self.break_off),
        ]
        self.acts = {name: Paced(_bounded(act), rate, AT_ONCE) for name, rate, act in rates}
        self._written = 0

    async def run(self, ended: asyncio.Event) -> None:
        """Let all of them do it until ``ended``."""
        for resident in self._residents:
            await resident.arrive()
        await asyncio.gather(*(act.run(ended) for act in self.acts.values()))
        for resident in self._residents:
            resident.depart()

    @property
    def messages(self) -> tuple[int, int]:
        """How many were written to residents by residents, and how many have arrived."""
        return self._written, sum(resident.messages for resident in self._residents)

    # --- guests and invites

    async def be_guest(self, number: int) -> None:
        """Be invited, register, use the account, and remove it; be forgotten by the inviter."""
        inviter = {"inviter": name_of(number % RESIDENTS), "kind": "account-and-contact"}
        by_resident = number % 3 == 0
        made = await self._api("POST", "invites", inviter if by_resident else {})
        source, name = address(number), f"guest{number}"
        assert await self._page(f"/invite/{made['token']}", source) == 200
        client = Client(self._port, self._context, source)
        try:
            await client.register(name, made["token"])
            await client.log_in(name)
            await client.iq("<query xmlns='jabber:iq:roster'/>", "get")
            client.send("<presence/>")
            await client.iq(PING, "get", to=DOMAIN)
            if number % 4 == 0:
                changed = f"<username>{name}</username><password>another-{name}</password>"
                await client.iq(REGISTER.format(changed))
            await client.iq(REGISTER.format("<remove/>"))
        finally:
            client.leave()
        if by_resident:  # Else the guest would stay in their roster.
            self._residents[number % RESIDENTS].send(FORGET.format(f"{name}@{DOMAIN}"))

    async def revoke(self, _number: int) -> None:
        """Make an invite, list invites, and revoke it."""
        made = await self._api("POST", "invites", {"expires": "1m"})
        await self._api("GET", "invites?limit=20")
        await self._api("POST", f"invites/{made['id']}/revoke", {})
        assert await self._page(f"/invite/{made['token']}") == 404

    async def invite(self, number: int) -> None:
        """Make an invite from an app."""
        client = Client(self._port, self._context, address(number))
        try:
            await client.log_in(name_of(number % RESIDENTS), PASSWORD)
            await client.iq(INVITE, to=DOMAIN)
        finally:
            client.leave()

    # --- residents

    async def come_and_go(self, number: int) -> None:
        """Log in with another device, and leave."""
        device = Person(self._port, self._context, number % RESIDENTS)
        await device.arrive()
        device.depart()

    async def change_presence(self, number: int) -> None:
        """Be away, or back."""
        resident = self._residents[number % RESIDENTS]
        resident.send(f"<presence><show>away</show><status>{number}</status></presence>")

    async def write(self, number: int) -> None:
        """Write to another resident."""
        self._residents[number % RESIDENTS].send(chat((number + 1) % RESIDENTS))
        self._written += 1

    # --- the web, and what goes wrong

    async def look(self, number: int) -> None:
        """Look at pages of the site."""
        paths = {"/": 200, "/register": 403, "/healthz": 200, "/readyz": 200}
        path, status = list(paths.items())[number % len(paths)]
        found = await self._page(path, address(number))
        assert found == status, f"{path}: status {found}"

    async def guess_token(self, number: int) -> None:
        """Open the page of an invite that does not exist."""
        found = await self._page(f"/invite/{generate_token()}", address(number))
        assert found in (404, 429), f"status {found}"

    async def guess_password(self, number: int) -> None:
        """Try to log in with a wrong password."""
        client = Client(self._port, self._context, address(number))
        try:
            await client.log_in(name_of(number % RESIDENTS), "a-wrong-password")
        except RefusedError:
            return
        finally:
            client.leave()
        raise AssertionError("a wrong password is right")

    async def break_off(self, number: int) -> None:
        """Begin a stream, and go away without a word."""
        client = Client(self._port, self._context, address(number))
        await client.connect()
        client.drop()

    async def _page(self, path: str, source: str = "127.0.0.1") -> int:
        status, _body = await fetch(
            self._web, request("GET", path, "Connection: close"), source
        )
        return status

    async def _api(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        text = "" if body is None else json.dumps(body)
        head = (f"Authorization: Bearer {self._key}", "Connection: close")
        asked = request(method, f"/api/v1/{path}", *head, body=text)
        status, answer = await fetch(self._web, asked)
        assert status in (200, 201), f"status {status} for {method} {path}: {answer.decode()}"
        return json.loads(answer)


def _bounded(act: Act) -> Act:
    async def bounded(number: int) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await act(number)

    return bounded
