"""The ports that a service listens on: all of them, or none."""

import resource
from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.python.failure import Failure

BACKLOG = 4096


class StartFailure(SystemExit, Exception):
    """The service cannot start; the text is one line for the operator.

    As SystemExit it ends twistd with that line instead of a traceback. As Exception it is
    noticed by a twistd that has become a daemon, which would otherwise never tell its parent.
    """


class Ports:
    """Opens ports by Twisted's endpoint strings, and closes them."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._open: list[Any] = []

    def listen(self, listeners: Iterable[tuple[str, Any]]) -> None:
        """Listen everywhere, each with the factory that makes its protocols.

        Raises:
            StartFailure: one of them cannot be opened; none is open then.
        """
        for text, factory in listeners:
            failures: list[Failure] = []
            listening = maybeDeferred(self._listen, text, factory)
            listening.addCallbacks(self._open.append, failures.append)
            # Twisted's server endpoints listen, or fail to, before they return.
            if failures:
                for port in self._open:
                    port.stopListening()
                raise StartFailure(f"cannot listen on {text}: {_reason(failures[0])}")

    async def close(self) -> None:
        """Take no new connections."""
        for port in self._open:
            await maybeDeferred(port.stopListening)

    def _listen(self, text: str, factory: Any) -> Any:
        listening = serverFromString(self._reactor, text).listen(factory)
        return listening if "backlog=" in text else listening.addCallback(_queue_many)


def _queue_many(port: Any) -> Any:
    """Let more clients wait than Twisted's 50: the rest would try again after a second."""
    if hasattr(port, "socket"):
        port.socket.listen(BACKLOG)
    return port


def _reason(failure: Failure) -> object:
    reason: object = failure.value
    if isinstance(reason, CannotListenError):
        return reason.socketError
    if isinstance(reason, LookupError):
        return "systemd has handed over no such socket (see systemd.socket(5))"
    return reason


def allow_many_connections() -> None:
    """Take as many open files as we may: the usual 1,024 are fewer than ``limits.streams``."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
