"""``invitereg check --online``: asks the servers upstream what they allow."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from invitereg.accounts.delegated import DelegatedAccounts
from invitereg.cli.workspace import Workspace
from invitereg.config import Config, load
from invitereg.errors import InvalidRequest
from invitereg.interfaces.leases import Task
from invitereg.interfaces.server import ServerFault
from invitereg.runtime.threads import Inline
from invitereg.service.remote import RemoteServers, ServerChecks
from invitereg.store.database import open_memory
from invitereg.store.store import Store
from invitereg.xmpp.gateway.check import check_registration
from invitereg.xmpp.gateway.failures import UpstreamFailure
from invitereg.xmpp.gateway.logincheck import LoginProblems, login_problems
from invitereg.xmpp.gateway.settings import upstream_of

SERVICE_SECONDS = 3.0
CONNECT_SECONDS = 10.0


def problems(path: Path, warn: Callable[[str], None]) -> Iterator[str]:
    """Yield a line for each thing that the servers upstream do not allow.

    The running service is asked first, as a component has one connection only.

    Args:
        path: of the configuration.
        warn: takes a line about each setting that may be unintended, but is no fault.
    """
    config = load(path, serving=False, common_passwords=False)
    left = dict(config.backends)
    log = ServerLog()
    with Workspace.open(path) as workspace:
        for domain, backend in config.backends.items():
            if backend.accounts.embedded:
                continue
            delegated = DelegatedAccounts(
                domain, workspace.store, workspace.now, time.sleep, SERVICE_SECONDS
            )
            try:
                answer = workspace.run(delegated.ask(Task.CHECK, ""))
                warnings = workspace.run(delegated.ask(Task.WARNINGS, ""))
            except InvalidRequest:
                continue
            del left[domain]
            yield from (f"{domain}: {text}" for text in answer)
            for text in warnings:
                warn(f"{domain}: {text}")
    if left or config.upstreams:
        yield from _ask_directly(left, config, warn)
    if any(one.accounts.backend == "ejabberd" for one in config.backends.values()):
        for text in log.complaints():
            warn(text)


def _ask_directly(
    left: dict[str, Any], config: Config, warn: Callable[[str], None]
) -> Iterator[str]:
    """Yield the faults of backends whose service does not run, and of servers upstream."""
    from twisted.internet import reactor

    reactor_: Any = reactor
    found: list[str] = []

    async def ask() -> None:
        remote = RemoteServers(
            left, config.upstreams, {}, Store(open_memory()), reactor_, _now, Inline()
        )
        remote.connect()
        for domain, component in remote.components.items():
            try:
                await component.when_ready(CONNECT_SECONDS)
            except ServerFault as fault:
                found.append(f"{domain}: {fault.text}")
                if left[domain].accounts.backend == "xmpp":
                    # It would say the same once more.
                    del remote.checks[domain]
        for domain, checks in remote.checks.items():
            found.extend(f"{domain}: {text}" for text in await checks.faults())
            for text in await _warnings(checks):
                warn(f"{domain}: {text}")
        await remote.stopService()
        for domain in config.upstreams:
            problems = await _upstream_problems(domain, config, reactor_)
            where = f"{domain}: the server at {config.upstreams[domain].connect}"
            found.extend(f"{where} {text}" for text in problems.faults)
            for text in problems.warnings:
                warn(f"{where} {text}")

    def run() -> None:
        asked = Deferred.fromCoroutine(ask())
        asked.addErrback(lambda failure: found.append(failure.getErrorMessage()))
        asked.addBoth(lambda _done: reactor_.stop())

    reactor_.callWhenRunning(run)
    reactor_.run()
    yield from dict.fromkeys(found)


async def _warnings(checks: ServerChecks) -> Sequence[str]:
    """Return what is doubtful about a server; nothing where its faults say why."""
    try:
        return await checks.warnings()
    except ServerFault:
        return []


async def _upstream_problems(domain: str, config: Config, reactor: Any) -> LoginProblems:
    """Return why a domain's upstream server cannot be used, or keeps some clients out."""
    host, trusted = config.hosts[domain], config.trusted_networks[domain]
    upstream = upstream_of(host, config.upstreams[domain], trusted)
    try:
        await check_registration(upstream, reactor)
        if domain not in config.gateways:
            return LoginProblems()
        return await login_problems(upstream, _usernames(domain, config), reactor)
    except UpstreamFailure as failure:
        return LoginProblems(faults=(f"cannot be used: {failure}",))


def _usernames(domain: str, config: Config) -> list[str]:
    """Return the names of accounts that may be at a domain's server."""
    username, _at, host = config.backends[domain].accounts.user.rpartition("@")
    own = [username] if host in (domain, config.hosts[domain]) else []
    told = [who for where, who in config.domains[domain].watchers if where == domain]
    return list(dict.fromkeys([*own, *sorted({*config.domains[domain].policy.admins, *told})]))


def _now() -> datetime:
    return datetime.now(UTC)


EJABBERD_LOG = Path("/var/log/ejabberd/ejabberd.log")
MOST_BYTES = 4 * 1024 * 1024
_PASSWORD = re.compile(rb'<<"(?:password|newpass)">>,\s*<<"(?!hidden_by_ejabberd)')
_LOGGED = (
    "{path} has the passwords of who registers, as ejabberd writes all arguments of its API "
    "there: set hide_sensitive_log_data: true, and remove that log"
)


class ServerLog:
    """The lines that a server has written into its log since this object was made."""

    def __init__(self, path: Path = EJABBERD_LOG) -> None:
        self._path = path
        self._start = _size(path)

    def complaints(self) -> Iterator[str]:
        """Yield what it should not have written; nothing where it cannot be read."""
        try:
            with self._path.open("rb") as log:
                log.seek(self._start if _size(self._path) >= self._start else 0)
                written = log.read(MOST_BYTES)
        except OSError:
            return
        if _PASSWORD.search(written):
            yield _LOGGED.format(path=self._path)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
