"""Serve sites, API, health and metrics as a configuration describes them."""

from collections.abc import Callable, Mapping
from datetime import datetime

from twisted.protocols.tls import TLSMemoryBIOFactory

from invitereg.config import Config, Tls
from invitereg.policy.networks import Address, Share
from invitereg.policy.values import Domain
from invitereg.runtime import IReactor
from invitereg.runtime.ports import Listeners
from invitereg.runtime.tls import Certificates
from invitereg.store.store import Store
from invitereg.usecases.issuer import Issuer
from invitereg.usecases.registrar import Registrar
from invitereg.web.api.auth import Authorization, Rates
from invitereg.web.api.invites import Invites
from invitereg.web.api.operations import operations_of
from invitereg.web.api.prosody import PROSODY_PATH, ProsodyInvites
from invitereg.web.api.registrations import Registrations
from invitereg.web.api.server import API_PATH, Api
from invitereg.web.connections import WebConnections
from invitereg.web.monitoring import (
    AccessLog,
    LivenessProbe,
    MetricsPage,
    Prometheus,
    ReadinessProbe,
    metrics_listener,
)
from invitereg.web.pages import Pages
from invitereg.web.settings import SiteSettings
from invitereg.web.site import WebDoor

Sites = Mapping[str, SiteSettings]


class WebService:
    """Serve sites and API, and apply what a reload may change.

    Attributes:
        meter: counts what happens in all parts of the service.
        access_log: logs requests; call its `sum_up` every minute.
    """

    def __init__(
        self,
        config: Config,
        domains: Mapping[str, Domain],
        now: Callable[[], datetime],
        reactor: IReactor,
    ) -> None:
        self.meter = Prometheus()
        self.access_log = AccessLog(self.meter)
        self._config = config
        self._domains = domains
        self._now = now
        self._reactor = reactor
        self._sites = dict(sites_of(config))
        self._rates = Rates(config.api_rate, reactor.seconds)
        self._certificates = (
            Certificates(_certificates_of(config, self._sites), [b"http/1.1"], now)
            if config.web.listen_tls
            else None
        )

    def listeners(self, store: Store, registrar: Registrar, issuer: Issuer) -> Listeners:
        """Return the endpoints to listen on, and the factories for them."""
        self._door = WebDoor(
            sites=self._sites,
            trusted_proxies=self._config.trusted_proxies,
            pages=Pages(self._domains, registrar, self._reactor).resource(),
            reactor=self._reactor,
        )
        self._mount_api(store, registrar, issuer)
        self._door.mount("healthz", LivenessProbe(), everywhere=True)
        self._door.mount("readyz", ReadinessProbe(store, self._reactor), everywhere=True)
        self._door.access_log = self.access_log
        self._door.connections = self._make_connections()
        return [*self._site_listeners(), *self._metrics_listeners(store)]

    def _mount_api(self, store: Store, registrar: Registrar, issuer: Issuer) -> None:
        authorization = Authorization(store, self._rates, self._now, self._reactor.seconds)
        operations = (
            *operations_of(Invites(issuer, store, self._now)),
            *operations_of(Registrations(registrar)),
        )
        self._door.mount(API_PATH, Api(operations, authorization, self._domains).resource())
        self._door.mount(PROSODY_PATH, ProsodyInvites(issuer, authorization).resource())

    def _make_connections(self) -> WebConnections:
        limits = self._config.web_limits
        connections = WebConnections(
            limits.connections_per_network,
            limits.connections,
            self._limited_networks,
            self.meter,
        )
        text = "Open connections to the site."
        self.meter.watch("web_connections", text, lambda: len(connections))
        return connections

    def _limited_networks(self, address: Address) -> tuple[Share, ...]:
        """Return the networks in which a connection counts; none if it counts in none."""
        # Which site it is for is not known yet: an address exempt at any domain is exempt.
        limits = [domain.policy.limits for domain in self._domains.values()]
        exempt = any(limit.allowlisted(address) for limit in limits)
        return () if exempt else limits[0].shares(address)

    def _site_listeners(self) -> Listeners:
        site, web = self._door.listener(), self._config.web
        listeners: Listeners = [(text, site) for text in web.listen]
        if self._certificates is None:
            return listeners
        secured = TLSMemoryBIOFactory(self._certificates, False, site)
        return [*listeners, *((text, secured) for text in web.listen_tls)]

    def _metrics_listeners(self, store: Store) -> Listeners:
        page = MetricsPage(self.meter, store, self._domains, self._now, self._reactor.seconds)
        site = metrics_listener(page, self._reactor)
        return [(text, site) for text in self._config.web.metrics_listen]

    def refresh_certificates(self) -> None:
        """Read the certificates again if their files have changed."""
        if self._certificates is not None:
            self._certificates.refresh()

    def replace_certificates(self, config: Config, sites: Sites) -> None:
        """Read the certificates of a new configuration.

        Raises:
            OSError, ValueError: one cannot be used; the old ones stay.
        """
        if self._certificates is not None and sites:
            self._certificates.replace(_certificates_of(config, sites))

    def replace(self, config: Config, sites: Sites) -> None:
        """Apply sites and limits of a new configuration."""
        self._sites.clear()
        self._sites.update(sites)
        self._door.trusted_proxies = config.trusted_proxies
        self._door.connections.per_network = config.web_limits.connections_per_network
        self._door.connections.altogether = config.web_limits.connections
        self._rates.limit = config.api_rate


def sites_of(config: Config) -> Sites:
    """Return the site of each domain that has one.

    Raises:
        OSError: a logo cannot be read.
    """
    return {name: SiteSettings.configured(name, keys) for name, keys in config.sites.items()}


def _certificates_of(config: Config, sites: Sites) -> dict[str, Tls]:
    """Return each site's certificate, by the host name that browsers ask for."""
    return {
        site.hostname: config.sites[domain].tls or config.tls[domain]
        for domain, site in sites.items()
    }
