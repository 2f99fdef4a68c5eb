"""What monitoring asks for, in Prometheus's text format.

Everything is in a registry of its own: several services may run in one process, as in tests.
https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Site

from invitereg.errors import Refused
from invitereg.interfaces import IInviteStore
from invitereg.metrics import Meter
from invitereg.model.invites import Status

_metrics_log = Logger("invitereg.web.metrics.MetricsPage")

COUNT_EVERY = 60.0  # seconds
"""To count a million invites takes a while: how old the counts may be."""

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_METHODS = {"GET", "HEAD", "POST", "PATCH"}


class Prometheus(Meter):
    """Counts what it is told.

    Attributes:
        registry: what is exposed.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._registrations = Counter(
            "invitereg_registrations",
            "Submissions to register or to set a password, by door and outcome.",
            ("door", "outcome"),
            registry=self.registry,
        )
        self._refusals = Counter(
            "invitereg_refusals",
            "Refused tokens and submissions, by the rule that refused.",
            ("rule",),
            registry=self.registry,
        )
        self._turned_away = Counter(
            "invitereg_refused_connections",
            "Connections that were closed as too many, by the limit that refused.",
            ("limit",),
            registry=self.registry,
        )
        self._requests = Counter(
            "invitereg_http_requests",
            "Requests of the web that were answered.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._hashing = self._histogram("invitereg_hashing", "Hashing one password.")
        self._reading = self._histogram("invitereg_database_read", "One read.")
        self._writing = self._histogram(
            "invitereg_database_write", "One transaction, of all jobs that waited for it."
        )
        self._invites = Gauge(
            "invitereg_invites",
            "Invites by state.",
            ("domain", "status"),
            registry=self.registry,
        )

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(f"{name}_seconds", text, buckets=_SECONDS, registry=self.registry)

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Expose a number that is read whenever somebody asks."""
        Gauge(f"invitereg_{name}", text, registry=self.registry).set_function(read)

    def registered(self, door: str, outcome: str) -> None:
        """See `Meter`."""
        self._registrations.labels(door, outcome).inc()

    def refused(self, rule: str) -> None:
        """See `Meter`."""
        self._refusals.labels(rule).inc()

    def turned_away(self, limit: str) -> None:
        """See `Meter`."""
        self._turned_away.labels(limit).inc()

    def answered(self, route: str, method: str, status: int) -> None:
        """See `Meter`."""
        known = method if method in _METHODS else "other"
        self._requests.labels(route, known, str(status)).inc()

    def hashing(self) -> AbstractContextManager[Any]:
        """See `Meter`."""
        return self._hashing.time()

    def reading(self) -> AbstractContextManager[Any]:
        """See `Meter`."""
        return self._reading.time()

    def writing(self) -> AbstractContextManager[Any]:
        """See `Meter`."""
        return self._writing.time()

    def counted(self, domain: str, invites: Mapping[Status, int]) -> None:
        """How many invites a domain has."""
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
        """``seconds`` is a clock that is never set back."""
        super().__init__()
        self._meter = meter
        self._store = store
        self._domains = domains
        self._now = now
        self._seconds = seconds
        self._counted_at: float | None = None

    def render_GET(self, request: Any) -> int:
        """Count what has to be counted, and answer."""
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)
        working = Deferred.fromCoroutine(self._count())
        working.addErrback(lambda failure: _metrics_log.failure("not counted", failure=failure))
        working.addCallback(lambda _counted: None if gone else self._answer(request))
        return NOT_DONE_YET

    def _answer(self, request: Any) -> None:
        request.setHeader(b"Content-Type", CONTENT_TYPE_PLAIN_0_0_4.encode())
        request.write(generate_latest(self._meter.registry))
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


def metrics_listener(page: MetricsPage, reactor: Any) -> Site:
    """What accepts the connections of monitoring."""
    root = _Root()
    root.putChild(b"metrics", page)
    return _Listener(root, parsePOSTFormSubmission=False, timeout=60, reactor=reactor)


class _Root(Resource):
    def getChild(self, _path: bytes, _request: Any) -> IResource:
        """There is nothing else here."""
        return notFound()


class _Listener(Site):
    noisy = False
    displayTracebacks = False  # noqa: N815 - Twisted's name

    def log(self, request: Any) -> None:
        """Not worth a line each time."""
