"""A stream to an upstream server, opened on behalf of a client (RFC 6120 §4, §5)."""

import re
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from automat import TypeMachineBuilder
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IHandshakeListener,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.protocol import Protocol as TransportProtocol
from twisted.python.failure import Failure
from twisted.words.protocols.jabber.error import StreamError
from twisted.words.protocols.jabber.xmlstream import NS_STREAMS
from twisted.words.xish import domish
from zope.interface import implementer

from invitereg.model.names import is_domain, prepare_domain
from invitereg.model.namespaces import NS_CLIENT, NS_STREAM_ERRORS, NS_TLS
from invitereg.runtime import IReactor
from invitereg.runtime.logs import quoted
from invitereg.runtime.proxyprotocol import proxy_header
from invitereg.xmpp.c2s.header import client_header
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
from invitereg.xmpp.gateway.settings import Upstream
from invitereg.xmpp.parser import RecordingElementStream

SECONDS = 15.0
"""Seconds that the server may take from the connection to its features."""
_MAX_BYTES, _MAX_DEPTH = 64 * 1024, 32
Ends = tuple[IAddress, IAddress]
"""The addresses of a client and of what it has connected to."""
_BEGINNING = re.compile(rb"\s*(<\?[^>]*>\s*)?<stream:stream")


@dataclass(frozen=True, slots=True)
class OpenedStream:
    """The server's answer to a client's header.

    Attributes:
        header: the bytes of the server's header.
        features: the first element.
        rest: the bytes received after it.
    """

    header: bytes
    features: domish.Element
    rest: bytes


class _StreamEvents(Protocol):
    """The events on a connection to the server, as inputs of its table of states."""

    def negotiate(self) -> None:
        """Ask for STARTTLS on the new connection."""

    def secure(self) -> None:
        """Begin TLS."""

    def open(self) -> None:
        """Send the client's header, now that the connection is as secure as it has to be."""

    def element(self, element: domish.Element) -> None:
        """Take an element of the server's."""

    def ready(self, features: domish.Element) -> None:
        """Take stream features with which a client can log in."""

    def fail(self, text: str, condition: str | None = None) -> None:
        """Give up; ``condition`` is the stream error of the server, if there is one."""

    def disconnected(self, reason: Failure, /) -> None:
        """Note that the connection is gone."""


class _FeaturesReader:
    """Reads one stream of the server up to its features.

    Attributes:
        first: whether the stream answers our first bytes, which may be of the PROXY protocol.
    """

    def __init__(
        self, upstream: Upstream, element: Callable[[domish.Element], None], *, first: bool
    ) -> None:
        """Expect a stream header of ``upstream``; ``element`` takes what follows."""
        self.first = first
        self._upstream = upstream
        self._header = b""
        self._parser = RecordingElementStream(_MAX_BYTES, _MAX_DEPTH)
        self._parser.DocumentStartEvent = self._on_header
        self._parser.ElementEvent = element
        self._parser.DocumentEndEvent = self._on_end

    @property
    def begun(self) -> bool:
        """Whether anything has come."""
        return bool(self._parser.since(0))

    def parse(self, data: bytes) -> None:
        """Take the next bytes; raises _UnusableStream."""
        try:
            self._parser.parse(data)
        except StreamError as error:
            kind = {"starttls": "direct", "none": "direct or starttls"}
            other = kind.get(self._upstream.tls, "starttls")
            text = f"it sends no XMPP ({error.condition}): should tls be {other}?"
            raise _UnusableStream(text) from None

    def split(self) -> tuple[bytes, bytes]:
        """Return the bytes of the header, and those after the element just parsed."""
        return self._header, self._parser.since(self._parser.tag_end())

    def silence(self) -> None:
        """Take no element any more."""
        self._parser.silence()

    def _on_header(self, root: domish.Element) -> None:
        self._header = self._parser.since(0)[: self._parser.tag_end()]
        usual = _BEGINNING.match(self._header)
        said = root.getAttribute("from") or self._upstream.domain
        if not usual or (root.uri, root.defaultUri) != (NS_STREAMS, NS_CLIENT):
            # What we add is written with these names.
            raise _UnusableStream(
                "it does not begin a stream for clients: is this its port for clients?"
            )
        # ejabberd gives a name back as the client has spelt it.
        if not is_domain(said, prepare_domain(self._upstream.domain)):
            # Who could not read which domain was meant may name another.
            hint = doubted(self._upstream) if self.first else ""
            raise _UnusableStream(f"it answers for the domain {quoted(said)}{hint}")

    def _on_end(self) -> None:
        raise _UnusableStream("it has ended the stream")


class _UnusableStream(Exception):
    """The server's stream is of no use; the text says why."""


@implementer(IHandshakeListener)
class ServerStream(TransportProtocol):
    """One connection to the server, which becomes a stream with a client's own header.

    What happens on it becomes `_StreamEvents`; the table below decides what is done.

    Attributes:
        opened: fires with `OpenedStream`, or fails with `UpstreamFailure`.
        received: called with what comes after that.
        lost: called when the connection is gone after that.
    """

    transport: Any = None

    def __init__(
        self, upstream: Upstream, header: bytes, clock: IReactorTime, *on_behalf: Ends
    ) -> None:
        """Prepare; ``header`` is sent once the connection is secured.

        ``on_behalf`` is a client's address and the one that it has connected to.
        """
        self.upstream = upstream
        self.header = header
        self.clock = clock
        self.reading: _FeaturesReader | None = None
        self.opened: Deferred[OpenedStream] = Deferred(self._cancelled)
        self.received: Callable[[bytes], None] = _ignore
        self.lost: Callable[[], None] = _ignore
        self._on_behalf = on_behalf
        self._timeout = clock.callLater(SECONDS, self._timed_out)
        self._socket: Any = None
        self._events = _machine(self)

    def connect(self, reactor: IReactor) -> Deferred[OpenedStream]:
        """Begin; returns ``opened``, which may be cancelled to give up."""
        connecting = self.upstream.endpoint(reactor).connect(_SingleProtocolFactory(self))
        self.opened.addBoth(self._stop_connecting, connecting)
        # Its result is ourselves, which Twisted's circles would keep.
        connecting.addCallbacks(_ignore, self._unreachable)
        return self.opened

    def _stop_connecting(self, result: Any, connecting: Deferred[Any]) -> Any:
        # While the connection is being made ours fails first, and its own Deferred fires after.
        if self.transport is None:
            connecting.cancel()
        return result

    def _unreachable(self, failure: Failure) -> None:
        self._events.fail(unreachable(failure))
        del self._events

    # --- the transport

    def connectionMade(self) -> None:
        """Begin TLS, STARTTLS or the stream, as the server is configured."""
        transport = self.transport
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
            self._socket = self.transport.getHandle()
        own = (transport.getHost(), transport.getPeer())
        transport.write(proxy_header(self.upstream.proxy_protocol, *self._on_behalf, own))
        events = self._events
        first = {"starttls": events.negotiate, "direct": events.secure, "none": events.open}
        first[self.upstream.tls]()

    def handshakeCompleted(self) -> None:
        """Open the stream: the certificate has been verified."""
        self._events.open()

    def dataReceived(self, data: bytes) -> None:
        """Parse what comes up to the features, and pass on the rest."""
        reading = self.reading
        if reading is None:
            self.received(data)
            return
        try:
            reading.parse(data)
        except _UnusableStream as problem:
            if reading is self.reading:
                self._events.fail(str(problem))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Report the end of the connection, and its reason, as an event."""
        self._events.disconnected(reason)
        # They refer to us: what is gone must not wait for the garbage collector.
        self.opened, self.received, self.lost = Deferred(), _ignore, _ignore
        del self._events

    def _timed_out(self) -> None:
        self._events.fail(f"it has not answered within {SECONDS:.0f} seconds")

    def _cancelled(self, _deferred: Deferred[OpenedStream]) -> None:
        self._events.fail("nobody waits for it any more")

    # --- what the table lets be done

    def read(self, element: Callable[[domish.Element], None], *, first: bool) -> None:
        """Begin to read a stream of the server's; see `_FeaturesReader`."""
        self.reading = _FeaturesReader(self.upstream, element, first=first)

    def stop_reading(self) -> None:
        """Take no element any more."""
        if self.reading is not None:
            self.reading.silence()
        self.reading = None

    def finish(self) -> None:
        """End the opening, successful or not: stop its time-out and its reader."""
        self.stop_reading()
        if self._timeout.active():
            self._timeout.cancel()

    def acknowledge(self) -> None:
        """Acknowledge at once what has come, and what comes next.

        Prosody sends its tickets for TLS by themselves, and holds its header back until they
        are acknowledged (Nagle's algorithm), which takes 40 ms if it is left to TCP.
        """
        if self._socket is not None and hasattr(socket, "TCP_QUICKACK"):
            with suppress(OSError):  # It may be closed.
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def blame(self, condition: str | None, *, opening: bool) -> Blame:
        """Return the side at fault, where the server has answered with a stream error.

        ``opening`` tells whether the server has had the client's header.
        """
        # ejabberd's mod_fail2ban says so to the first header, which is ours.
        told = bool(self._on_behalf) and self.upstream.proxy_protocol != "off"
        banned = told and condition == "policy-violation"
        if banned or (opening and condition in OF_THE_HEADER):
            return Blame.CLIENT
        return Blame.UNCLEAR if opening else Blame.SERVER

    def closed(self, reason: Failure) -> str:
        """Return why the connection was closed before the stream was open."""
        heard = self.upstream.tls == "starttls"
        if self.reading is not None:
            heard = self.reading.begun or not self.reading.first
        return closed(reason, self.upstream, heard)


_builder = TypeMachineBuilder(_StreamEvents, ServerStream)
_connecting = _builder.state("connecting")
_negotiating = _builder.state("negotiating STARTTLS")
_securing = _builder.state("in the handshake of TLS")
_opening = _builder.state("opening the client's stream")
_open = _builder.state("open")
_over = _builder.state("over")


@_connecting.upon(_StreamEvents.negotiate).to(_negotiating)
def _negotiate(events: _StreamEvents, stream: ServerStream) -> None:
    stream.read(events.element, first=True)
    stream.transport.write(client_header(stream.upstream.domain))


@_negotiating.upon(_StreamEvents.element).loop()
def _negotiated(events: _StreamEvents, stream: ServerStream, element: domish.Element) -> None:
    name = (element.uri, element.name)
    if name == (NS_TLS, "proceed"):
        events.secure()
    elif name != (NS_STREAMS, "features"):
        _refuse(events, stream, element)
    elif not offers_starttls(element):
        events.fail("it does not offer STARTTLS: enable TLS there, or set tls: none")
    else:
        stream.transport.write(f"<starttls xmlns='{NS_TLS}'/>".encode())


@_connecting.upon(_StreamEvents.secure).to(_securing)
@_negotiating.upon(_StreamEvents.secure).to(_securing)
def _secure(events: _StreamEvents, stream: ServerStream) -> None:
    stream.stop_reading()
    stream.received = lambda _data: events.fail("it sends what was not asked for")
    upstream = stream.upstream
    try:
        options = upstream.tls_options()
    except UnicodeError as error:
        events.fail(f"no certificate can be for {upstream.domain}: {error}")
    except (OSError, ValueError) as error:
        events.fail(f"its authority {upstream.ca} cannot be used: {error}")
    else:
        stream.transport.startTLS(options)


@_connecting.upon(_StreamEvents.open).to(_opening)
@_securing.upon(_StreamEvents.open).to(_opening)
def _send_header(events: _StreamEvents, stream: ServerStream) -> None:
    stream.read(events.element, first=stream.upstream.tls == "none")
    stream.transport.write(stream.header)
    # The reactor sends it in its next turn, and what is sent ends quick acknowledgement.
    stream.clock.callLater(0, stream.clock.callLater, 0, stream.acknowledge)


@_opening.upon(_StreamEvents.element).loop()
def _answered(events: _StreamEvents, stream: ServerStream, element: domish.Element) -> None:
    if (element.uri, element.name) != (NS_STREAMS, "features"):
        _refuse(events, stream, element)
    elif offers_login(element):
        events.ready(element)
    else:
        tls = offers_starttls(element) and stream.upstream.tls == "none"
        events.fail(f"its stream features have no SASL{': set tls: starttls' if tls else ''}")


@_opening.upon(_StreamEvents.ready).to(_open)
def _ready(_events: _StreamEvents, stream: ServerStream, features: domish.Element) -> None:
    assert stream.reading is not None  # noqa: S101 - it has just read the features
    header, rest = stream.reading.split()
    stream.finish()
    stream.received = _ignore
    stream.opened.callback(OpenedStream(header, features, rest))


@_connecting.upon(_StreamEvents.fail).to(_over)
@_negotiating.upon(_StreamEvents.fail).to(_over)
@_securing.upon(_StreamEvents.fail).to(_over)
def _fail(
    _events: _StreamEvents, stream: ServerStream, text: str, condition: str | None = None
) -> None:
    _give_up(stream, UpstreamFailure(text, stream.blame(condition, opening=False), condition))


@_opening.upon(_StreamEvents.fail).to(_over)
def _fail_opening(
    _events: _StreamEvents, stream: ServerStream, text: str, condition: str | None = None
) -> None:
    _give_up(stream, UpstreamFailure(text, stream.blame(condition, opening=True), condition))


@_connecting.upon(_StreamEvents.disconnected).loop()
@_negotiating.upon(_StreamEvents.disconnected).loop()
@_securing.upon(_StreamEvents.disconnected).loop()
@_opening.upon(_StreamEvents.disconnected).loop()
def _disconnected(events: _StreamEvents, stream: ServerStream, reason: Failure) -> None:
    events.fail(stream.closed(reason))


@_open.upon(_StreamEvents.disconnected).to(_over)
def _lost(_events: _StreamEvents, stream: ServerStream, _reason: Failure) -> None:
    stream.lost()


@_over.upon(_StreamEvents.negotiate).loop()
@_over.upon(_StreamEvents.secure).loop()
@_over.upon(_StreamEvents.open).loop()
def _too_late(_events: _StreamEvents, stream: ServerStream) -> None:
    stream.transport.abortConnection()


_open.upon(_StreamEvents.fail).loop().returns(None)
_over.upon(_StreamEvents.fail).loop().returns(None)
_over.upon(_StreamEvents.disconnected).loop().returns(None)
_machine = _builder.build()


def _refuse(events: _StreamEvents, stream: ServerStream, element: domish.Element) -> None:
    """Give up, as the server has sent this in place of what was asked for."""
    condition = None
    if (element.uri, element.name) == (NS_STREAMS, "error"):
        conditions = (e.name for e in element.elements() if e.uri == NS_STREAM_ERRORS)
        condition = next(conditions, None)
    first = stream.reading is not None and stream.reading.first
    events.fail(refused(condition or element.name, stream.upstream, first), condition)


def _give_up(stream: ServerStream, failure: UpstreamFailure) -> None:
    stream.finish()
    stream.received = _ignore
    stream.opened.errback(failure)
    if stream.transport is not None:
        stream.transport.abortConnection()


class _SingleProtocolFactory(Factory):
    """Makes the one protocol that it is given."""

    noisy = False

    def __init__(self, stream: ServerStream) -> None:
        self._streams = [stream]

    def buildProtocol(self, _addr: IAddress | None) -> ServerStream:
        # Twisted's connections refer to their factory: it must not refer to them.
        return self._streams.pop()


def _ignore(*_arguments: Any) -> None:
    """Drop events while no stream is open."""
