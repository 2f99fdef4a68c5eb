"""Whether the service is alive, and whether it can work: for monitoring and load balancers."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from invitereg.interfaces import IAccountStore

READY_SECONDS = 2
"""How long the store may take to answer."""


class _Probe(Resource):
    """A leaf that is only looked at."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self) -> None:
        super().__init__()

    def render(self, request: Any) -> int:
        """Look, unless something else is asked for."""
        if request.method in (b"GET", b"HEAD"):
            self.look(request)
        else:
            request.setHeader(b"Allow", b"GET, HEAD")
            _answer(request, 405, b"only to be looked at\n")
        return NOT_DONE_YET

    def look(self, request: Any) -> None:
        """Find out, and answer."""
        raise NotImplementedError


class Alive(_Probe):
    """``/healthz``: the process answers, whatever else is wrong."""

    def look(self, request: Any) -> None:
        """Say so."""
        request.route = "healthz"
        _answer(request, 200, b"alive\n")


class Ready(_Probe):
    """``/readyz``: the store answers, too."""

    _log = Logger()

    def __init__(self, store: IAccountStore, reactor: IReactorTime) -> None:
        super().__init__()
        self._store = store
        self._reactor = reactor

    def look(self, request: Any) -> None:
        """Ask the store; 503 if it fails, or does not answer in time."""
        request.route = "readyz"
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)
        asked: Deferred[Any] = self._store.server_key()
        asked.addTimeout(READY_SECONDS, self._reactor)
        asked.addCallbacks(lambda _key: (200, b"ready\n"), self._not_ready)
        asked.addCallback(lambda answer: None if gone else _answer(request, *answer))

    def _not_ready(self, failure: Any) -> tuple[int, bytes]:
        self._log.warn("not ready: {reason}", reason=failure.getErrorMessage())
        return 503, b"the store does not answer\n"


def _answer(request: Any, status: int, text: bytes) -> None:
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    request.setHeader(b"Content-Length", b"%d" % len(text))
    request.write(text)
    request.finish()
