"""The service's life cycle: start, reload and stop all parts."""

import signal
import time
from dataclasses import replace
from datetime import UTC, datetime
from types import FrameType
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger, globalLogPublisher

from invitereg.accounts.embedded import EmbeddedAccounts
from invitereg.accounts.remote import NoLogins
from invitereg.config import Config, ConfigError, load
from invitereg.config.changes import as_served, fixed_changes, without_waiting
from invitereg.config.checks import DOUBT, policy_doubts
from invitereg.embedded.domain import EmbeddedDomain
from invitereg.errors import StoreError
from invitereg.interfaces.accounts import IAccounts, ILogins
from invitereg.model.lookalikes import load_looks
from invitereg.policy.inviting import FORMER_ADMIN, former_admins
from invitereg.policy.values import Domain
from invitereg.runtime.connections import ConnectionGate, ConnectionRate
from invitereg.runtime.logs import LogGuard
from invitereg.runtime.ports import Ports, StartFailure, allow_many_connections
from invitereg.runtime.systemd import ServiceManager
from invitereg.runtime.threads import Threads
from invitereg.runtime.tls import Certificates
from invitereg.service.maintenance import Upkeep, keep_of
from invitereg.service.remote import ServersBehind
from invitereg.service.web import WebService, sites_of
from invitereg.store.database import Database, open_database
from invitereg.store.store import Store
from invitereg.usecases.issuer import Issuer
from invitereg.usecases.registrar import Registrar
from invitereg.usecases.throttles import LoginThrottle
from invitereg.usecases.userinvites import UserInvites
from invitereg.xmpp.adhoc.invites import invite_commands
from invitereg.xmpp.c2s.listener import ALPN, C2SDoor, StreamCount, end_all
from invitereg.xmpp.gateway.check import UpstreamCheck, upstream_checks
from invitereg.xmpp.gateway.relay import stream_maker

_log = Logger("invitereg.tap.InviteregService")

STOP_SECONDS = 10
# Below `invitereg.runtime.workqueue.PATIENCE_SECONDS`, so that the log tells the cause first.
BUSY_SECONDS = 4


class InviteregService(Service):
    """Everything that runs for one configuration.

    The store is opened, and brought up to date, before any port listens.
    """

    name = "invitereg"

    def __init__(self, config: Config, reactor: Any) -> None:
        self._config = config
        self._reactor = reactor
        # Shared by all parts, and updated in place by `reload`.
        self._domains: dict[str, Domain] = {}
        self._tls = dict(config.client_certificates)
        self._certificates = Certificates(self._tls, [ALPN], self._now)
        self._web = WebService(config, self._domains, self._now, reactor)
        self._watches: list[LoopingCall] = []
        self._threads = Threads(reactor, config.work_queue)
        rate = ConnectionRate(config.connections, reactor.seconds)
        self._gate = ConnectionGate(
            self._domains, rate, config.trusted_proxies, self._web.meter
        )
        self._ports = Ports(reactor, self._gate)
        self._database: Database | None = None
        self._streams: StreamCount | None = None
        self._accounts: dict[str, IAccounts] = {}
        self._logins: dict[str, ILogins] = {}
        self._store: Store | None = None
        self._registrar: Registrar | None = None
        self._upkeep: Upkeep | None = None
        self._behind: ServersBehind | None = None
        self._upstreams: dict[str, UpstreamCheck] = {}
        self._manager = ServiceManager(reactor)
        self._guard = LogGuard(globalLogPublisher)

    def startService(self) -> None:
        """Open the store and listen.

        Raises:
            StartFailure: something is in the way; nothing is left open.
        """
        try:
            self._database = open_database(
                self._config.data_dir, self._threads, BUSY_SECONDS, self._web.meter
            )
        except StoreError as error:
            raise StartFailure(str(error)) from None
        self._guard.begin()
        allow_many_connections()
        load_looks()  # else the first who registers would wait for it, and everybody with them
        try:
            parts = self._put_together(self._database)
        except BaseException:
            self._guard.end()
            self._database.close()
            raise
        self._begin(*parts)
        super().startService()
        _log.info(
            "serving {domains} as configured in {path}",
            domains=", ".join(self._domains),
            path=str(self._config.path),
        )
        self._tell_doubts()
        # Not before a signal to stop would be heeded.
        self._reactor.callWhenRunning(self._manager.ready)

    def _put_together(self, database: Database) -> tuple[ServersBehind, Upkeep]:
        """Make all parts, of which none does anything by itself yet, and listen."""
        meter = self._web.meter
        self._store = store = Store(database)
        behind = self._make_behind(store)
        accounts = self._accounts
        for name, remote in behind.accounts.items():
            accounts[name] = remote
            self._logins[name] = NoLogins(remote, self._config.accounts[name])
        self._serve(self._config, store)
        registrar = Registrar(
            self._domains, store, accounts, self._now, self._config.keep_names, meter
        )
        door = self._make_door(store, registrar)
        self._streams, self._registrar = door.streams, registrar
        behind.open_doors(registrar, door.commands)
        meter.watch("streams", "Open streams of clients.", lambda: len(door.streams.open))
        meter.watch("queue_jobs", "Jobs that wait or run.", lambda: self._threads.waiting)
        web = self._web.listeners(store, accounts, registrar)
        upkeep = self._make_upkeep(door, store, behind)
        c2s = self._config.c2s
        self._ports.listen(door.listeners(c2s.listen, c2s.listen_tls), yielding=web)
        return behind, upkeep

    def _begin(self, behind: ServersBehind, upkeep: Upkeep) -> None:
        """Let the parts work."""
        self._behind, self._upkeep = behind, upkeep
        for upstream in self._upstreams.values():
            upstream.start()
        self._threads.start()
        upkeep.start()
        behind.start()
        self._watches = [self._certificates.watch(self._reactor), *self._web.watches()]
        # Without a handler, the signal would end the process.
        signal.signal(signal.SIGHUP, self._on_hangup)

    def _make_upkeep(self, door: C2SDoor, store: Store, behind: ServersBehind) -> Upkeep:
        return Upkeep(
            self._reactor,
            self._now,
            store,
            (*door.embedded.chores(), *behind.chores()),
            self._domains,
            keep_of(self._config),
            [*door.logs, self._gate.refusals, self._web.access_log, self._guard],
            [door.embedded.notices.forget_old],
        )

    def stopService(self) -> Deferred[Any]:
        """Say good-bye to every client, finish what is under way, and close the store."""
        super().stopService()
        self._manager.stopping()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self._ports.close()
        if self._streams is not None:
            ended = end_all(self._streams.open, "system-shutdown")
            # Every stream is dropped before that; but nothing may keep us from stopping.
            ended.addTimeout(STOP_SECONDS, self._reactor, lambda result, _seconds: result)
            await ended
        if self._upkeep is not None:
            self._upkeep.stop()
        for watch in self._watches:
            watch.stop()
        if self._behind is not None:
            closed = self._behind.stop()
            closed.addTimeout(STOP_SECONDS, self._reactor, lambda result, _seconds: result)
            await closed
        await self._stop_work()
        self._guard.end()
        self._manager.stopped()

    async def _stop_work(self) -> None:
        hangs: list[Any] = []
        stopped = self._threads.stop()
        stopped.addTimeout(STOP_SECONDS, self._reactor, lambda *cause: hangs.append(cause))
        await stopped
        if hangs:
            # As after a crash, the database recovers by itself.
            _log.warn("stopping although the database or a thread hangs")
        elif self._database is not None:
            self._database.close()

    def _make_behind(self, store: Store) -> ServersBehind:
        config, work = self._config, self._threads
        servers = config.backends, config.upstreams, self._domains
        try:
            return ServersBehind(*servers, store, self._reactor, self._now, work)
        except (OSError, ValueError) as error:
            raise StartFailure(f"{config.path}: {error}") from None

    def _serve(self, config: Config, store: Store) -> None:
        """Begin to serve the domains of ``config``, or go on; what each needs comes first."""
        for name in config.accounts.keys() - self._accounts.keys():
            parts = store, self._threads, self._now, self._web.meter
            embedded = EmbeddedAccounts.configured(name, config.accounts[name], *parts)
            self._accounts[name] = self._logins[name] = embedded
        known = {**config.accounts, **self._config.accounts}
        self._config = replace(self._config, accounts=known)
        self._domains.update(as_served(self._config, config))

    def _make_door(self, store: Store, registrar: Registrar) -> C2SDoor:
        streams = self._config.streams
        refusals = registrar.refusals
        self._upstreams = upstream_checks(self._config, self._reactor)
        issuer = Issuer(self._domains, store, self._accounts, self._now, refusals)
        return C2SDoor(
            domains=self._domains,
            registrar=registrar,
            logins=self._logins,
            throttle=LoginThrottle(self._domains, store, self._now),
            embedded=EmbeddedDomain(self._domains, store, self._now, streams.per_account),
            commands=invite_commands(
                UserInvites(issuer, store),
                self._reactor.seconds,
            ),
            streams=StreamCount(streams.unauthenticated_per_network, streams.unauthenticated),
            tls=self._certificates,
            reactor=self._reactor,
            make_stream=stream_maker(self._upstreams),
        )

    def _on_hangup(self, _number: int, _frame: FrameType | None) -> None:
        self._reactor.callFromThread(self.reload)

    def reload(self) -> None:
        """Read policy, texts and certificates again; connections stay open.

        A file with a mistake changes nothing. What cannot change while running is named in
        the log, and stays as it is.
        """
        if not self.running:
            return
        self._manager.reloading()
        try:
            self._reload()
        finally:
            self._manager.ready()

    def _reload(self) -> None:
        try:
            config, waiting = without_waiting(load(self._config.path), self._domains)
            sites = sites_of(config)
            tls = {**self._tls, **config.client_certificates}
            self._certificates.replace(tls)
            self._web.replace_certificates(config, sites)
        except (ConfigError, OSError, ValueError) as error:
            for line in str(error).split("\n"):
                _log.error("not reloaded, the old configuration stays: {line}", line=line)
            return
        for jid in former_admins(self._domains, config.domains):
            _log.warn(FORMER_ADMIN, jid=jid)
        if fixed := [*fixed_changes(self._config, config, self._domains), *waiting]:
            _log.warn("restart to change {keys}", keys=", ".join(fixed))
        self._gate.rate.limit = config.connections
        self._gate.trusted_proxies = config.trusted_proxies
        self._tls = tls
        self._web.replace(config, sites)
        if self._store and self._registrar and self._upkeep:
            self._serve(config, self._store)
            self._registrar.keep_names = config.keep_names
            self._upkeep.keep = keep_of(config)
        _log.info("reloaded {path}", path=str(config.path))
        self._tell_doubts()

    def _tell_doubts(self) -> None:
        for doubt in policy_doubts(self._domains.values()):
            _log.warn(DOUBT, doubt=doubt)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)
