"""Whether the service is alive, and whether it can work: for monitoring and load balancers."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from invitereg.interfaces import IAccountStore

_health_log = Logger("invitereg.web.health.Ready")

READY_SECONDS = 2
"""How long the store may take to answer."""
FRESH_SECONDS = 1
"""How old an answer may be: strangers must not make the store work by asking."""

_Answer = tuple[int, bytes]


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

    _asking = False

    def __init__(self, store: IAccountStore, reactor: IReactorTime) -> None:
        super().__init__()
        self._store = store
        self._reactor = reactor
        self._known: _Answer = (503, b"")
        self._known_at: float | None = None
        self._waiting: list[Any] = []

    def look(self, request: Any) -> None:
        """Answer as the store did a moment ago, or with all others who ask meanwhile."""
        request.route = "readyz"
        now = self._reactor.seconds()
        if self._known_at is not None and now < self._known_at + FRESH_SECONDS:
            _answer(request, *self._known)
            return
        self._waiting.append(request)
        request.notifyFinish().addErrback(lambda _gone: self._forget(request))
        if not self._asking:
            self._ask()

    def _forget(self, request: Any) -> None:
        if request in self._waiting:
            self._waiting.remove(request)

    def _ask(self) -> None:
        """Ask the store; 503 if it fails, or does not answer in time."""
        self._asking = True
        asked: Deferred[Any] = self._store.server_key()
        asked.addTimeout(READY_SECONDS, self._reactor)
        asked.addCallbacks(lambda _key: (200, b"ready\n"), self._not_ready)
        asked.addCallback(self._tell)

    def _tell(self, answer: _Answer) -> None:
        self._asking = False
        self._known, self._known_at = answer, self._reactor.seconds()
        waiting, self._waiting = self._waiting, []
        for request in waiting:
            _answer(request, *answer)

    def _not_ready(self, failure: Any) -> _Answer:
        _health_log.warn("not ready: {reason}", reason=failure.getErrorMessage())
        return 503, b"the store does not answer\n"


def _answer(request: Any, status: int, text: bytes) -> None:
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    request.setHeader(b"Content-Length", b"%d" % len(text))
    request.write(text)
    request.finish()
