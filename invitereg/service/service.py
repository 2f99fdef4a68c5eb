"""The life cycle of the service: start, reload and stop."""

import signal
import time
from dataclasses import replace
from datetime import UTC, datetime

from twisted.application.service import MultiService, Service
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.logger import Logger, globalLogPublisher
from twisted.python.failure import Failure

from invitereg.config import Config, ConfigError, load
from invitereg.config.changes import domains_to_serve, fixed_changes, servable_now
from invitereg.config.checks import POLICY_WARNING, policy_warnings
from invitereg.errors import StoreError
from invitereg.model.lookalikes import load_looks
from invitereg.policy.inviting import FORMER_ADMIN, former_admins
from invitereg.policy.values import Domain
from invitereg.runtime import IReactor
from invitereg.runtime.connections import ConnectionGate, ConnectionRate
from invitereg.runtime.deferreds import deferred
from invitereg.runtime.logs import LogGuard
from invitereg.runtime.ports import Ports, StartFailure, allow_many_connections
from invitereg.runtime.systemd import ServiceManager
from invitereg.runtime.threads import Threads
from invitereg.service.assembly import Assembly
from invitereg.service.clients import Clients
from invitereg.service.maintenance import Maintenance, retention_of
from invitereg.service.remote import RemoteServers
from invitereg.service.web import WebService, sites_of
from invitereg.store.database import Database, open_database
from invitereg.store.store import Store

_log = Logger("invitereg.tap.InviteregService")

STOP_SECONDS = 10
"""How long each part may take to stop."""
# Below `invitereg.runtime.workqueue.PATIENCE_SECONDS`, so that the log tells the cause first.
BUSY_SECONDS = 4


class InviteregService(MultiService):
    """Run everything for one configuration.

    Parts stop in the order in which they start, one after the other. The ports come first: if
    one cannot be opened nothing else has started, and no client comes before the reactor runs.
    """

    name = "invitereg"

    def __init__(self, config: Config, reactor: IReactor) -> None:
        super().__init__()
        self._config = config
        self._reactor = reactor
        # Shared by all parts, and updated in place by `reload`.
        self._domains: dict[str, Domain] = {}
        self._clients = Clients(config, _now, reactor)
        self._web = WebService(config, self._domains, _now, reactor)
        self._threads = Threads(reactor, config.work_queue)
        self._gate = ConnectionGate(
            self._domains,
            ConnectionRate(config.connections, reactor.seconds),
            config.trusted_proxies,
            self._web.meter,
        )
        self._parts: Assembly | None = None
        self._maintenance: Maintenance | None = None
        self._manager = ServiceManager(reactor)
        self._guard = LogGuard(globalLogPublisher)

    def startService(self) -> None:
        """Open the store, bring it up to date, and listen.

        Raises:
            StartFailure: something is in the way; nothing is left open.
        """
        try:
            database = open_database(
                self._config.data_dir, self._threads, BUSY_SECONDS, self._web.meter
            )
        except StoreError as error:
            raise StartFailure(str(error)) from None
        self._guard.begin()
        allow_many_connections()
        load_looks()  # else the first who registers would wait for it, and everybody with them
        try:
            self._put_together(database)
            super().startService()
        except BaseException:
            self._guard.end()
            database.close()
            raise
        # Without a handler, the signal would end the process.
        signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(self.reload))
        _log.info(
            "serving {domains} as configured in {path}",
            domains=", ".join(self._domains),
            path=str(self._config.path),
        )
        self._log_policy_warnings()
        # Not before a signal to stop would be heeded.
        self._reactor.callWhenRunning(self._manager.ready)

    def _put_together(self, database: Database) -> None:
        """Make all parts; none does anything before it is started."""
        config, meter, store = self._config, self._web.meter, Store(database)
        remote = self._make_remote(store)
        parts = Assembly(
            config, self._domains, store, self._threads, _now, remote.accounts, meter
        )
        parts.logins.update(remote.logins)
        self._parts = parts
        self._serve(config, parts)
        clients = self._clients.listeners(parts)
        web = self._web.listeners(store, parts.registrar, parts.issuer)
        door = self._clients.door
        remote.open_doors(parts.registrar, door.commands)
        meter.watch("streams", "Open streams of clients.", lambda: len(door.streams.open))
        meter.watch("queue_jobs", "Jobs that wait or run.", lambda: self._threads.waiting)
        self._maintenance = self._make_maintenance(parts, remote)
        for part in (
            Ports(self._reactor, self._gate, clients, yielding=web),
            self._clients,
            self._maintenance,
            remote,
            _Storage(self._threads, database),
        ):
            self.addService(part)

    def _make_remote(self, store: Store) -> RemoteServers:
        config = self._config
        servers = config.backends, config.upstreams, self._domains
        try:
            return RemoteServers(*servers, store, self._reactor, _now, self._threads)
        except (OSError, ValueError) as error:
            raise StartFailure(f"{config.path}: {error}") from None

    def _make_maintenance(self, parts: Assembly, remote: RemoteServers) -> Maintenance:
        door, web = self._clients.door, self._web
        return Maintenance(
            self._reactor,
            _now,
            parts.store,
            self._domains,
            retention_of(self._config),
            each_second=(*door.embedded.chores(), *remote.chores()),
            each_minute=(
                *(log.sum_up for log in (*door.logs, self._gate.refusals)),
                web.access_log.sum_up,
                self._guard.sum_up,
                self._clients.certificates.refresh,
                web.refresh_certificates,
            ),
            each_round=[door.embedded.notices.forget_old],
        )

    def _serve(self, config: Config, parts: Assembly) -> None:
        """Serve the domains of ``config`` from now on; make first what each needs."""
        parts.add_accounts(config.accounts)
        known = {**config.accounts, **self._config.accounts}
        self._config = replace(self._config, accounts=known)
        self._domains.update(domains_to_serve(self._config, config))

    @deferred
    async def stopService(self) -> None:
        """End all streams, finish what is under way, and close the store."""
        Service.stopService(self)  # and not yet those of its parts
        self._manager.stopping()
        for part in self:
            stopped = maybeDeferred(part.stopService)
            stopped.addTimeout(STOP_SECONDS, self._reactor)
            # Nothing may keep the others from stopping.
            stopped.addErrback(_not_stopped, type(part).__name__)
            await stopped
        self._guard.end()
        self._manager.stopped()

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
            config, waiting = servable_now(load(self._config.path), self._domains)
            sites = sites_of(config)
            self._clients.replace_certificates(config)
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
        self._web.replace(config, sites)
        if self._parts and self._maintenance:
            self._serve(config, self._parts)
            self._parts.registrar.keep_names = config.keep_names
            self._maintenance.retention = retention_of(config)
        _log.info("reloaded {path}", path=str(config.path))
        self._log_policy_warnings()

    def _log_policy_warnings(self) -> None:
        for warning in policy_warnings(self._domains.values()):
            _log.warn(POLICY_WARNING, warning=warning)


class _Storage(Service):
    """Let the threads work, and close the database when they have finished."""

    def __init__(self, threads: Threads, database: Database) -> None:
        self._threads = threads
        self._database = database

    def startService(self) -> None:
        super().startService()
        self._threads.start()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        stopped = self._threads.stop()
        return stopped.addCallbacks(lambda _done: self._database.close(), self._hangs)

    def _hangs(self, cancelled: Failure) -> None:
        # As after a crash, the database recovers by itself.
        cancelled.trap(CancelledError)
        _log.warn("stopping although the database or a thread hangs")


def _not_stopped(failure: Failure, part: str) -> None:
    _log.failure("stopping although {part} has not stopped", failure=failure, part=part)


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)
