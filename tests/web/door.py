"""A site on a real port of this computer, over a store in memory, and who asks it."""

from typing import Any

import treq
from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, HTTPConnectionPool

from invitereg.accounts.embedded import EmbeddedAccounts
from invitereg.model.invites import Invite
from invitereg.policy.values import Domain, Network, Policy
from invitereg.runtime.threads import Inline
from invitereg.testing import clock_now, make_submission, memory_store
from invitereg.usecases.issuer import Issuer
from invitereg.usecases.newinvites import NewInvite
from invitereg.usecases.registrar import Registrar
from invitereg.web.pages import Pages
from invitereg.web.settings import SiteSettings
from invitereg.web.site import WebDoor

DOMAIN = "example.com"
PASSWORD = "wherefore art thou"
EXTERNAL = "https://chat.example.com/"
PHONE = "Mozilla/5.0 (Linux; Android 15; Pixel 9) Chrome/140.0 Mobile Safari/537.36"


class WebCase(TestCase):
    """Tests of the site; time is theirs, the network is real.

    Attributes:
        policy, domain: what is served; see `make_domain`.
        site: how the site is set up.
    """

    timeout = 30
    policy = Policy(admins=frozenset({"romeo"}))
    trusted_proxies: tuple[Network, ...] = ()

    def setUp(self) -> None:
        self.clock = Clock()
        self.now = clock_now(self.clock)
        self.store = memory_store()
        self.accounts = EmbeddedAccounts(DOMAIN, self.store, Inline(), self.now, 4096)
        self.domains = {DOMAIN: self.make_domain()}
        self.sites = {DOMAIN: self.make_site()}
        accounts = {DOMAIN: self.accounts}
        self.registrar = Registrar(self.domains, self.store, accounts, self.now)
        self.issuer = Issuer(self.domains, self.store, accounts, self.now)
        self.door = self.make_door()
        port: Any = reactor.listenTCP(0, self.door.listener(), interface="127.0.0.1")
        self.addCleanup(lambda: maybeDeferred(port.stopListening))
        self.port = port.getHost().port
        pool = HTTPConnectionPool(reactor, persistent=False)
        self.http = treq.client.HTTPClient(Agent(reactor, pool=pool))

    def make_domain(self) -> Domain:
        return Domain(
            name=DOMAIN,
            policy=self.policy,
            site_name="Example Chat",
            landing_url=f"{EXTERNAL}invite/",
        )

    def make_site(self) -> SiteSettings:
        return SiteSettings(domain=DOMAIN, external_url=EXTERNAL)

    def make_door(self) -> WebDoor:
        pages = Pages(self.domains, self.registrar, self.clock)
        return WebDoor(
            sites=self.sites,
            trusted_proxies=self.trusted_proxies,
            pages=pages.resource(),
            reactor=reactor,
        )

    async def ask(self, method: str, path: str, **options: Any) -> Any:
        """The response to a request; redirects are not followed, ``body`` is the text."""
        options.setdefault("allow_redirects", False)
        response = await self.http.request(
            method, f"http://127.0.0.1:{self.port}{path}", **options
        )
        response.body = await response.text()
        return response

    async def get(self, path: str, **options: Any) -> Any:
        return await self.ask("GET", path, **options)

    async def invite(self, **asked: Any) -> tuple[Invite, str]:
        new = NewInvite(**({"domain": DOMAIN, "source": "cli"} | asked))
        return await self.issuer.create(new)

    async def account(self, username: str) -> None:
        await self.registrar.create_account(DOMAIN, username, PASSWORD)

    async def redeem(self, username: str, token: str) -> None:
        """Register as an app would."""
        grant = await self.registrar.preauthorise(DOMAIN, None, token)
        await self.registrar.redeem(make_submission(username=username, grant=grant))

    def header(self, response: Any, name: str) -> str | None:
        """A header that is there once at most."""
        values = response.headers.getRawHeaders(name, [])
        self.assertLessEqual(len(values), 1, name)
        return values[0] if values else None


def later() -> Deferred[None]:
    """The next turn of the reactor."""
    waiting: Deferred[None] = Deferred()
    clock: Any = reactor
    clock.callLater(0, waiting.callback, None)
    return waiting
