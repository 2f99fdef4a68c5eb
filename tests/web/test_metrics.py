"""What monitoring is told."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import treq
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet import reactor
from twisted.internet.defer import fail, maybeDeferred
from twisted.internet.task import Clock

from invitereg.accounts.embedded import EmbeddedAccounts
from invitereg.errors import InvalidInvite, Unavailable, WeakPassword
from invitereg.model.invites import Kind, token_digest
from invitereg.policy.values import Domain
from invitereg.runtime.threads import Inline
from invitereg.store.database import open_database
from invitereg.store.store import Store
from invitereg.testing import clock_now, make_invite, make_submission
from invitereg.usecases.registrar import Registrar
from invitereg.web.monitoring import COUNT_EVERY, MetricsPage, Prometheus, metrics_listener
from tests.contracts.store_case import DOMAIN, FolderCase


class MetricsCase(FolderCase):
    def setUp(self):
        self.clock = Clock()
        self.now = clock_now(self.clock)
        self.set_by = timedelta()
        self.meter = Prometheus()
        database = open_database(self.folder(), Inline(), meter=self.meter)
        self.addCleanup(database.close)
        self.store = Store(database)
        embedded = EmbeddedAccounts(
            DOMAIN, self.store, Inline(), self.now, 4096, meter=self.meter
        )
        accounts = {DOMAIN: embedded}
        domains = {DOMAIN: Domain(name=DOMAIN)}
        self.registrar = Registrar(domains, self.store, accounts, self.now, meter=self.meter)
        page = MetricsPage(self.meter, self.store, domains, self.told, self.clock.seconds)
        port: Any = reactor.listenTCP(0, metrics_listener(page, reactor), interface="127.0.0.1")
        self.addCleanup(lambda: maybeDeferred(port.stopListening))
        self.url = f"http://127.0.0.1:{port.getHost().port}"

    def told(self):
        """The time of day, as the system tells it."""
        return self.now() + self.set_by

    async def ask(self, path="/metrics"):
        response = await treq.get(f"{self.url}{path}", persistent=False)
        return response.code, await response.text()

    async def value(self, name, **labels):
        """One sample's value; None if it is not there."""
        status, text = await self.ask()
        self.assertEqual(status, 200)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == f"invitereg_{name}" and sample.labels == labels:
                    return sample.value
        return None

    async def invite(self, token, **changes):
        await self.store.create_invite(make_invite(**changes), token_digest(token))

    async def register(self, token, **changes):
        grant = await self.registrar.preauthorise(DOMAIN, None, token)
        await self.registrar.redeem(make_submission(grant=grant, **changes))


class MetricsTests(MetricsCase):
    async def test_registrations(self):
        """Registrations are counted by door and outcome, refusals by rule."""
        await self.invite("a")
        with self.assertRaises(WeakPassword):
            await self.register("a", password="short")
        await self.register("a")
        with self.assertRaises(InvalidInvite):
            await self.register("a")
        await self.invite("r", kind=Kind.RESET, username="juliet")
        await self.register("r")
        for outcome in ("registered", "reset", "refused"):
            number = await self.value("registrations_total", door="c2s", outcome=outcome)
            self.assertEqual(number, 1, outcome)
        for rule in ("invite-used-up", "password-length"):
            self.assertEqual(await self.value("refusals_total", rule=rule), 1, rule)

    def test_documented_doors(self):
        """The manual names each door by which registrations are counted."""
        manual = Path(__file__).parents[2] / "docs" / "operations.md"
        (row,) = (
            line
            for line in manual.read_text().splitlines()
            if line.startswith("| `invitereg_registrations_total` |")
        )
        for door in ("c2s", "component", "web", "api"):
            self.assertIn(f"`{door}`", row)

    async def test_latencies(self):
        """Hashing and the database are timed."""
        await self.invite("a")
        await self.register("a")
        self.assertEqual(await self.value("hashing_seconds_count"), 1)
        for what in ("read", "write"):
            self.assertGreaterEqual(await self.value(f"database_{what}_seconds_count"), 2)

    async def test_invites(self):
        """Invites are counted by state, not more often than every minute."""
        await self.invite("a")
        pending = {"domain": DOMAIN, "status": "pending"}
        self.assertEqual(await self.value("invites", **pending), 1)
        await self.invite("b")
        self.assertEqual(await self.value("invites", **pending), 1)
        self.clock.advance(COUNT_EVERY)
        self.assertEqual(await self.value("invites", **pending), 2)
        self.clock.advance(timedelta(days=8).total_seconds())
        self.assertEqual(await self.value("invites", **pending), 0)
        self.assertEqual(await self.value("invites", domain=DOMAIN, status="expired"), 2)

    async def test_clock_set_back(self):
        """When the time of day is set back, invites are counted as before."""
        await self.invite("a")
        pending = {"domain": DOMAIN, "status": "pending"}
        self.assertEqual(await self.value("invites", **pending), 1)
        await self.invite("b")
        self.set_by = -timedelta(hours=5)
        self.clock.advance(COUNT_EVERY)
        self.assertEqual(await self.value("invites", **pending), 2)

    async def test_without_store(self):
        """All else is told also while the store does not answer."""
        self.patch(Store, "count_invites", lambda *_: fail(Unavailable("x")))
        self.meter.watch("streams", "Streams.", lambda: 7)
        self.assertEqual(await self.value("streams"), 7)

    async def test_requests(self):
        """Requests are counted by route; methods that we do not know are one."""
        for method in ("GET", "X1", "X2"):
            self.meter.answered("home", method, 200)
        number = await self.value(
            "http_requests_total", route="home", method="other", status="200"
        )
        self.assertEqual(number, 2)

    async def test_other_paths(self):
        """There is nothing else where monitoring asks."""
        for path in ("/", "/invites_api", "/api/v1/openapi.json"):
            self.assertEqual((await self.ask(path))[0], 404)

    async def test_each_its_own(self):
        """Two services in one process do not count for each other."""
        Prometheus().refused("closed")
        self.assertIsNone(await self.value("refusals_total", rule="closed"))
