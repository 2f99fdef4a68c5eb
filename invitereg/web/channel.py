"""HTTP connections and requests, bounded in size and in time."""

import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger, LogPublisher
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource
from twisted.web.server import Request

from invitereg.model.invites import generate_invite_id
from invitereg.policy.networks import Address, Share
from invitereg.runtime.workqueue import Client, on_behalf_of
from invitereg.web.connections import WebConnections
from invitereg.web.settings import SiteSettings

_log = Logger("invitereg.web.request.WebRequest")

_ABSOLUTE = re.compile(rb"https?://([^/?#]+)(.*)", re.IGNORECASE | re.DOTALL)
MAX_BODY = 64 * 1024
MAX_BODY_PIECES = 1024
"""Most pieces of a body, each of which costs as much as hundreds of bytes."""


# https://www.w3.org/TR/fetch-metadata/; apps and old browsers send none of these.
_BY_SCRIPT = ("cors", "same-origin")
_NOT_TO_READ = ("no-cors", "websocket")
_FRAMES = ("embed", "fencedframe", "frame", "iframe", "object")


class BodyTooLarge(Exception):
    """A body passes the limit; the rest of it is not read."""


class WebRequest(Request):
    """Holds a request, and what the site found out about it.

    Attributes:
        served: the site that is asked for.
        client: the address by which the request is judged.
        network: of the client, which takes turns with others and has its lines in the log.
        shares: the networks in which it is counted.
        too_large: its body passes the limit, and was not kept.
        route: what was asked for, without what is secret in it, for log and metrics.
    """

    served: SiteSettings
    client: Address
    network = "-"
    shares: tuple[Share, ...] = ()
    too_large = False
    route = "other"
    channel: "Channel"

    def header_values(self, name: str) -> list[str]:
        """Return all values of a header; what is not UTF-8 in them is replaced."""
        values = self.requestHeaders.getRawHeaders(name.encode("ascii"), [])
        return [value.decode("utf-8", "replace") for value in values]

    def header(self, name: str) -> str:
        """Return the last value of a header, as Twisted takes it; "" if there is none."""
        values = self.header_values(name)
        return values[-1] if values else ""

    @property
    def is_embedded(self) -> bool:
        """Whether a browser loads the address without its visitor having opened it.

        So it is for ``<img src=…>`` on a page of anybody, for a frame, and for a prefetch: a
        page is of no use to these, as none of them shows it.
        """
        return (
            self.header("sec-fetch-mode") in _NOT_TO_READ
            or self.header("sec-fetch-dest") in _FRAMES
            or "prefetch" in self.header("sec-purpose")
        )

    @property
    def is_scripted(self) -> bool:
        """Whether a script on a web page asks, which may be one that resolves links."""
        return self.header("sec-fetch-mode") in _BY_SCRIPT

    def getRequestHostname(self) -> bytes:
        """Return a fixed name: nothing of ours depends on what the client says."""
        return b"localhost"

    def setResponseCode(self, code: int, message: bytes | None = None) -> None:
        """Set the status, with the phrase of RFC 9110 §15, of which Twisted lacks some."""
        super().setResponseCode(code, message or HTTPStatus(code).phrase.encode())

    def render(self, resource: IResource) -> None:
        """Render a resource; the jobs that it asks for count as the client's."""
        with on_behalf_of(Client("web", self.shares)):
            super().render(resource)

    def gotLength(self, length: int | None) -> None:
        self._received = self._pieces = 0
        super().gotLength(0 if self.too_large else length)

    def handleContentChunk(self, data: bytes) -> None:
        """Take a part of the body.

        Raises:
            BodyTooLarge: it is too much by now.
        """
        self._received += len(data)
        self._pieces += 1
        if self._received > MAX_BODY or self._pieces > MAX_BODY_PIECES:
            self.too_large = True
            raise BodyTooLarge
        super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Wait for a turn; the request is complete."""
        path = self._origin_form(path)
        self.channel.enqueue(partial(super().requestReceived, command, path, version))

    def _origin_form(self, target: bytes) -> bytes:
        """Return a target as its path; a whole address names the host (RFC 9112 §3.2.2)."""
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None:
            return target
        authority, path = absolute.groups()
        if len(self.requestHeaders.getRawHeaders(b"host", [])) == 1:
            self.requestHeaders.setRawHeaders(b"Host", [authority])
        return path if path.startswith(b"/") else b"/" + path

    def begin(self, begin: Callable[[], None]) -> bool:
        """Start answering; return False if the client has gone meanwhile."""
        if self._disconnected:
            return False
        try:
            begin()
        except Exception:
            self.processingFailed(Failure())
        return True

    def blame(self, reason: Failure) -> str:
        """Log an unexpected error; return the id under which the log has it."""
        error_id = generate_invite_id()
        _log.failure(
            "a request failed ({route}, error {id})",
            failure=reason,
            route=self.route,
            id=error_id,
        )
        return error_id

    def processingFailed(self, reason: Failure) -> None:
        error_id = self.blame(reason)
        if not self.startedWriting and not self._disconnected:
            body = f"The server has a problem (error {error_id}). Please try again later.\n"
            self.setResponseCode(500)
            self.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
            self.write(body.encode())
        if not self.finished and not self._disconnected:
            self.finish()


IDLE_SECONDS = 15
"""Seconds that a connection may be idle before its first request or the next."""
PROXY_IDLE_SECONDS = 90
"""Seconds for a trusted proxy's connection; proxies close earlier (nginx: 60)."""
REQUEST_SECONDS = 15
"""Seconds that one request may take to arrive, from its first byte to its last."""
LINGER_SECONDS = 5
"""Seconds that a refused body is still read, so that the answer is not lost."""
UNREAD_SECONDS = 15
"""Seconds that a client may take to read 64 KiB, or what is there, of an answer."""
_UNREAD_PIECE = 64 * 1024
_MAX_REFUSED = 1024 * 1024
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 15\r\nConnection: close\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 50\r\n\r\n"
    b"Too many connections. Please try again in a while\n"
)
_IDENTITY = re.compile(rb"transfer-encoding:[ \t]*identity[ \t]*", re.IGNORECASE)


class ChannelOwner(Protocol):
    """The site, as far as a `Channel` needs it.

    Attributes:
        connections: counts the connections that are open.
    """

    connections: WebConnections

    def is_proxy(self, host: str | None) -> bool:
        """Return whether ``host`` is a trusted proxy; None is a socket of this computer."""

    def enqueue(self, request: WebRequest, begin: Callable[[], bool]) -> None:
        """Set the request's client, and call ``begin`` when it is the turn of its network."""


class Channel(HTTPChannel):
    """Bounds each connection's requests in size and in time.

    One request is under way, and the next begins when the client takes the answer; until then,
    nothing more is read.

    Attributes:
        owner: set by the factory.
    """

    owner: ChannelOwner
    transport: Any
    # Twisted logs each client that is too slow: strangers would fill the log.
    _log = Logger(observer=LogPublisher())
    _counted_as: str | None = None
    _turned_away = False
    _deadline: IDelayedCall | None = None
    _lingering: IDelayedCall | None = None
    _unread: IDelayedCall | None = None
    _held_back: Callable[[], None] | None = None
    _refused = 0
    _written = 0

    def connectionMade(self) -> None:
        """Count the connection, and close one that is too many."""
        host = self._host()
        self.timeOut = PROXY_IDLE_SECONDS if self.owner.is_proxy(host) else IDLE_SECONDS
        super().connectionMade()
        self._count(host)

    def dataReceived(self, data: bytes) -> None:
        """Read bytes; the time for a request starts with its first byte."""
        if self._lingering is not None:
            self._discard(data)
            return
        if self._host() != self._counted_as:  # which a PROXY header has told meanwhile
            self._count(self._host())
        if self._turned_away:
            return
        if self._deadline is None and not self._handlingRequest:
            self._deadline = self.callLater(REQUEST_SECONDS, self._too_late)
        super().dataReceived(data)

    def headerReceived(self, line: bytes) -> bool:
        """Take a header; treat the obsolete coding "identity" as an unknown one.

        Twisted takes it for no body, as RFC 2616 had it: RFC 9112 §7 does not.
        """
        if _IDENTITY.fullmatch(line):
            line = b"Transfer-Encoding: unknown"
        return bool(super().headerReceived(line))

    def allHeadersReceived(self) -> None:
        """Refuse a body whose Content-Length is too large before it arrives."""
        if self.length is not None and self.length > MAX_BODY:
            request = self.requests[-1]
            request.too_large = True
            request.requestHeaders.removeHeader(b"Expect")
            self.length = 0
        super().allHeadersReceived()

    def rawDataReceived(self, data: bytes) -> None:
        """Stop reading a chunked body as soon as it is too large."""
        refused = self.requests and self.requests[0].too_large
        if self._lingering is not None or (self._handlingRequest and refused):
            self._discard(data)
            return
        with suppress(BodyTooLarge):
            super().rawDataReceived(data)
        if self._handlingRequest and any(self._dataBuffer):
            # Twisted does not, where the answer before waits to be read.
            self._networkProducer.pauseProducing()
        if not self._handlingRequest and self.requests and self.requests[-1].too_large:
            self.allContentReceived()

    def allContentReceived(self) -> None:
        """Stop the time for the request, which is complete."""
        self._stop_clock()
        self._written = 0
        if self.requests[-1].too_large:
            self.persistent = 0
            self.requests[-1].responseHeaders.setRawHeaders(b"Connection", [b"close"])
        super().allContentReceived()

    def enqueue(self, begin: Callable[[], None]) -> None:
        """Let a complete request wait for its turn, once the last answer has been read."""
        request = self.requests[-1]
        wait = partial(self.owner.enqueue, request, partial(request.begin, begin))
        if self._waitingForTransport:
            self._held_back = wait
        else:
            wait()

    def write(self, data: bytes) -> None:
        """Send a part of an answer."""
        self._written += len(data)
        super().write(data)

    def pauseProducing(self) -> None:
        super().pauseProducing()
        self._expect_reading()

    def resumeProducing(self) -> None:
        _cancel(self._unread)
        self._written = 0
        super().resumeProducing()
        held_back, self._held_back = self._held_back, None
        if held_back is not None:
            held_back()

    def loseConnection(self) -> None:
        """Close once the client has read the answer, or after a while."""
        super().loseConnection()
        self._expect_reading()

    def requestDone(self, request: WebRequest) -> None:
        """Go on with the next request, or hang up."""
        if request.too_large:
            # To close now would throw away the answer, as the client is still sending.
            self._lingering = self.callLater(LINGER_SECONDS, self.forceAbortClient)
            self.requests.remove(request)
            self._networkProducer.resumeProducing()
            return
        super().requestDone(request)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stop_clock()
        self._held_back = None
        self.owner.connections.remove(self)
        _cancel(self._lingering)
        _cancel(self._unread)
        super().connectionLost(reason)
        # It refers to us, and what is gone must not wait for the garbage collector.
        self._transferDecoder = None

    def _host(self) -> str | None:
        return getattr(self.transport.getPeer(), "host", None)

    def _count(self, host: str | None) -> None:
        self._counted_as = host
        limited = None if self.owner.is_proxy(host) else host
        if not self.owner.connections.add(self, limited):
            self._turn_away()

    def _turn_away(self) -> None:
        self._turned_away = True
        if self.isSecure():  # a handshake would cost more than all the rest
            self.transport.abortConnection()
        else:
            self.transport.write(_BUSY)
            self.loseConnection()

    def _discard(self, data: bytes) -> None:
        self._refused += len(data)
        if self._refused > _MAX_REFUSED:
            self.forceAbortClient()

    def _too_late(self) -> None:
        self._deadline = None
        self.timeoutConnection()

    def _stop_clock(self) -> None:
        _cancel(self._deadline)
        self._deadline = None

    def _expect_reading(self) -> None:
        if self._unread is None or not self._unread.active():
            seconds = UNREAD_SECONDS * (1 + self._written // _UNREAD_PIECE)
            self._unread = self.callLater(seconds, self.forceAbortClient)


def _cancel(call: IDelayedCall | None) -> None:
    if call is not None and call.active():
        call.cancel()
