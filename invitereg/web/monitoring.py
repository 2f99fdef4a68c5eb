"""Access log, health probes and metrics, for the operator's monitoring."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import unquote_to_bytes

import prometheus_client as prometheus
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import Request
from twisted.web.pages import notFound
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from invitereg.errors import Refused
from invitereg.interfaces.stores import IAccountStore, IInviteStore
from invitereg.model.invites import Status
from invitereg.runtime.deferreds import SharedCall
from invitereg.runtime.meter import Meter
from invitereg.web.channel import WebRequest

_access_log = Logger("invitereg.web.accesslog.AccessLog")

LINES_PER_NETWORK = 120
"""Most lines in a minute for requests of one network: some visits' worth."""
LINES = 3000
"""Most lines in a minute for requests of all networks."""
NETWORKS_NAMED = 10
"""Most networks that are named when lines were left out; the rest is one sum."""
_OTHERS = "other networks"
_MAX_PATH = 200
# Tokens and keys are longer than any word in a path of ours, also where they do not belong.
_SECRET = re.compile(r"[A-Za-z0-9_-]{20,}")
_INVITE = re.compile(r"(?<=/invite/)[^/]+")
_UNSAFE = re.compile(r"[^!-~]")


class AccessLog:
    """Writes a line for each request that was answered, within limits."""

    def __init__(self, meter: Meter | None = None) -> None:
        self._meter = meter or Meter()
        self._count = 0
        self._lines: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()

    def __call__(self, request: WebRequest) -> None:
        """Write a request's address, path and status, or count that it was left out."""
        method = (request.method or b"").decode("latin-1")
        self._meter.answered(request.route, method, request.code)
        if not self._is_let_through(request.network):
            return
        _access_log.info(
            "{address} {method} {path} {status} {size}",
            address=str(getattr(request, "client", "-")),
            method=_UNSAFE.sub("?", method)[:20],
            path=logged_path(request.uri or b""),
            status=request.code,
            size=request.sentLength,
        )

    def _is_let_through(self, network: str) -> bool:
        few = self._count < LINES and self._lines[network] < LINES_PER_NETWORK
        if few:
            self._count += 1
            self._lines[network] += 1
        elif network in self._left_out or len(self._left_out) < LINES:
            self._left_out[network] += 1
        else:  # whoever has many networks must not fill the memory instead
            self._left_out[_OTHERS] += 1
        return few

    def sum_up(self) -> None:
        """Log how many lines were left out, and start counting anew; call it every minute."""
        others = self._left_out.pop(_OTHERS, 0) + self._left_out.total()
        for network, count in self._left_out.most_common(NETWORKS_NAMED):
            self._tell(network, count)
            others -= count
        if others:
            self._tell(_OTHERS, others)
        self._count = 0
        self._lines.clear()
        self._left_out.clear()

    def _tell(self, network: str, count: int) -> None:
        _access_log.info(
            "{count} more requests of {network} left out within a minute",
            count=count,
            network=network,
        )


def logged_path(uri: bytes) -> str:
    """Return a path without secrets, and without the query, which may hold a key."""
    path = unquote_to_bytes(uri.partition(b"?")[0].partition(b"#")[0]).decode("latin-1")
    path = _UNSAFE.sub("?", path)
    for secret in (_INVITE, _SECRET):
        path = secret.sub("*", path)
    # Encoded twice, a token opens nothing, but whoever reads the log could undo that.
    path = "/".join("*" if "%" in part else part for part in path.split("/"))
    return path if len(path) <= _MAX_PATH else f"{path[:_MAX_PATH]}…"


_health_log = Logger("invitereg.web.health.Ready")

READY_SECONDS = 2
"""Seconds that the store may take to answer."""
FRESH_SECONDS = 1
"""Seconds that an answer is reused for: strangers must not make the store work."""

_Health = tuple[int, bytes]


class _Probe(Resource):
    """Answers GET and HEAD, and no other method."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def render(self, request: WebRequest) -> int:
        if request.method in (b"GET", b"HEAD"):
            self.look(request)
        else:
            request.setHeader(b"Allow", b"GET, HEAD")
            _answer(request, 405, b"only to be looked at\n")
        return NOT_DONE_YET

    def look(self, request: WebRequest) -> None:
        """Answer a probe."""
        raise NotImplementedError


class LivenessProbe(_Probe):
    """``/healthz``: the process answers, whatever else is wrong."""

    def look(self, request: WebRequest) -> None:
        request.route = "healthz"
        _answer(request, 200, b"alive\n")


class ReadinessProbe(_Probe):
    """``/readyz``: the store answers, too."""

    def __init__(self, store: IAccountStore, reactor: IReactorTime) -> None:
        super().__init__()
        self._store = store
        self._reactor = reactor
        self._known: _Health = (503, b"")
        self._known_at: float | None = None
        self._ask = SharedCall(self._ask_store)

    def look(self, request: WebRequest) -> None:
        """Answer as a moment ago, or ask the store once for all who wait."""
        request.route = "readyz"
        now = self._reactor.seconds()
        if self._known_at is not None and now < self._known_at + FRESH_SECONDS:
            _answer(request, *self._known)
            return
        asked = self._ask()
        request.notifyFinish().addErrback(lambda _gone: asked.cancel())
        asked.addCallbacks(lambda answer: _answer(request, *answer), lambda _gone: None)

    def _ask_store(self) -> Deferred[_Health]:
        """Ask the store; 503 if it fails, or does not answer in time."""
        asked: Deferred[Any] = self._store.server_key()
        asked.addTimeout(READY_SECONDS, self._reactor)
        asked.addCallbacks(lambda _key: (200, b"ready\n"), self._not_ready)
        return asked.addCallback(self._remember)

    def _remember(self, answer: _Health) -> _Health:
        self._known, self._known_at = answer, self._reactor.seconds()
        return answer

    def _not_ready(self, failure: Failure) -> _Health:
        _health_log.warn("not ready: {reason}", reason=failure.getErrorMessage())
        return 503, b"the store does not answer\n"


def _answer(request: WebRequest, status: int, text: bytes) -> None:
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    request.setHeader(b"Content-Length", b"%d" % len(text))
    request.write(text)
    request.finish()


_metrics_log = Logger("invitereg.web.metrics.MetricsPage")

COUNT_EVERY = 60.0  # seconds
"""Age that the counts may have: to count a million invites takes a while."""

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_METHODS = {"GET", "HEAD", "POST", "PATCH"}


class Prometheus(Meter):
    """Counts events in a Prometheus registry.

    Attributes:
        registry: what is exposed.
    """

    def __init__(self) -> None:
        self.registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=self.registry)
        prometheus.PlatformCollector(registry=self.registry)
        counter = partial(prometheus.Counter, registry=self.registry)
        timer = partial(prometheus.Histogram, registry=self.registry, buckets=_SECONDS)
        self._registrations = counter(
            "invitereg_registrations",
            "Submissions to register or to set a password, by door and outcome.",
            ("door", "outcome"),
        )
        self._refusals = counter(
            "invitereg_refusals",
            "Refused tokens and submissions, by the rule that refused.",
            ("rule",),
        )
        self._turned_away = counter(
            "invitereg_refused_connections",
            "Connections that were closed as too many, by the limit that refused.",
            ("limit",),
        )
        self._requests = counter(
            "invitereg_http_requests",
            "Requests of the web that were answered.",
            ("route", "method", "status"),
        )
        self._hashing = timer("invitereg_hashing_seconds", "Hashing one password.")
        self._reading = timer("invitereg_database_read_seconds", "One read.")
        self._writing = timer(
            "invitereg_database_write_seconds",
            "One transaction, of all jobs that waited for it.",
        )
        self._invites = prometheus.Gauge(
            "invitereg_invites",
            "Invites by state.",
            ("domain", "status"),
            registry=self.registry,
        )

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Expose a number that is read whenever somebody asks."""
        prometheus.Gauge(f"invitereg_{name}", text, registry=self.registry).set_function(read)

    def registered(self, door: str, outcome: str) -> None:
        self._registrations.labels(door, outcome).inc()

    def refused(self, rule: str) -> None:
        self._refusals.labels(rule).inc()

    def turned_away(self, limit: str) -> None:
        self._turned_away.labels(limit).inc()

    def answered(self, route: str, method: str, status: int) -> None:
        known = method if method in _METHODS else "other"
        self._requests.labels(route, known, str(status)).inc()

    def hashing(self) -> AbstractContextManager[object]:
        return self._hashing.time()

    def reading(self) -> AbstractContextManager[object]:
        return self._reading.time()

    def writing(self) -> AbstractContextManager[object]:
        return self._writing.time()

    def counted(self, domain: str, invites: Mapping[Status, int]) -> None:
        """Set the number of a domain's invites by status."""
        for status in Status:
            self._invites.labels(domain, status.value).set(invites.get(status, 0))


class MetricsPage(Resource):
    """Answers ``/metrics``.

    Not `prometheus_client.twisted.MetricsResource`: that runs WSGI in threads of the global
    reactor, and cannot wait for the store.
    """

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(
        self,
        meter: Prometheus,
        store: IInviteStore,
        domains: Iterable[str],
        now: Callable[[], datetime],
        seconds: Callable[[], float],
    ) -> None:
        super().__init__()
        self._meter = meter
        self._store = store
        self._domains = domains
        self._now = now
        self._seconds = seconds
        self._counted_at: float | None = None

    def render_GET(self, request: WebRequest) -> int:
        """Count the invites if the counts are too old, and answer."""
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)
        working = Deferred.fromCoroutine(self._count())
        working.addErrback(lambda failure: _metrics_log.failure("not counted", failure=failure))
        working.addCallback(lambda _counted: None if gone else self._answer(request))
        return NOT_DONE_YET

    def _answer(self, request: WebRequest) -> None:
        request.setHeader(b"Content-Type", CONTENT_TYPE_PLAIN_0_0_4.encode())
        request.write(prometheus.generate_latest(self._meter.registry))
        request.finish()

    async def _count(self) -> None:
        now, seconds = self._now(), self._seconds()
        if self._counted_at is not None and seconds - self._counted_at < COUNT_EVERY:
            return
        self._counted_at = seconds
        try:
            for domain in list(self._domains):
                self._meter.counted(domain, await self._store.count_invites(domain, now))
        except Refused as refusal:
            # Everything else is worth knowing most when the store does not answer.
            _metrics_log.warn("invites not counted: {refusal}", refusal=refusal)


def metrics_listener(page: MetricsPage, reactor: IReactorTime) -> Site:
    """Return the factory of connections to the metrics' port."""
    root = notFound()  # for all other paths
    root.putChild(b"metrics", page)
    return _MetricsSite(root, parsePOSTFormSubmission=False, timeout=60, reactor=reactor)


class _MetricsSite(Site):
    noisy = False
    displayTracebacks = False  # noqa: N815 - Twisted's name

    def log(self, request: Request) -> None:
        """Log nothing."""
