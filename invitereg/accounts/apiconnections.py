"""Connections to ejabberd's HTTP API, on which only so much is read for each request."""

from typing import Any, cast
from weakref import WeakSet

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import URI, BrowserLikePolicyForHTTPS
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from invitereg.accounts.apianswer import MAX_ROSTER_BYTES, TooMuch
from invitereg.policy.values import Network, parse_address
from invitereg.runtime.trustedendpoint import TrustedNameEndpoint

MAX_RESPONSE_BYTES = 2 * MAX_ROSTER_BYTES
"""How much is read for one request, with headers, and with what divides a body into chunks."""
MAX_LINES = 20_000
"""How many lines that may have: headers, and chunks. JSON as ejabberd writes it has none."""
_CONNECT_SECONDS = 3.0


class BoundedConnection(ProtocolWrapper):
    """Counts what is received since something was last sent, and aborts if it is too much.

    Twisted's client bounds neither how many headers there are, each of which takes hundreds of
    bytes, nor how many responses of 1xx precede another.
    """

    transport: Any

    def __init__(self, factory: Any, wrapped: Any) -> None:
        super().__init__(factory, wrapped)
        self._bytes = self._lines = 0
        self._too_much: TooMuch | None = None

    def write(self, data: bytes) -> None:
        """Send a request, or a part of it."""
        self._bytes = self._lines = 0
        super().write(data)  # type: ignore[no-untyped-call]

    def writeSequence(self, data: Any) -> None:
        """Send a request, or a part of it."""
        self._bytes = self._lines = 0
        super().writeSequence(data)  # type: ignore[no-untyped-call]

    def dataReceived(self, data: bytes) -> None:
        """Count, and let the client read what may be read."""
        self._bytes += len(data)
        self._lines += data.count(b"\n")
        if self._too_much is not None:
            return
        if self._bytes > MAX_RESPONSE_BYTES or self._lines > MAX_LINES:
            self._too_much = TooMuch(
                f"the answer is longer than {MAX_RESPONSE_BYTES} bytes, or {MAX_LINES} lines"
            )
            self.transport.abortConnection()
        else:
            super().dataReceived(data)  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the client that the connection is over, and why."""
        if self._too_much is not None:
            reason = Failure(self._too_much)
        super().connectionLost(reason)  # type: ignore[no-untyped-call]


@implementer(IAgentEndpointFactory)
class Connections:
    """Opens connections, and can close them all.

    At once, as ejabberd leaves a TLS connection open whose other end has said good-bye.
    """

    def __init__(
        self,
        reactor: Any,
        policy: BrowserLikePolicyForHTTPS,
        trusted: tuple[Network, ...] = (),
    ) -> None:
        """``trusted`` are networks in which a host may be that is reached in clear text."""
        self._reactor = reactor
        self._policy = policy
        self._trusted = trusted
        self._open: WeakSet[BoundedConnection] = WeakSet()

    def endpointForURI(self, uri: URI) -> Any:
        """See IAgentEndpointFactory."""
        host = uri.host.decode("ascii")

        def at(host: str) -> IStreamClientEndpoint:
            there: IStreamClientEndpoint = HostnameEndpoint(
                self._reactor, host, uri.port, _CONNECT_SECONDS
            )
            return there

        endpoint = at(host)
        if uri.scheme == b"https":
            creator = self._policy.creatorForNetloc(uri.host, uri.port)
            endpoint = wrapClientTLS(creator, endpoint)
        elif parse_address(host) is None:
            endpoint = TrustedNameEndpoint(self._reactor, host, self._trusted, at)
        return _BoundedEndpoint(endpoint, self._open)

    def abort(self) -> None:
        """Close them at once."""
        for connection in list(self._open):
            if connection.transport is not None:
                connection.transport.abortConnection()


def _bounded(factory: Any) -> WrappingFactory:
    wrapping = WrappingFactory(factory)
    wrapping.protocol = BoundedConnection
    factory.noisy = wrapping.noisy = False  # or each would fill two lines of the log
    return wrapping


@implementer(IStreamClientEndpoint)
class _BoundedEndpoint:
    """An endpoint that bounds and notes what it connects."""

    def __init__(self, endpoint: Any, noted: "WeakSet[BoundedConnection]") -> None:
        self._endpoint = endpoint
        self._noted = noted

    def connect(self, factory: Any) -> Deferred[Any]:
        """See IStreamClientEndpoint."""
        connected: Deferred[Any] = self._endpoint.connect(_bounded(factory))
        return connected.addCallback(self._note)

    def _note(self, connection: Any) -> Any:
        """Return the client's own protocol; ``connection`` is what bounds it."""
        bounded = cast(BoundedConnection, connection)
        self._noted.add(bounded)
        return bounded.wrappedProtocol
