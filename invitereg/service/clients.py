"""Serve XMPP clients: the listeners that a configuration describes, and their streams."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred

from invitereg.config import Config
from invitereg.embedded.domain import EmbeddedDomain
from invitereg.runtime import IReactor
from invitereg.runtime.ports import Listeners
from invitereg.runtime.tls import Certificates
from invitereg.service.assembly import Assembly
from invitereg.usecases.throttles import LoginThrottle
from invitereg.usecases.userinvites import UserInvites
from invitereg.xmpp.adhoc.invites import invite_commands
from invitereg.xmpp.c2s.listener import ALPN, C2SDoor, StreamCount, end_all
from invitereg.xmpp.gateway.check import upstream_checks
from invitereg.xmpp.gateway.relay import stream_maker


class Clients(Service):
    """Serve clients, and end all their streams when it stops.

    Attributes:
        certificates: those that clients see.
        door: what all listeners share; there once `listeners` was called.
    """

    door: C2SDoor

    def __init__(self, config: Config, now: Callable[[], datetime], reactor: IReactor) -> None:
        """Read the certificates.

        Raises:
            OSError, ValueError: one cannot be used.
        """
        self._config = config
        self._reactor = reactor
        self._tls = dict(config.client_certificates)
        self.certificates = Certificates(self._tls, [ALPN], now)
        self._upstreams = upstream_checks(config, reactor)

    def listeners(self, parts: Assembly) -> Listeners:
        """Return the endpoints to listen on, and the factories of their streams."""
        c2s, streams = self._config.c2s, self._config.streams
        per_account, seconds = streams.per_account, self._reactor.seconds
        self.door = C2SDoor(
            domains=parts.domains,
            registrar=parts.registrar,
            logins=parts.logins,
            throttle=LoginThrottle(parts.domains, parts.store, parts.now),
            embedded=EmbeddedDomain(parts.domains, parts.store, parts.now, per_account),
            commands=invite_commands(UserInvites(parts.issuer, parts.store), seconds),
            streams=StreamCount(streams.unauthenticated_per_network, streams.unauthenticated),
            tls=self.certificates,
            reactor=self._reactor,
            make_stream=stream_maker(self._upstreams),
        )
        return self.door.listeners(c2s.listen, c2s.listen_tls)

    def startService(self) -> None:
        """Ask the upstream servers whether they can be used, before the first client comes."""
        super().startService()
        for check in self._upstreams.values():
            check.start()

    def stopService(self) -> Deferred[Any]:
        """End all streams; fires when their connections are closed."""
        super().stopService()
        return end_all(self.door.streams.open, "system-shutdown")

    def replace_certificates(self, config: Config) -> None:
        """Read the certificates of a new configuration, and keep those of other domains.

        Raises:
            OSError, ValueError: one cannot be used; the old ones stay.
        """
        tls = {**self._tls, **config.client_certificates}
        self.certificates.replace(tls)
        self._tls = tls
