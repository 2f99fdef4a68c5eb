"""Call ejabberd's HTTP API: one request a call, and what is known of its outcome.

https://docs.ejabberd.im/developer/ejabberd-api/
"""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit
from weakref import WeakSet

from OpenSSL import SSL
from service_identity import VerificationError
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, ConnectingCancelledError, DNSLookupError
from twisted.internet.error import TimeoutError as ConnectTimeoutError
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    ITCPTransport,
)
from twisted.internet.protocol import ClientFactory, connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import (
    URI,
    Agent,
    BrowserLikePolicyForHTTPS,
    HTTPConnectionPool,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from invitereg.interfaces.server import OutcomeUnknown, ServerUnreachable
from invitereg.model.fields import escaped
from invitereg.model.names import ascii_domain
from invitereg.policy.values import Network, parse_address
from invitereg.runtime import IReactor
from invitereg.runtime.deferreds import Deadline, deferred
from invitereg.runtime.logs import quoted
from invitereg.runtime.tls import trust_root
from invitereg.runtime.trustedendpoint import TrustedNameEndpoint

MAX_BODY_BYTES = 64 * 1024
"""The longest answer to most commands, which is a number or an error."""
MAX_ROSTER_BYTES = 8 * 1024 * 1024
"""The longest roster that is read: some 50,000 contacts."""
MAX_VALUES = 500_000
"""How many JSON values an answer may have, counted by their delimiters: ten for a contact."""
MAX_RESPONSE_BYTES = 2 * MAX_ROSTER_BYTES
"""How much is read for one request, with headers and the framing of chunks."""
MAX_LINES = 20_000
"""How many lines a response may have: headers and chunks. ejabberd's JSON has none."""
NO_JSON = object()
"""The body of an answer that is no JSON."""
_TEXT_LENGTH = 200
_CONNECT_SECONDS = 3.0
_IDLE_SECONDS = 30
_NEVER_SENT = (ConnectError, ConnectTimeoutError, ConnectingCancelledError, DNSLookupError)


class TooMuch(Exception):
    """An answer is longer than it may be, or has more values."""


class NotTheAPI(Exception):
    """Something else than ejabberd answers, such as a proxy whose server is down."""


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """Hold an answer of the API.

    Attributes:
        status: the HTTP status.
        body: the JSON value, or `NO_JSON`, as for the page of a proxy.
    """

    status: int
    body: Any

    @property
    def code(self) -> int | None:
        """The number that ejabberd has given an error; None without one."""
        code = self.body.get("code") if isinstance(self.body, dict) else None
        return code if isinstance(code, int) else None

    @property
    def text(self) -> str:
        """The answer's text, cut to a line that can be logged."""
        if self.body is NO_JSON:
            return f"status {self.status}"
        said = self.body.get("message") if isinstance(self.body, dict) else self.body
        if isinstance(said, (list, dict)):  # which may be big
            return f"a list of {len(said)}" if isinstance(said, list) else "an object"
        return " ".join(str(said)[:_TEXT_LENGTH].split())

    @property
    def quoted(self) -> str:
        """The `text`, in quotes where the words are the server's."""
        return self.text if self.body is NO_JSON else quoted(self.text)


def _parse(body: bytes, status: int) -> ApiAnswer:
    """Return the answer in a response.

    Raises:
        TooMuch: it has too many values, and parsing them would block the reactor.
        NotTheAPI: its status is 200, but it is no JSON.
    """
    if sum(map(body.count, (b"[", b"{", b","))) > MAX_VALUES:
        raise TooMuch(f"the answer has more than {MAX_VALUES} values")
    try:
        return ApiAnswer(status, json.loads(body.decode("utf-8", "replace")))
    except (ValueError, RecursionError):
        if status == 200:
            raise NotTheAPI(f"it answered {status} with no JSON: is it ejabberd?") from None
        return ApiAnswer(status, NO_JSON)


class BoundedConnection(ProtocolWrapper):
    """Count what is received since a request was sent, and abort if it is too much.

    Twisted's client bounds neither the number of headers, each of which takes hundreds of
    bytes, nor the number of 1xx responses before the final one.
    """

    transport: ITCPTransport

    def __init__(
        self, factory: "WrappingFactory[BoundedConnection]", wrapped: IProtocol
    ) -> None:
        super().__init__(factory, wrapped)
        self._bytes = self._lines = 0
        self._too_much: TooMuch | None = None

    def write(self, data: bytes) -> None:
        self._bytes = self._lines = 0
        super().write(data)  # type: ignore[no-untyped-call]

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self._bytes = self._lines = 0
        super().writeSequence(data)  # type: ignore[no-untyped-call]

    def dataReceived(self, data: bytes) -> None:
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
        if self._too_much is not None:
            reason = Failure(self._too_much)
        super().connectionLost(reason)  # type: ignore[no-untyped-call]


@implementer(IAgentEndpointFactory)
class ApiConnections:
    """Open bounded connections, and abort them all at once.

    They are aborted, not closed: ejabberd leaves a TLS connection open after a close_notify.
    """

    def __init__(
        self,
        reactor: IReactor,
        policy: BrowserLikePolicyForHTTPS,
        trusted: tuple[Network, ...] = (),
    ) -> None:
        """``trusted`` are the networks in which a host may be reached in clear text."""
        self._reactor = reactor
        self._policy = policy
        self._trusted = trusted
        self._open: WeakSet[BoundedConnection] = WeakSet()

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        host = uri.host.decode("ascii")

        def at(host: str) -> IStreamClientEndpoint:
            endpoint: IStreamClientEndpoint = HostnameEndpoint(
                self._reactor, host, uri.port, _CONNECT_SECONDS
            )
            return endpoint

        endpoint = at(host)
        if uri.scheme == b"https":
            creator = self._policy.creatorForNetloc(uri.host, uri.port)
            endpoint = wrapClientTLS(creator, endpoint)
        elif parse_address(host) is None:
            endpoint = TrustedNameEndpoint(self._reactor, host, self._trusted, at)
        return _BoundedEndpoint(endpoint, self._open)

    def abort(self) -> None:
        for connection in list(self._open):
            if connection.transport is not None:
                connection.transport.abortConnection()


@implementer(IStreamClientEndpoint)
class _BoundedEndpoint:
    """Connect by another endpoint, and bound and note each connection."""

    def __init__(
        self, endpoint: IStreamClientEndpoint, noted: "WeakSet[BoundedConnection]"
    ) -> None:
        self._endpoint = endpoint
        self._noted = noted

    @deferred
    async def connect(self, protocolFactory: IProtocolFactory) -> IProtocol:
        wrapping = WrappingFactory(protocolFactory)
        wrapping.protocol = BoundedConnection
        # Or they would log two lines for each connection.
        cast(ClientFactory, protocolFactory).noisy = wrapping.noisy = False
        bounded = cast(BoundedConnection, await self._endpoint.connect(wrapping))
        self._noted.add(bounded)
        return bounded.wrappedProtocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Say where the API is, and by which credentials it is called.

    Without credentials, the server trusts our address.

    Attributes:
        url: the address with its path, such as ``http://127.0.0.1:5280/api``.
        user: the bare JID of an account at the server, with its ``password``; or None.
        token: an OAuth bearer token, or None.
        ca: a PEM file of authorities to trust in place of the system's.
        trusted: the networks in which a host may be reached by ``http:``.
    """

    url: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    ca: Path | None = None
    trusted: tuple[Network, ...] = ()

    def headers(self, domain: str) -> Headers:
        """Return the headers of each request about a domain."""
        headers = Headers({"Content-Type": ["application/json"]})
        host = urlsplit(self.url).hostname or ""
        if host == "localhost" or parse_address(host) is not None:
            # ejabberd logs a line for each request to a host that it does not serve.
            headers.addRawHeader("Host", ascii_domain(domain))
        if self.token is not None:
            headers.addRawHeader("Authorization", f"Bearer {self.token}")
        elif self.user is not None:
            pair = base64.b64encode(f"{self.user}:{self.password or ''}".encode())
            headers.addRawHeader(b"Authorization", b"Basic " + pair)
        return headers


class HTTPAPI:
    """Call commands by POST, with JSON both ways.

    A query goes over a persistent connection, and is sent again if that was closed just then.
    A change has a connection of its own and is sent once: if it fails, it is known whether it
    was ever sent.
    """

    def __init__(self, reactor: IReactor, access: Access, domain: str) -> None:
        """``domain`` is the virtual host that the calls are about."""
        self._reactor = reactor
        self._access = access
        self._headers = access.headers(domain)
        self._policy = BrowserLikePolicyForHTTPS(trust_root(access.ca))
        self._persistent = ApiConnections(reactor, self._policy, access.trusted)
        self._pool = HTTPConnectionPool(reactor)
        self._pool.retryAutomatically = False
        self._pool.cachedConnectionTimeout = _IDLE_SECONDS
        self._querying = self._client(self._persistent, self._pool)

    @deferred
    async def close(self) -> None:
        """Close the persistent connections; the Deferred fires when they are closed."""
        closed: Deferred[object] = self._pool.closeCachedConnections()
        self._persistent.abort()
        await closed

    def _client(self, connections: ApiConnections, pool: HTTPConnectionPool) -> HTTPClient:
        return HTTPClient(Agent.usingEndpointFactory(self._reactor, connections, pool))

    async def query(
        self, command: str, arguments: Mapping[str, object], deadline: Deadline
    ) -> ApiAnswer:
        """Call a command that changes nothing.

        Raises:
            ServerUnreachable: there was no answer, or none that could be read.
        """
        try:
            try:
                return await self._call(self._querying, command, arguments, deadline)
            except (ResponseFailed, ResponseNeverReceived) as error:
                again = not any(isinstance(one, TooMuch) for one in _reasons(error))
                if not again or deadline.is_over:
                    raise
                return await self._call(self._querying, command, arguments, deadline)
        except Exception as error:  # Whatever it was, nothing has been done.
            raise ServerUnreachable(self._complaint(error, deadline)) from None

    async def change(
        self, command: str, arguments: Mapping[str, object], deadline: Deadline
    ) -> ApiAnswer:
        """Call a command that changes something, once.

        Raises:
            ServerUnreachable: it was not sent.
            OutcomeUnknown: it was sent, and there was no answer, or none that could be read.
        """
        connections = ApiConnections(self._reactor, self._policy, self._access.trusted)
        client = self._client(connections, HTTPConnectionPool(self._reactor, persistent=False))
        try:
            return await self._call(client, command, arguments, deadline)
        except Exception as error:  # Any error that is not known to be harmless is not.
            fault = ServerUnreachable if _never_sent(error) else OutcomeUnknown
            raise fault(self._complaint(error, deadline)) from None
        finally:
            connections.abort()

    async def _call(
        self,
        client: HTTPClient,
        command: str,
        arguments: Mapping[str, object],
        deadline: Deadline,
    ) -> ApiAnswer:
        called = Deferred.fromCoroutine(self._post(client, command, arguments))
        return await called.addTimeout(deadline.left(), self._reactor)

    async def _post(
        self, client: HTTPClient, command: str, arguments: Mapping[str, object]
    ) -> ApiAnswer:
        response = await client.request(
            "POST",
            f"{self._access.url.rstrip('/')}/{command}",
            headers=self._headers,
            data=json.dumps(dict(arguments)).encode(),
            allow_redirects=False,
            unbuffered=True,
            reactor=cast(Any, self._reactor),  # treq has an interface of its own
        )
        body = bytearray()
        most = MAX_ROSTER_BYTES if command == "get_roster" else MAX_BODY_BYTES

        def collect(data: bytes) -> None:
            if len(body) + len(data) > most:
                raise TooMuch(f"the answer is longer than {most} bytes")
            body.extend(data)

        await response.collect(collect)
        return _parse(bytes(body), response.code)

    def _complaint(self, error: Exception, deadline: Deadline) -> str:
        where = f"ejabberd's API at {self._access.url}"
        if deadline.is_over:  # The call was cancelled, at whatever step.
            return f"{where} has not answered in time"
        reasons = [escaped(str(one)) or type(one).__name__ for one in _reasons(error)]
        return f"{where}: {'; '.join(dict.fromkeys(reasons))}"[:400]


def _reasons(error: BaseException) -> list[BaseException]:
    failures = getattr(error, "reasons", None)
    return [failure.value for failure in failures] if failures else [error]


def _never_sent(error: BaseException) -> bool:
    """Return whether a request certainly never left: no connection, or no trusted TLS."""
    return isinstance(error, _NEVER_SENT) or any(
        isinstance(one, VerificationError)
        or (isinstance(one, SSL.Error) and "certificate verify failed" in str(one))
        for one in _reasons(error)
    )
