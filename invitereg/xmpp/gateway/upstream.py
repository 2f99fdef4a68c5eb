"""A stream to an upstream server, opened on behalf of a client (RFC 6120 §4, §5)."""

import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHandshakeListener, ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.words.protocols.jabber.error import StreamError
from twisted.words.protocols.jabber.xmlstream import NS_STREAMS
from twisted.words.xish import domish
from zope.interface import implementer

from invitereg.model.names import is_domain, prepare_domain
from invitereg.runtime.logs import quoted
from invitereg.runtime.proxyprotocol import proxy_header
from invitereg.xmpp.c2s.header import client_header, starttls_request
from invitereg.xmpp.gateway.failures import (
    OF_THE_HEADER,
    Blame,
    UpstreamFailure,
    closed,
    doubted,
    refused,
    unreachable,
)
from invitereg.xmpp.gateway.features import offers_login, offers_starttls
from invitereg.xmpp.gateway.headers import RawBytes
from invitereg.xmpp.gateway.settings import Upstream
from invitereg.xmpp.parser import BoundedElementStream
from invitereg.xmpp.stanzas import NS_CLIENT, NS_XMPP_TLS

SECONDS = 15.0
"""How long the server may take from the connection to its features."""
_MAX_BYTES, _MAX_DEPTH = 64 * 1024, 32
_NS_STREAM_ERRORS = "urn:ietf:params:xml:ns:xmpp-streams"


@dataclass(frozen=True, slots=True)
class OpenedStream:
    """What the server has answered to a client's header.

    Attributes:
        header: as it came.
        features: its first element.
        rest: what came after it.
    """

    header: bytes
    features: domish.Element
    rest: bytes


@implementer(IHandshakeListener)
class ServerStream(Protocol):
    """One connection to the server, which becomes a stream with a client's own header.

    Attributes:
        opened: fires with `OpenedStream`, or fails with `UpstreamFailure`.
        received: called with what comes after that.
        lost: called when the connection is gone after that.
    """

    transport: Any = None

    def __init__(
        self, upstream: Upstream, header: bytes, clock: Any, *on_behalf: tuple[Any, Any]
    ) -> None:
        """Prepare; ``header`` is sent once the connection is secured.

        ``on_behalf`` is a client's address and the one that it has connected to.
        """
        self.opened: Deferred[OpenedStream] = Deferred(self._cancelled)
        self.received: Callable[[bytes], None] = _ignore
        self.lost: Callable[[], None] = _ignore
        self._upstream = upstream
        self._header = header
        self._on_behalf = on_behalf
        self._timeout = clock.callLater(SECONDS, self._timed_out)
        self._raw = RawBytes()
        self._parser: BoundedElementStream | None = None
        self._header_end = 0
        self._heard = False
        self._done = False
        self._opening = False
        self._condition: str | None = None
        self._clock = clock
        self._socket: Any = None

    def connect(self, reactor: Any) -> "Deferred[OpenedStream]":
        """Begin; returns ``opened``, which may be cancelled to give up."""
        connecting = self._upstream.endpoint(reactor).connect(_Only(self))
        self.opened.addBoth(self._give_up, connecting)
        # Its result is ourselves, which Twisted's circles would keep.
        connecting.addCallbacks(_ignore, self._unreachable)
        return self.opened

    def _give_up(self, result: Any, connecting: "Deferred[Any]") -> Any:
        # While the connection is being made ours fails first, and its own Deferred fires after.
        if self.transport is None:
            connecting.cancel()
        return result

    def _unreachable(self, failure: Failure) -> None:
        self._fail(unreachable(failure))

    # --- the transport

    def connectionMade(self) -> None:
        """Begin; called by the reactor."""
        transport = self.transport
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
            self._socket = self.transport.getHandle()
        own = (transport.getHost(), transport.getPeer())
        transport.write(proxy_header(self._upstream.proxy_protocol, *self._on_behalf, own))
        if self._upstream.tls == "starttls":
            self._expect(self._on_clear_element)
            transport.write(client_header(self._upstream.domain))
        elif self._upstream.tls == "direct":
            self._start_tls()
        else:
            self._open()

    def handshakeCompleted(self) -> None:
        """Go on; called by the transport, which has verified the certificate."""
        self._heard = True
        self._open()

    def dataReceived(self, data: bytes) -> None:
        """Parse what comes up to the features, and pass on the rest."""
        if self._done:
            self.received(data)
            return
        self._heard = True
        parser = self._parser
        if parser is None:
            self._fail("it sends what was not asked for")
            return
        self._raw.append(data)
        try:
            parser.parse(data)
        except StreamError as error:
            if parser is self._parser:
                kind = {"starttls": "direct", "none": "direct or starttls"}
                other = kind.get(self._upstream.tls, "starttls")
                self._fail(f"it sends no XMPP ({error.condition}): should tls be {other}?")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Say why; called by the reactor."""
        if self._done:
            self.lost()
        else:
            self._fail(closed(reason, self._upstream, self._heard))
        # They refer to us: what is gone must not wait for the garbage collector.
        self.opened, self.received, self.lost = Deferred(), _ignore, _ignore

    # --- steps

    def _expect(self, on_element: Callable[[domish.Element], None]) -> None:
        self._raw = RawBytes()
        self._parser = BoundedElementStream(_MAX_BYTES, _MAX_DEPTH)
        self._parser.DocumentStartEvent = self._on_header
        self._parser.ElementEvent = on_element
        self._parser.DocumentEndEvent = lambda: self._fail("it has ended the stream")

    def _on_header(self, root: domish.Element) -> None:
        assert self._parser is not None  # noqa: S101 - it has just parsed the header
        start = self._parser.parser.CurrentByteIndex
        self._header_end = self._raw.start_tag_end(start)
        usual = self._raw.since(start).startswith(b"<stream:stream")
        said = root.getAttribute("from") or self._upstream.domain
        if not usual or (root.uri, root.defaultUri) != (NS_STREAMS, NS_CLIENT):
            # What we add is written with these names.
            self._fail("it does not begin a stream for clients: is this its port for clients?")
        elif not self._is_served(said):
            # Who could not read which domain was meant may name another.
            hint = doubted(self._upstream) if self._first else ""
            self._fail(f"it answers for the domain {quoted(said)}{hint}")

    def _is_served(self, name: str) -> bool:
        # ejabberd gives a name back as the client has spelt it.
        return is_domain(name, prepare_domain(self._upstream.domain))

    def _on_clear_element(self, element: domish.Element) -> None:
        name = (element.uri, element.name)
        if name == (NS_STREAMS, "features"):
            if not offers_starttls(element):
                self._fail("it does not offer STARTTLS: enable TLS there, or set tls: none")
                return
            self.transport.write(starttls_request())
        elif name == (NS_XMPP_TLS, "proceed"):
            self._silence()
            self._start_tls()
        else:
            self._refused(element)

    def _start_tls(self) -> None:
        try:
            options = self._upstream.tls_options()
        except UnicodeError as error:
            self._fail(f"no certificate can be for {self._upstream.domain}: {error}")
            return
        except (OSError, ValueError) as error:
            self._fail(f"its authority {self._upstream.ca} cannot be used: {error}")
            return
        self.transport.startTLS(options)

    def _open(self) -> None:
        self._opening = True
        self._expect(self._on_element)
        self.transport.write(self._header)
        # The reactor sends it in its next turn, and what is sent ends quick acknowledgement.
        self._clock.callLater(0, self._clock.callLater, 0, self._acknowledge)

    def _acknowledge(self) -> None:
        """Acknowledge at once what has come, and what comes next.

        Prosody sends its tickets for TLS by themselves, and holds its header back until they
        are acknowledged (Nagle's algorithm), which takes 40 ms if it is left to TCP.
        """
        if self._socket is not None and hasattr(socket, "TCP_QUICKACK"):
            with suppress(OSError):  # It may be closed.
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _on_element(self, element: domish.Element) -> None:
        if (element.uri, element.name) != (NS_STREAMS, "features"):
            self._refused(element)
        elif not offers_login(element):
            tls = offers_starttls(element) and self._upstream.tls == "none"
            hint = ": set tls: starttls" if tls else ""
            self._fail(f"its stream features have no SASL{hint}")
        else:
            self._ready(element)

    def _ready(self, features: domish.Element) -> None:
        assert self._parser is not None  # noqa: S101 - it has just parsed the features
        end = self._raw.start_tag_end(self._parser.parser.CurrentByteIndex)
        header, rest = self._raw.since(0)[: self._header_end], self._raw.since(end)
        self._silence()
        self._finish()
        self.opened.callback(OpenedStream(header, features, rest))

    def _refused(self, element: domish.Element) -> None:
        if (element.uri, element.name) == (NS_STREAMS, "error"):
            conditions = (e.name for e in element.elements() if e.uri == _NS_STREAM_ERRORS)
            self._condition = next(conditions, None)
        self._fail(refused(self._condition or element.name, self._upstream, self._first))

    @property
    def _first(self) -> bool:
        """Whether what comes answers the first bytes, which may be of the PROXY protocol."""
        return self._opening is (self._upstream.tls == "none")

    @property
    def _blame(self) -> Blame:
        if (self._opening and self._condition in OF_THE_HEADER) or self._banned:
            return Blame.CLIENT
        return Blame.UNCLEAR if self._opening else Blame.SERVER

    @property
    def _banned(self) -> bool:
        # ejabberd's mod_fail2ban says so to the first header, which is ours.
        told = bool(self._on_behalf) and self._upstream.proxy_protocol != "off"
        return told and self._condition == "policy-violation"

    # --- the end

    def _silence(self) -> None:
        if self._parser is not None:
            self._parser.silence()
        self._parser = None
        self._raw = RawBytes()

    def _finish(self) -> None:
        self._done = True
        if self._timeout.active():
            self._timeout.cancel()

    def _timed_out(self) -> None:
        self._fail(f"it has not answered within {SECONDS:.0f} seconds")

    def _cancelled(self, _deferred: "Deferred[OpenedStream]") -> None:
        self._fail("nobody waits for it any more")

    def _fail(self, text: str) -> None:
        self._silence()
        if not self._done:
            self._finish()
            # With a name here it would refer to itself, by its traceback and this frame.
            self.opened.errback(UpstreamFailure(text, self._blame, self._condition))
        if self.transport is not None:
            self.transport.abortConnection()


class Dialogue:
    """A stream to the server on which we ask by ourselves, one question at a time.

    Attributes:
        features: the server's stream features.
        ended: why nothing comes any more, for a log; "" while something may.
    """

    def __init__(self, stream: ServerStream, opened: OpenedStream, reactor: Any) -> None:
        """Read on behind the features; see `open_dialogue`."""
        self.features = opened.features
        self._stream = stream
        self._reactor = reactor
        self.ended = ""
        self._fire: Callable[[domish.Element | None], None] | None = None
        self._parser = BoundedElementStream(_MAX_BYTES, _MAX_DEPTH)
        self._parser.DocumentStartEvent = _ignore
        self._parser.ElementEvent = self._answer
        self._parser.DocumentEndEvent = self._lost
        stream.received, stream.lost = self._read, self._lost
        self._read(opened.header + opened.rest)

    async def ask(self, question: bytes) -> domish.Element | None:
        """Send one element; return the next that comes, or None if the stream has ended.

        Raises:
            UpstreamFailure: nothing comes within `SECONDS`.
        """
        if self.ended:
            return None
        answer: Deferred[domish.Element | None] = Deferred()
        self._fire = answer.callback
        answer.addTimeout(SECONDS, self._reactor, _unanswered)
        self._stream.transport.write(question)
        return await answer

    def close(self) -> None:
        """Drop the connection."""
        self._parser.silence()
        self._stream.received, self._stream.lost = _ignore, _ignore
        self._stream.transport.abortConnection()

    def _read(self, data: bytes) -> None:
        try:
            self._parser.parse(data)
        except StreamError as error:
            self._end(f"it sends no XMPP ({error.condition})")

    def _lost(self) -> None:
        self._end("it has ended the stream")

    def _end(self, why: str) -> None:
        self.ended = self.ended or why
        self._parser.silence()
        self._answer(None)

    def _answer(self, element: domish.Element | None) -> None:
        fire, self._fire = self._fire, None
        if fire is not None:
            fire(element)


async def open_dialogue(upstream: Upstream, reactor: Any) -> Dialogue:
    """Open a stream to a server, with a header of our own.

    Raises:
        UpstreamFailure: the server cannot be reached, or does not open a stream.
    """
    stream = ServerStream(upstream, client_header(upstream.domain), reactor)
    return Dialogue(stream, await stream.connect(reactor), reactor)


def _unanswered(_result: Any, _seconds: float) -> None:
    raise UpstreamFailure(f"it has not answered a request within {SECONDS:.0f} seconds")


class _Only(Factory):
    """Makes the one protocol that it is given."""

    noisy = False

    def __init__(self, stream: ServerStream) -> None:
        self._streams = [stream]

    def buildProtocol(self, _addr: Any) -> ServerStream:
        """See Twisted, which keeps its factories and connections in a circle."""
        return self._streams.pop()


def _ignore(*_arguments: Any) -> None:
    """Nobody is there yet, or any more."""
