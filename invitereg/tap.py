"""The twistd plugin's service: the only place that knows all parts."""

import os
import resource
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python import usage
from twisted.python.failure import Failure

from invitereg.accounts.bydomain import AccountsByDomain
from invitereg.accounts.embedded import EmbeddedAccounts
from invitereg.accounts.scram import SCRAM_SHA_1, SCRAM_SHA_256
from invitereg.behind import ServersBehind
from invitereg.config import Config, ConfigError, load
from invitereg.domain.embedded import EmbeddedDomain
from invitereg.errors import StoreError
from invitereg.issuer import Issuer
from invitereg.logins import LoginThrottle
from invitereg.notify import ServiceManager
from invitereg.registrar import Registrar
from invitereg.store.database import Database
from invitereg.store.notices import SQLNoticeStore
from invitereg.store.sql import SQLStore
from invitereg.threads import Threads
from invitereg.tls import Certificates
from invitereg.upkeep import Keep, Upkeep
from invitereg.userinvites import UserInvites
from invitereg.xmpp.c2s import ALPN, C2SDoor, StreamCount, end_all
from invitereg.xmpp.invites import invite_commands
from invitereg.xmpp.phases import Phase
from invitereg.xmpp.sasl import PLAIN

STOP_SECONDS = 10
BACKLOG = 4096
# Less than what anybody waits (`invitereg.threads.PATIENCE_SECONDS`): then the log says why.
BUSY_SECONDS = 4
# What cannot change while the service runs.
_FIXED = ("data_dir", "store", "c2s", "accounts", "backends", "streams", "work_queue")


class Options(usage.Options):
    """The command line of ``twistd invitereg``."""

    optParameters = [  # noqa: N815, RUF012 - Twisted reads it from the class
        ["config", "c", None, "configuration file (default: $INVITEREG_CONFIG, ./config.yaml)"],
    ]


def makeService(options: Options, reactor: Any) -> IService:
    """The service that a configuration file describes.

    Raises:
        SystemExit: with every mistake in the file, a line each; nothing has been started.
    """
    # Its own clock is the time of day: set back an hour, nothing would happen for an hour.
    reactor.seconds = time.monotonic
    path = options["config"] or os.environ.get("INVITEREG_CONFIG") or "config.yaml"
    try:
        return InviteregService(load(Path(path)), reactor)
    except ConfigError as error:
        raise SystemExit(str(error)) from None


class StartFailure(SystemExit, Exception):
    """The service cannot start; the text is one line for the operator.

    As SystemExit it ends twistd with that line instead of a traceback. As Exception it is
    noticed by a twistd that has become a daemon, which would otherwise never tell its parent.
    """


class InviteregService(Service):
    """Everything that runs for one configuration.

    The store is opened, and brought up to date, before any port listens.
    """

    name = "invitereg"
    _log = Logger()

    def __init__(self, config: Config, reactor: Any) -> None:
        self._config = config
        self._reactor = reactor
        # Shared by all parts, and updated in place by `reload`.
        self._domains = dict(config.domains)
        self._certificates = Certificates(config.tls, [ALPN], self._now)
        self._watch: LoopingCall | None = None
        self._threads = Threads(reactor, config.work_queue)
        self._ports: list[Any] = []
        self._database: Database | None = None
        self._streams: StreamCount | None = None
        self._registrar: Registrar | None = None
        self._upkeep: Upkeep | None = None
        self._behind: ServersBehind | None = None
        self._manager = ServiceManager(reactor)

    def startService(self) -> None:
        """Open the store and listen.

        Raises:
            StartFailure: something is in the way; nothing is left open.
        """
        try:
            self._database = Database(self._config.data_dir, self._threads, BUSY_SECONDS)
        except StoreError as error:
            raise StartFailure(str(error)) from None
        _allow_many_connections()
        store = SQLStore(self._database)
        self._behind = self._make_behind(store)
        door = self._make_door(store, SQLNoticeStore(self._database))
        self._streams, self._registrar = door.streams, door.registrar
        self._listen(door)
        self._threads.start()
        self._upkeep = Upkeep(
            self._reactor,
            self._now,
            store,
            (*door.embedded.chores(), *self._behind.chores()),
            self._domains,
            _keep(self._config),
            [door.registrar.refusals, door.failed_logins],
            [door.embedded.teller.forget_old, *self._behind.old_errands()],
        )
        self._upkeep.start()
        self._behind.open_doors(
            self._domains, door.registrar, door.commands, self._reactor.seconds
        )
        self._behind.start()
        self._watch = self._certificates.watch(self._reactor)
        # Without a handler, the signal would end the process.
        signal.signal(signal.SIGHUP, self._on_hangup)
        super().startService()
        self._log.info(
            "serving {domains} as configured in {path}",
            domains=", ".join(self._domains),
            path=str(self._config.path),
        )
        # Not before a signal to stop would be heeded.
        self._reactor.callWhenRunning(self._manager.ready)

    def stopService(self) -> Deferred[Any]:
        """Say good-bye to every client, finish what is under way, and close the store."""
        super().stopService()
        self._manager.stopping()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for port in self._ports:
            await maybeDeferred(port.stopListening)
        if self._streams is not None:
            ended = end_all(self._streams.open, "system-shutdown")
            # Every stream is dropped before that; but nothing may keep us from stopping.
            ended.addTimeout(STOP_SECONDS, self._reactor, lambda result, _seconds: result)
            await ended
        if self._upkeep is not None:
            self._upkeep.stop()
        if self._watch is not None:
            self._watch.stop()
        if self._behind is not None:
            closed = self._behind.stop()
            closed.addTimeout(STOP_SECONDS, self._reactor, lambda result, _seconds: result)
            await closed
        await self._stop_work()
        self._manager.stopped()

    async def _stop_work(self) -> None:
        hangs: list[Any] = []
        stopped = self._threads.stop()
        stopped.addTimeout(STOP_SECONDS, self._reactor, lambda *cause: hangs.append(cause))
        await stopped
        if hangs:
            # As after a crash, the database recovers by itself.
            self._log.warn("stopping although the database or a thread hangs")
        elif self._database is not None:
            self._database.close()

    def _make_behind(self, store: SQLStore) -> ServersBehind:
        try:
            return ServersBehind(self._config.backends, store, self._reactor, self._now)
        except (OSError, ValueError) as error:
            raise StartFailure(f"{self._config.path}: {error}") from None

    def _make_door(self, store: SQLStore, notices: SQLNoticeStore) -> C2SDoor:
        config = self._config
        scram = [SCRAM_SHA_256, *([SCRAM_SHA_1] if config.accounts.scram_sha_1 else [])]
        own = EmbeddedAccounts(
            store, self._threads, self._now, config.accounts.scram_iterations, scram
        )
        accounts = AccountsByDomain(own, self._behind.accounts if self._behind else {})
        streams = config.streams
        return C2SDoor(
            domains=self._domains,
            registrar=Registrar(self._domains, store, accounts, self._now, config.keep_names),
            accounts=accounts,
            throttle=LoginThrottle(self._domains, store, self._now),
            embedded=EmbeddedDomain(
                self._domains, store, notices, self._now, streams.per_account
            ),
            commands=invite_commands(
                UserInvites(Issuer(self._domains, store, accounts, self._now), store),
                self._reactor.seconds,
            ),
            mechanisms=[*scram, PLAIN],
            streams=StreamCount(streams.unauthenticated_per_network, streams.unauthenticated),
            tls=self._certificates,
            reactor=self._reactor,
        )

    def _listen(self, door: C2SDoor) -> None:
        secured = TLSMemoryBIOFactory(self._certificates, False, door.listener(Phase.SECURED))
        clear = door.listener(Phase.CLEAR)
        listeners: list[tuple[str, Any]] = [(text, clear) for text in self._config.c2s.listen]
        listeners += [(text, secured) for text in self._config.c2s.listen_tls]
        for text, factory in listeners:
            failures: list[Failure] = []
            listening = maybeDeferred(self._open_port, text, factory)
            listening.addCallbacks(self._ports.append, failures.append)
            # Twisted's server endpoints listen, or fail to, before they return.
            if failures:
                self._give_up(text, failures[0])

    def _open_port(self, text: str, factory: Any) -> Any:
        listening = serverFromString(self._reactor, text).listen(factory)
        return listening if "backlog=" in text else listening.addCallback(_queue_many)

    def _give_up(self, text: str, failure: Failure) -> None:
        """Leave without a trace: half a service helps nobody."""
        for port in self._ports:
            port.stopListening()
        if self._database is not None:
            self._database.close()
        reason: object = failure.value
        if isinstance(reason, CannotListenError):
            reason = reason.socketError
        elif isinstance(reason, LookupError):
            reason = "systemd has handed over no such socket (see systemd.socket(5))"
        raise StartFailure(f"cannot listen on {text}: {reason}")

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
            config = load(self._config.path)
            self._certificates.replace({**self._config.tls, **config.tls})
        except (ConfigError, OSError, ValueError) as error:
            self._log.error("not reloaded, the old configuration stays: {error}", error=error)
            return
        fixed = [
            name for name in _FIXED if getattr(config, name) != getattr(self._config, name)
        ]
        self._domains.update(config.domains)
        if set(self._domains) - set(config.domains):
            fixed.append("domains (one cannot be removed)")
        if fixed:
            self._log.warn("restart to change {keys}", keys=", ".join(fixed))
        if self._registrar is not None and self._upkeep is not None:
            self._registrar.keep_names = config.keep_names
            self._upkeep.keep = _keep(config)
        self._log.info("reloaded {path}", path=str(config.path))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)


def _keep(config: Config) -> Keep:
    return Keep(addresses=config.keep_addresses, invites=config.keep_invites)


def _queue_many(port: Any) -> Any:
    """Let more clients wait than Twisted's 50: the rest would try again after a second."""
    if hasattr(port, "socket"):
        port.socket.listen(BACKLOG)
    return port


def _allow_many_connections() -> None:
    """Take as many open files as we may: the usual 1,024 are fewer than ``limits.streams``."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
