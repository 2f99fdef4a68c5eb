"""A stream to the server behind, opened on behalf of a client (RFC 6120 §4, §5)."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cryptography import x509
from OpenSSL.crypto import X509
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.python.failure import Failure
from twisted.words.protocols.jabber.error import StreamError
from twisted.words.protocols.jabber.xmlstream import NS_STREAMS
from twisted.words.xish import domish
from zope.interface import implementer

from invitereg.xmpp.parser import BoundedElementStream
from invitereg.xmpp.phases import NS_CLIENT, NS_XMPP_TLS
from invitereg.xmpp.proxyheader import Version
from invitereg.xmpp.rawbytes import RawBytes

SECONDS = 15.0
"""How long the server may take from the connection to its features."""
_MAX_BYTES, _MAX_DEPTH = 64 * 1024, 32
_NS_STREAM_ERRORS = "urn:ietf:params:xml:ns:xmpp-streams"


class UpstreamFailure(Exception):
    """There is no stream to the server; the text says why, and what may be changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """The server behind one domain, and how it is reached.

    Attributes:
        domain: the XMPP domain, which its certificate must be for.
        connect: a Twisted client endpoint, such as ``tcp:127.0.0.1:15222``.
        tls: ``none`` is for a server on this machine.
        ca: what is trusted to certify it, in PEM form, in place of the system's authorities.
        proxy_protocol: how it is told the client's address.
    """

    domain: str
    connect: str
    tls: Literal["starttls", "direct", "none"] = "starttls"
    ca: Path | None = None
    proxy_protocol: Version = "off"

    def tls_options(self) -> Any:
        """What a connection to the server is secured with.

        Raises:
            OSError, ValueError: the file ``ca`` cannot be read, or has no certificate.
        """
        trust = None
        if self.ca is not None:
            found = x509.load_pem_x509_certificates(self.ca.read_bytes())
            trust = trustRootFromCertificates(
                [Certificate(X509.from_cryptography(one)) for one in found]
            )
        return optionsForClientTLS(
            self.domain, trustRoot=trust, acceptableProtocols=[b"xmpp-client"]
        )


@dataclass(frozen=True, slots=True)
class Opened:
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
        opened: fires with `Opened`, or fails with `UpstreamFailure`.
        received: called with what comes after that.
        lost: called when the connection is gone after that.
    """

    transport: Any = None

    def __init__(self, upstream: Upstream, before: bytes, header: bytes, clock: Any) -> None:
        """Prepare; ``before`` is sent first, ``header`` once the connection is secured."""
        self.opened: Deferred[Opened] = Deferred(self._cancelled)
        self.received: Callable[[bytes], None] = lambda _data: None
        self.lost: Callable[[], None] = lambda: None
        self._upstream = upstream
        self._before = before
        self._header = header
        self._timeout = clock.callLater(SECONDS, self._timed_out)
        self._secured = False
        self._raw = RawBytes()
        self._parser: BoundedElementStream | None = None
        self._header_end = 0

    def connect(self, reactor: Any) -> "Deferred[Opened]":
        """Begin; returns ``opened``, which may be cancelled to give up."""
        connecting = clientFromString(reactor, self._upstream.connect).connect(_Only(self))
        self.opened.addBoth(_passing, connecting.cancel)
        connecting.addErrback(self._unreachable)
        return self.opened

    def _unreachable(self, failure: Failure) -> None:
        self._fail(f"it cannot be reached: {failure.getErrorMessage()}")

    # --- the transport

    def connectionMade(self) -> None:
        """Begin; called by the reactor."""
        self.transport.write(self._before)
        if self._upstream.tls == "starttls":
            self._expect(self._on_clear_element)
            self.transport.write(
                f"<?xml version='1.0'?><stream:stream to='{self._upstream.domain}' "
                f"version='1.0' xmlns='{NS_CLIENT}' xmlns:stream='{NS_STREAMS}'>".encode()
            )
        elif self._upstream.tls == "direct":
            self._start_tls()
        else:
            self._open()

    def handshakeCompleted(self) -> None:
        """Go on; called by the transport, which has verified the certificate."""
        self._open()

    def dataReceived(self, data: bytes) -> None:
        """Parse what comes up to the features, and pass on the rest."""
        if self.opened.called:
            self.received(data)
            return
        parser = self._parser
        if parser is None:
            self._fail("it sends what was not asked for")
            return
        self._raw.append(data)
        try:
            parser.parse(data)
        except StreamError as error:
            if parser is self._parser:
                self._fail(f"it sends no XMPP ({error.condition})")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Say why; called by the reactor."""
        if self.opened.called:
            self._timeout_off()
            self.lost()
        elif reason.check(ConnectionDone):
            self._fail("it has closed the connection")
        else:
            self._fail(str(reason.value) or type(reason.value).__name__)

    # --- steps

    def _expect(self, on_element: Callable[[domish.Element], None]) -> None:
        self._raw = RawBytes()
        self._parser = BoundedElementStream(_MAX_BYTES, _MAX_DEPTH)
        self._parser.DocumentStartEvent = self._on_header
        self._parser.ElementEvent = on_element
        self._parser.DocumentEndEvent = lambda: self._fail("it has ended the stream")

    def _on_header(self, _root: domish.Element) -> None:
        assert self._parser is not None  # noqa: S101 - it has just parsed the header
        self._header_end = self._raw.start_tag_end(self._parser.parser.CurrentByteIndex)

    def _on_clear_element(self, element: domish.Element) -> None:
        name = (element.uri, element.name)
        if name == (NS_STREAMS, "features"):
            if not any(True for _ in element.elements(NS_XMPP_TLS, "starttls")):
                self._fail("it does not offer STARTTLS: enable TLS there, or set tls: none")
                return
            self.transport.write(f"<starttls xmlns='{NS_XMPP_TLS}'/>".encode())
        elif name == (NS_XMPP_TLS, "proceed"):
            self._silence()
            self._start_tls()
        else:
            self._refused(element)

    def _start_tls(self) -> None:
        self._secured = True
        try:
            options = self._upstream.tls_options()
        except (OSError, ValueError) as error:
            self._fail(f"its authority {self._upstream.ca} cannot be used: {error}")
            return
        self.transport.startTLS(options)

    def _open(self) -> None:
        self._expect(self._on_element)
        self.transport.write(self._header)

    def _on_element(self, element: domish.Element) -> None:
        if (element.uri, element.name) != (NS_STREAMS, "features"):
            self._refused(element)
            return
        assert self._parser is not None  # noqa: S101 - it has just parsed the element
        end = self._raw.start_tag_end(self._parser.parser.CurrentByteIndex)
        header, rest = self._raw.since(0)[: self._header_end], self._raw.since(end)
        self._silence()
        self._timeout_off()
        self.opened.callback(Opened(header, element, rest))

    def _refused(self, element: domish.Element) -> None:
        condition = element.name
        if (element.uri, element.name) == (NS_STREAMS, "error"):
            condition = next(
                (child.name for child in element.elements() if child.uri == _NS_STREAM_ERRORS),
                condition,
            )
        hint = f": is {self._upstream.domain} one of its domains?" * (
            condition == "host-unknown"
        )
        self._fail(f"it answers {condition}{hint}")

    # --- the end

    def _silence(self) -> None:
        if self._parser is not None:
            self._parser.silence()
        self._parser = None

    def _timeout_off(self) -> None:
        if self._timeout.active():
            self._timeout.cancel()

    def _timed_out(self) -> None:
        self._fail(f"it has not answered within {SECONDS:.0f} seconds")

    def _cancelled(self, _deferred: "Deferred[Opened]") -> None:
        self._fail("nobody waits for it any more")

    def _fail(self, text: str) -> None:
        self._silence()
        self._timeout_off()
        if not self.opened.called:
            self.opened.errback(UpstreamFailure(text))
        if self.transport is not None:
            self.transport.abortConnection()


class _Only(Factory):
    """Makes the one protocol that it is given."""

    noisy = False

    def __init__(self, stream: ServerStream) -> None:
        self._stream = stream

    def buildProtocol(self, _addr: Any) -> ServerStream:
        """See Twisted."""
        return self._stream


def _passing(result: Any, call: Callable[[], None]) -> Any:
    call()
    return result
