"""`twistd invitereg` in a process of its own, and the operator beside it."""

import asyncio
import contextlib
import os
import random
import re
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import IsolatedAsyncioTestCase

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from invitereg.config import load
from invitereg.model.invites import Invite, Status
from invitereg.model.names import ascii_domain
from invitereg.policy.inviting import OPERATOR
from invitereg.runtime.threads import Inline
from invitereg.runtime.tls import write_certificate
from invitereg.service.assembly import Assembly
from invitereg.store.database import open_database
from invitereg.store.store import Store
from invitereg.usecases.newinvites import NewInvite

ROOT = Path(__file__).parents[2]
TWISTD = str(Path(sys.executable).with_name("twistd"))
NOBODY = 65534
# How root starts a process that owns nothing, and may write nowhere. It keeps one right, to
# read, as the Python that runs this may lie in root's own folder. Others need no change.
AS_NOBODY = (
    (
        *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
        *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
    )
    if os.geteuid() == 0
    else ()
)
# How a process begins that may have few files open, unless it asks for more.
WITH_FEW_FILES = ("sh", "-c", 'ulimit -S -n 64 && exec "$@"', "sh")
# What tests beside this one may be writing into the checkout: it is gone when it is to be read.
HALF_WRITTEN = shutil.ignore_patterns("*.pyc.*", "*dropin.cache*")
DOMAIN = "localhost"
SECONDS = 30
"""How long anything may take before a test gives up: a bound, not an expectation."""
PORTS = range(20000, 32000)
"""No system gives these to outgoing connections."""


class Service:
    """One service: its folder, its ports, its log, and its process while it runs.

    Attributes:
        secrets: tokens and passwords that must never be in the log.
        program: the command that runs it as twistd.
        domain: what it serves; its certificate is for that.
    """

    domain = DOMAIN
    program: tuple[str, ...] = (TWISTD,)

    def __init__(
        self,
        settings: str = "",
        beside: "Service | None" = None,
        upstream: str = "",
        limited: bool = False,
    ) -> None:
        """Write a configuration, ``beside`` another service on the same data or in a folder.

        All clients come from one address, so any number may connect unless it is ``limited``
        as services are by default. ``upstream`` is how an upstream server is reached, as a
        mapping in YAML.
        """
        self.folder = beside.folder if beside else Path(tempfile.mkdtemp(prefix="invitereg-"))
        self.port, self.tls_port = free_ports()
        self.config = self.folder / f"config-{self.port}.yaml"
        self.log = self.folder / f"log-{self.port}"
        self.secrets: list[str] = beside.secrets if beside else []
        self._process: subprocess.Popen[bytes] | None = None
        if beside is None:
            write_certificate(self.folder, ascii_domain(self.domain))
        endpoints = [
            f'["tcp:{port}:interface=127.0.0.1"]' for port in (self.port, self.tls_port)
        ]
        self.config.write_text(
            f"domain: {self.domain}\ndata_dir: data\n"
            "tls: {certificate: fullchain.pem, private_key: privkey.pem}\n"
            f"c2s: {{listen: {endpoints[0]}, listen_tls: {endpoints[1]}"
            + (f", upstream: {upstream}" if upstream else "")
            + "}\n"
            f"{settings if limited else _letting_all_connect(settings)}\n"
        )

    @property
    def certificate(self) -> Path:
        """What a client must trust."""
        return self.folder / "fullchain.pem"

    @cached_property
    def client_context(self) -> ssl.SSLContext:
        """What a client that trusts it, and nobody else, connects with."""
        return ssl.create_default_context(cafile=self.certificate)

    @property
    def data(self) -> Path:
        """The configured data_dir."""
        return self.folder / "data"

    # --- the process

    def launch(
        self, *, unprivileged: bool = False, few_files: bool = False, daemon: bool = False
    ) -> "subprocess.Popen[bytes]":
        """Start it, without waiting; what it says is appended to its log."""
        how = (*(AS_NOBODY if unprivileged else ()), *(WITH_FEW_FILES if few_files else ()))
        mode = ("--pidfile=pid", "--logfile=daemon.log") if daemon else ("-n", "--pidfile=")
        options = (*mode, "invitereg", "--config", str(self.config))
        command = [*how, *self.program, *options]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={
                    **os.environ,
                    "PYTHONPATH": str(self._copy_code() if unprivileged else ROOT),
                },
            )
        return self._process

    def _copy_code(self) -> Path:
        """Copy the code to where everybody may read it; the checkout may lie in root's home.

        A right to read everything is not enough: Alembic asks the system what the user may.
        """
        copy = self.folder / "code"
        for part in ("invitereg", "twisted"):
            shutil.copytree(ROOT / part, copy / part, ignore=HALF_WRITTEN, dirs_exist_ok=True)
        for path in (copy, *copy.rglob("*")):
            path.chmod(0o755)
        return copy

    def start(self, **options: bool) -> None:
        """Start it, and wait until it serves."""
        started = self._times_served()
        process = self.launch(**options)

        def serves() -> bool:
            assert process.poll() is None, f"it ended:\n{self.log_text()}"
            return self._times_served() > started

        wait_until(serves, "the service does not start")

    @property
    def pid(self) -> int:
        """The id of its process."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> int:
        """Stop it in the ordinary way; returns its exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(SECONDS)

    def kill(self) -> None:
        """End it as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(SECONDS)

    def remove(self) -> None:
        """End it, however it is, and remove its folder."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- the log

    def log_text(self) -> str:
        """Everything it said so far."""
        return self.log.read_text() if self.log.exists() else ""

    async def logged(self, pattern: str) -> str:
        """The first line of the log in which ``pattern`` is found, once there is one."""

        def found() -> list[str]:
            return [line for line in self.log_text().splitlines() if re.search(pattern, line)]

        await until(found, f"the log never says {pattern}")
        return found()[0]

    def check_log(self) -> None:
        """Raise AssertionError if the log has a traceback, or a secret."""
        text = self.log_text()
        for sign in ("Traceback", "Unhandled", "#critical"):
            assert sign not in text, text
        for secret in self.secrets:
            assert secret not in text, f"the log has {secret}:\n{text}"

    def _times_served(self) -> int:
        return self.log_text().count("#info] serving ")

    # --- who uses it

    def secret(self) -> str:
        """A new password, which must not come up in the log."""
        self.secrets.append(f"pw-{secrets.token_urlsafe(12)}")
        return self.secrets[-1]

    @contextlib.contextmanager
    def operator(self) -> Iterator["Operator"]:
        """The operator, who works on the store beside the service, as the command line does."""
        operator = Operator(self)
        try:
            yield operator
        finally:
            operator.database.close()

    def invite(self, **details: Any) -> str:
        """A new invite's token."""
        with self.operator() as operator:
            return operator.invite(**details)


class Operator:
    """Works on the store of a service in this process; closed by `Service.operator`."""

    def __init__(self, service: Service) -> None:
        config = load(service.config, serving=False, common_passwords=False)
        work = Inline()
        self._secrets = service.secrets
        self.domain = next(iter(config.domains))
        self.database = open_database(config.data_dir, work)
        self.store = Store(self.database)
        parts = Assembly(config, config.domains, self.store, work, self.now, {})
        self.issuer, self.registrar = parts.issuer, parts.registrar

    @staticmethod
    def now() -> datetime:
        """The time."""
        return datetime.now(UTC)

    def invite(self, **details: Any) -> str:
        """A new invite's token; see `NewInvite` for ``details``."""
        new = NewInvite(domain=self.domain, source="cli", **details)
        return self._token(outcome(self.issuer.create(new)))

    def reset(self, username: str) -> str:
        """The token of a new invite to set an account's password."""
        return self._token(outcome(self.issuer.create_reset(self.domain, username, OPERATOR)))

    def _token(self, made: tuple[Any, str]) -> str:
        _invite, token = made
        self._secrets.append(token)
        return token

    def pending_invites(self) -> Sequence[Invite]:
        """The invites that are good now, a thousand of them at most."""
        pending: Sequence[Invite] = outcome(
            self.store.list_invites(self.domain, self.now(), Status.PENDING, limit=1000)
        )
        return pending

    def usernames(self) -> list[str]:
        """The names of all accounts."""
        return [account.username for account in outcome(self.store.list_accounts(self.domain))]


def outcome(working: Any) -> Any:
    """What a Deferred that has fired has for us, or a coroutine that waits for such ones."""
    results: list[Any] = []
    if not isinstance(working, Deferred):
        working = Deferred.fromCoroutine(working)
    working.addBoth(results.append)
    (result,) = results
    if isinstance(result, Failure):
        result.raiseException()
    return result


def _letting_all_connect(settings: str) -> str:
    """Settings with `limits.connections` so high that nobody reaches it."""
    limit = "connections: {per_network: 100000}"
    for opening, key in (("limits: {", limit), ("policy: {", f"limits: {{{limit}}}")):
        if opening in settings:
            return settings.replace(opening, f"{opening}{key}, ", 1)
    return f"{settings}\npolicy: {{limits: {{{limit}}}}}"


def free_ports(count: int = 2) -> list[int]:
    """Choose TCP ports of 127.0.0.1 that nobody has, and that no outgoing connection is given.

    Workers that run tests side by side have a range each.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    size = len(PORTS) // workers
    mine = PORTS[worker % workers * size :][:size]
    with contextlib.ExitStack() as stack:
        ports: list[int] = []
        while len(ports) < count:
            port, probe = random.choice(mine), stack.enter_context(socket.socket())
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                # As long as nobody listens, two sockets may have the same one.
                if port not in ports:
                    ports.append(port)
        return ports


def wait_until(condition: Callable[[], Any], otherwise: str) -> None:
    """Wait for what another process does; fails with ``otherwise`` if it never does it."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)


async def until(condition: Callable[[], Any], otherwise: str) -> None:
    """As `wait_until`, while clients' streams go on."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, otherwise
        await asyncio.sleep(0.02)


async def within_bounds(working: Awaitable[Any]) -> Any:
    """The outcome of ``working``, unless it takes unreasonably long."""
    return await asyncio.wait_for(working, SECONDS)


class ServiceCase(IsolatedAsyncioTestCase):
    """Tests with one service for all of them, whose log must stay clean.

    Attributes:
        settings: what its configuration has besides names and places.
        kind: of the service.
    """

    settings = ""
    kind = Service
    service: Service

    @classmethod
    def setUpClass(cls) -> None:
        cls.service = cls.kind(cls.settings)
        cls.addClassCleanup(cls.service.remove)
        cls.service.start()

    def tearDown(self) -> None:
        self.service.check_log()
