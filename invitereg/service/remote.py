"""Work with the servers that keep the accounts of domains, or that have a component of ours."""

import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, fail, maybeDeferred
from twisted.logger import Logger
from wokkel.generic import VersionHandler
from wokkel.ping import PingHandler

from invitereg._version import __version__
from invitereg.accounts.ejabberd import Ejabberd
from invitereg.accounts.ejabberdapi import Access
from invitereg.accounts.jobs import ServerJobs
from invitereg.accounts.remote import NoLogins, RemoteAccounts
from invitereg.accounts.xmppserver import XMPPServer
from invitereg.config import Backend
from invitereg.config.servers import Component, UpstreamKeys, secret_in
from invitereg.interfaces.accounts import ILogins
from invitereg.interfaces.server import CheckPassword, IServer, ServerFault, ServerUnreachable
from invitereg.interfaces.stores import IStore
from invitereg.policy.values import Domain
from invitereg.runtime import IReactor
from invitereg.runtime.logs import FaultLog
from invitereg.runtime.threads import Executor
from invitereg.service.maintenance import PeriodicTask
from invitereg.usecases.registrar import Registrar
from invitereg.xmpp.adhoc.commands import AdHocCommands
from invitereg.xmpp.component.connection import ComponentStream
from invitereg.xmpp.component.door import ComponentDoor
from invitereg.xmpp.component.hostping import HostPing
from invitereg.xmpp.component.notices import ComponentNotices
from invitereg.xmpp.disco import SessionDiscoHandler
from invitereg.xmpp.gateway.passwordcheck import PasswordCheck
from invitereg.xmpp.gateway.settings import upstream_of

_log = Logger("invitereg.serverchecks.ServerChecks")

LOOK_SECONDS = 10.0
"""How long to wait before a server that was away is asked again."""


class ServerChecks:
    """Find out what the server of one domain does not let us do.

    Attributes:
        ping: asks the server over its component, if there is one.
        by_component: whether accounts are made over the component, too.
    """

    def __init__(
        self,
        server: IServer,
        faults: FaultLog,
        *,
        by_component: bool,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; the server is asked from `start` on.

        Args:
            server: the server.
            faults: logs that the server cannot be asked.
            by_component: whether accounts are made over a component.
            seconds: a clock that never jumps.
        """
        self.ping: HostPing | None = None
        self._server = server
        self._faults = faults
        self.by_component = by_component
        self._looked = False
        self._seconds = seconds
        self._next_look = seconds()

    async def faults(self) -> Sequence[str]:
        """List what the server does not let us do, tried on accounts made for the purpose."""
        unanswered = await self.ping.problem() if self.ping is not None else None
        if unanswered is not None and self.by_component:
            return [unanswered]
        tried = await self._server.try_privileges()
        return [*([unanswered] if unanswered else []), *tried]

    async def warnings(self) -> Sequence[str]:
        """List settings that the server's operator may not have meant; raises ServerFault."""
        return list(await self._server.warnings())

    async def start_when_answered(self) -> None:
        """Call `start` until the server answers. Call it every second."""
        if not self._looked and self._seconds() >= self._next_look:
            self._next_look = self._seconds() + LOOK_SECONDS
            await self.start()

    async def start(self) -> None:
        """Log once what the server does not let us do; afterwards it is for those who ask."""
        if self._looked:
            return
        self._looked = True
        try:
            problem = await self._server.contacts_problem()
            warnings = await self.warnings()
        except ServerFault as fault:
            self._looked = False
            self._faults.failed(fault.text)
            return
        self._faults.worked()
        if problem is not None:
            self._warn(f"nobody can be made a contact by an invitation: {problem}")
        for text in warnings:
            self._warn(text)

    def _warn(self, text: str) -> None:
        _log.warn(
            "look at the server of {domain}: {text}", domain=self._server.domain, text=text
        )


class RemoteServers(Service):
    """Connect to the server of each domain that does not keep its accounts here.

    Attributes:
        components: the component at each domain's server, by domain.
        accounts: the remote backends, by domain.
        logins: what refuses logins to their accounts, by domain.
        checks: what tries each of their servers, by domain.
    """

    def __init__(
        self,
        backends: Mapping[str, Backend],
        upstreams: Mapping[str, UpstreamKeys],
        domains: Mapping[str, Domain],
        store: IStore,
        reactor: IReactor,
        now: Callable[[], datetime],
        executor: Executor,
    ) -> None:
        """Prepare, without connecting.

        ``domains`` may be updated while running; ``executor`` runs what takes long.

        Raises:
            OSError, ValueError: a file that is named in the configuration.
        """
        self.components: dict[str, ComponentStream] = {}
        self.accounts: dict[str, RemoteAccounts] = {}
        self.logins: dict[str, ILogins] = {}
        self.checks: dict[str, ServerChecks] = {}
        self._register_from: dict[str, tuple[str, ...]] = {}
        self._domains = domains
        self._store = store
        self._reactor = reactor
        self._now = now
        self._apis: list[Ejabberd] = []
        self._notices: list[ComponentNotices] = []
        self._jobs: list[ServerJobs] = []
        # No two processes are named alike, ever.
        node = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        for domain, backend in backends.items():
            if backend.component is not None:
                self._add_component(domain, backend.component, backend)
            keys = upstreams.get(domain)
            server = self._server(domain, backend, checks_passwords=keys is None)
            if server is not None:
                check = _password_check(server, backend, keys, reactor, executor)
                accounts = RemoteAccounts(server, store, reactor, now, check)
                self._add_accounts(accounts, node)
                self.logins[domain] = NoLogins(accounts, backend.accounts)

    def _add_component(self, domain: str, keys: Component, backend: Backend) -> None:
        secret = _secret(keys.secret_file, f"component of {domain}")
        self._register_from[domain] = keys.register_from
        self.components[domain] = ComponentStream(
            self._reactor, keys.connect, keys.jid, secret, backend.host, backend.trusted
        )

    def _add_accounts(self, accounts: RemoteAccounts, node: str) -> None:
        domain = accounts.domain
        self.accounts[domain] = accounts
        by_component = isinstance(accounts.server, XMPPServer)
        checks = self.checks[domain] = ServerChecks(
            accounts.server,
            accounts.faults,
            by_component=by_component,
            seconds=self._reactor.seconds,
        )
        if (component := self.components.get(domain)) is not None:
            answered = checks.start if by_component else None
            checks.ping = HostPing(component, answered, self._reactor.seconds)
        jobs = ServerJobs(accounts, self._store, node, self._now, self._domains, checks)
        accounts.provisioner.run_jobs = partial(jobs.run_briefly, self._reactor)
        self._jobs.append(jobs)

    def _server(
        self, domain: str, configured: Backend, *, checks_passwords: bool
    ) -> IServer | None:
        keys, host = configured.accounts, configured.host
        if keys.backend == "ejabberd":
            access = _access(domain, configured)
            api = Ejabberd(host, access, self._reactor, checks_passwords=checks_passwords)
            self._apis.append(api)
            return api
        if keys.backend == "xmpp":
            return XMPPServer(host, self.components[domain], self._reactor)
        return None

    def chores(self) -> Iterator[PeriodicTask]:
        """Yield the functions to call every second."""
        for accounts in self.accounts.values():
            yield accounts.provisioner.settle
        for jobs in self._jobs:
            yield jobs.run
        for checks in self.checks.values():
            if not checks.by_component:  # Else the server says by itself when it is there.
                yield checks.start_when_answered
        for notices in self._notices:
            yield notices.send_new

    def open_doors(self, registrar: Registrar, commands: AdHocCommands) -> None:
        """Serve registrations, commands and notices over the components."""
        seconds = self._reactor.seconds
        for name, component in self.components.items():
            door = ComponentDoor(
                partial(self._domains.__getitem__, name),
                registrar,
                commands,
                self._register_from[name],
                seconds,
            )
            version = VersionHandler("invitereg", __version__)
            for handler in (door, SessionDiscoHandler(), PingHandler(), version):
                handler.setHandlerParent(component)
            if name in self.accounts:
                parts = self._domains, self._store, self._now, seconds
                notices = ComponentNotices(component.host, component.jid, component.ask, *parts)
                notices.setHandlerParent(component)
                self._notices.append(notices)

    def startService(self) -> None:
        """Connect the components, and log what the servers do not let us do."""
        super().startService()
        for domain, checks in self.checks.items():
            if checks.ping is not None:
                checks.ping.setHandlerParent(self.components[domain])
        self.connect()

    def connect(self) -> None:
        """Connect the components, and keep them connected."""
        for component in self.components.values():
            component.start()

    def stopService(self) -> Deferred[Any]:
        """Close all connections; fires when they are closed."""
        super().stopService()
        closing = [maybeDeferred(component.stop) for component in self.components.values()]
        closing += [maybeDeferred(api.close) for api in self._apis]
        return DeferredList(closing, consumeErrors=True)


def _access(domain: str, configured: Backend) -> Access:
    keys, where = configured.accounts, f"accounts of {domain}"
    return Access(
        url=keys.url,
        user=keys.user or None,
        password=_secret(keys.password_file, where) if keys.password_file else None,
        token=_secret(keys.token_file, where) if keys.token_file else None,
        ca=keys.ca,
        trusted=configured.trusted,
    )


def _secret(path: Path, where: str) -> str:
    try:
        return secret_in(path)
    except ValueError as error:
        raise ValueError(f"{where}: {path} {error}") from None


def _password_check(
    server: IServer,
    backend: Backend,
    keys: UpstreamKeys | None,
    reactor: IReactor,
    executor: Executor,
) -> CheckPassword:
    """Return a check of passwords: by a login at the upstream server, or ejabberd's API."""
    host = backend.host
    if keys is None:
        if isinstance(server, Ejabberd):
            return server.check_password
        return partial(_unchecked, host)
    return PasswordCheck(upstream_of(host, keys, backend.trusted), reactor, executor.run).check


def _unchecked(domain: str, _username: str, _password: str) -> Deferred[bool]:
    return fail(
        ServerUnreachable(
            f"passwords at {domain} cannot be checked: they are by a login at its server, the "
            "way to which is c2s.upstream: configure it"
        )
    )
