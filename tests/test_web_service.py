"""The web as a configuration describes it, before and after a reload."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from twisted.web.resource import Resource

from invitereg.config import Config, load
from invitereg.service.web import WebService, sites_of
from invitereg.web.monitoring import metrics_listener
from tests.usecases.case import UseCase
from tests.web.test_connections import Client

HERE, LISTED, PROXY = "192.0.2.1", "198.51.100.1", "203.0.113.1"


class ReloadTests(UseCase):
    def setUp(self) -> None:
        super().setUp()
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "config.yaml"
        config = self.config("{connections_per_network: 2, connections: 6}")
        self.domains = dict(config.domains)
        self.service = WebService(config, self.domains, self.now, Clock())
        listeners = self.service.listeners(self.store, self.registrar, self.issuer)
        self.factory: Any = listeners[0][1]

    def config(self, limits: str, allowlist: str = f"[{LISTED}]") -> Config:
        self.path.write_text(
            "domain: example.com\n"
            f"policy: {{limits: {{web: {limits}, allowlist: {allowlist}}}}}\n"
            "web: {external_url: 'https://example.com/', trusted_proxies: [" + PROXY + "]}\n"
        )
        return load(self.path, serving=False)

    def reload(self, config: Config) -> None:
        self.domains.update(config.domains)
        self.service.replace(config, sites_of(config))

    def taken(self, host: str, count: int = 4) -> int:
        """How many connections of so many are taken; they stay open."""
        return sum(not Client(self.factory, Clock(), host).gone for _ in range(count))

    def test_limits(self) -> None:
        """Connections are bounded as configured: one network's, and all."""
        self.assertEqual(self.taken(HERE), 2)
        self.assertEqual(self.taken("2001:db8::1"), 2)
        self.assertEqual(self.taken("10.0.0.2"), 2)
        self.assertEqual(self.taken("10.1.0.3"), 0)

    def test_metric(self) -> None:
        """Monitoring counts those that are refused, and no others."""
        counted = ("invitereg_refused_connections_total", {"limit": "web"})
        self.taken(HERE, 2)
        self.assertIsNone(self.service.meter.registry.get_sample_value(*counted))
        self.taken(HERE, 3)
        self.assertEqual(self.service.meter.registry.get_sample_value(*counted), 3)

    def test_quiet(self) -> None:
        """That it begins and ceases to listen is no news for the log."""
        lines: list[LogEvent] = []
        globalLogPublisher.addObserver(lines.append)
        self.addCleanup(globalLogPublisher.removeObserver, lines.append)
        listeners = [self.factory, metrics_listener(Resource(), Clock())]
        for listener in listeners:
            listener.doStart()
            listener.doStop()
        self.assertEqual(lines, [])

    def test_exempt(self) -> None:
        """Networks on the allowlist, and proxies, are bounded altogether only."""
        self.assertEqual(self.taken(LISTED), 4)
        self.assertEqual(self.taken(PROXY), 2)

    def test_reload(self) -> None:
        """Other limits, and another allowlist, hold at once."""
        self.assertEqual(self.taken(HERE), 2)
        self.reload(self.config("{connections_per_network: 3, connections: 7}", "[]"))
        self.assertEqual(self.taken(HERE), 1)
        self.assertEqual(self.taken(LISTED), 3)
        self.assertEqual(self.taken(PROXY), 1)
