"""Listen at all ports of a service, or at none."""

import os
import resource
import sys
from collections.abc import Sequence
from socket import IPPORT_RESERVED
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IProtocolFactory
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from invitereg.config.endpoints import is_proxied, without_proxy
from invitereg.runtime import IReactor
from invitereg.runtime.connections import ConnectionGate, ForwardedFactory, GatedFactory
from invitereg.runtime.deferreds import deferred
from invitereg.runtime.logs import FaultLog
from invitereg.runtime.proxyprotocol import ProxiedFactory

_log = Logger("invitereg.ports.Ports")

Listeners = Sequence[tuple[str, IProtocolFactory]]
"""Endpoints as Twisted writes them, each with the factory of the protocols there."""

BACKLOG = 4096
KEPT_DESCRIPTORS = 64
"""Open files that are kept for the database and for upstream servers."""
PAUSE_SECONDS = 0.1
"""How long a port pauses when no descriptor was free for a new connection."""
YIELDING_SHARE = 0.75
"""The part of all open files above which yielding ports accept no connections."""
_RESERVED = (
    f"ports below {IPPORT_RESERVED} are root's: let systemd hold it (docs/operations.md, "
    '"Low ports"), or another program pass its connections on'
)


class StartFailure(SystemExit, Exception):
    """Report in one line why the service cannot start.

    As a SystemExit it ends twistd with that line instead of a traceback. As an Exception it is
    noticed by a twistd that has become a daemon, which otherwise never tells its parent.
    """

    # A daemon's parent prints this before the text, and altogether a hundred bytes.
    __module__ = "invitereg"


class Ports(Service):
    """Listen at all ports while it runs."""

    def __init__(
        self,
        reactor: IReactor,
        gate: ConnectionGate | None,
        listeners: Listeners,
        yielding: Listeners = (),
    ) -> None:
        """Listen at no port yet.

        Where open files (RLIMIT_NOFILE) become scarce, the ports that are ``yielding`` stop
        taking connections first, so that some are left for the others.

        Args:
            reactor: what listens.
            gate: decides which connections to accept; None accepts all.
            listeners: the endpoints and their factories.
            yielding: those that yield to the others.
        """
        self._reactor = reactor
        self._gate = gate
        self._listeners = listeners
        self._yielding = yielding
        self._open: list[Any] = []

    def startService(self) -> None:
        """Listen everywhere.

        Raises:
            StartFailure: a port cannot be opened; none is open then.
        """
        super().startService()
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if limit == resource.RLIM_INFINITY:
            limit = sys.maxsize
        self._listen_all(self._listeners, limit - KEPT_DESCRIPTORS)
        self._listen_all(self._yielding, int(limit * YIELDING_SHARE))

    def _listen_all(self, listeners: Listeners, descriptors: int) -> None:
        for text, factory in listeners:
            failures: list[Failure] = []
            listening = maybeDeferred(self._listen, text, factory)
            listening.addCallback(self._spare, text, descriptors)
            listening.addCallbacks(self._open.append, failures.append)
            # Twisted's server endpoints listen, or fail to, before they return.
            if failures:
                for port in self._open:
                    port.stopListening()
                raise StartFailure(f"cannot listen on {text}: {_reason(failures[0])}")

    @deferred
    async def stopService(self) -> None:
        """Accept no new connections; fires when all ports are closed."""
        super().stopService()
        for port in self._open:
            await maybeDeferred(port.stopListening)

    def _spare(self, port: Any, text: str, descriptors: int) -> Any:
        # Outside the endpoint's own wrappers and TLS: a refused connection costs nothing more.
        if hasattr(port, "factory"):
            if self._gate is not None and not is_proxied(text):
                port.factory = GatedFactory(port.factory, self._gate)
            # Outermost, as it must see all new connections.
            faults = FaultLog(_log, f"Port {text}")
            port.factory = SparingFactory(port.factory, descriptors, faults)
            self._let_pause(port, port.factory)
        return port

    def _let_pause(self, port: Any, factory: "SparingFactory") -> None:
        """Let a port pause when it could accept no connection.

        No descriptor was free then, and the reactor would try again at once, for ever.
        """
        read = port.doRead

        def read_or_pause() -> None:
            before = factory.asked
            read()
            if factory.asked == before and port.connected:
                port.stopReading()
                self._reactor.callLater(PAUSE_SECONDS, go_on)

        def go_on() -> None:
            if port.connected and not port.disconnecting:
                port.startReading()

        port.doRead = read_or_pause

    def _listen(self, text: str, factory: IProtocolFactory) -> Any:
        if is_proxied(text):
            if self._gate is not None:
                factory = ForwardedFactory(factory, self._gate, self._reactor)
            factory = ProxiedFactory(factory, text)
        endpoint = serverFromString(self._reactor, without_proxy(text))
        listening = endpoint.listen(factory)
        return listening if "backlog=" in text else listening.addCallback(_queue_many)


class SparingFactory(ServerFactory):
    """Pass connections on to another factory as long as enough descriptors are free.

    Attributes:
        asked: how many connections came, accepted or not.
    """

    noisy = False

    def __init__(self, factory: ServerFactory, most: int, faults: FaultLog) -> None:
        """Accept connections while fewer than ``most`` descriptors are open in the process."""
        self._factory = factory
        self._most = most
        self._faults = faults
        self.asked = 0

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Return the protocol of a connection; None closes it at once."""
        self.asked += 1
        if next_descriptor(self._most) >= self._most:
            cause = f"{self._most} files are open: no more connections (see LimitNOFILE)"
            self._faults.failed(cause)
            return None
        self._faults.worked()
        return self._factory.buildProtocol(addr)

    def doStop(self) -> None:
        self._factory.doStop()


def next_descriptor(most: int) -> int:
    """Return the lowest free descriptor, as so many are in use; ``most`` if none is free."""
    try:
        descriptor = os.open(os.sep, os.O_RDONLY)
    except OSError:
        return most
    os.close(descriptor)
    return descriptor


def _queue_many(port: Any) -> Any:
    """Lengthen the listen queue: Twisted's 50 let other clients wait for a second."""
    if hasattr(port, "socket"):
        port.socket.listen(BACKLOG)
    return port


def _reason(failure: Failure) -> object:
    reason: object = failure.value
    if isinstance(reason, CannotListenError):
        # Of a UNIX socket, the port is its path.
        reserved = isinstance(reason.port, int) and reason.port < IPPORT_RESERVED
        if reserved and isinstance(reason.socketError, PermissionError):
            return f"{reason.socketError}: {_RESERVED}"
        return reason.socketError
    if isinstance(reason, LookupError):
        return "systemd has handed over no such socket (see systemd.socket(5))"
    return reason


def allow_many_connections() -> None:
    """Raise the limit of open files: the usual 1,024 are fewer than ``limits.streams``."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
