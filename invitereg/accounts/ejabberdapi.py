"""Calls of ejabberd's HTTP API: one request each, and what is known of its outcome.

https://docs.ejabberd.im/developer/ejabberd-api/
"""

import base64
import ipaddress
import json
from collections.abc import Callable, Mapping
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
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import connectionDone
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
from invitereg.runtime.logs import quoted
from invitereg.runtime.tls import trust_root
from invitereg.runtime.trustedendpoint import TrustedNameEndpoint

MAX_BODY_BYTES = 64 * 1024
"""The longest answer to most commands, which is a number or an error."""
MAX_ROSTER_BYTES = 8 * 1024 * 1024
"""The longest roster that is read: some 50,000 contacts."""
MAX_VALUES = 500_000
"""How many values an answer may have, by the characters that divide them: ten for a contact."""
NO_JSON = object()
"""In place of what an answer has in its body."""
_MOST_CHARACTERS = 200


class TooMuch(Exception):
    """An answer is longer than it may be, or has more values."""


class NotTheAPI(Exception):
    """Something else answers there, as a proxy whose server is away."""


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """Hold what the API has answered.

    Attributes:
        status: of HTTP.
        body: the JSON value; `NO_JSON` if it is none, as the page of a proxy.
    """

    status: int
    body: Any

    @property
    def code(self) -> int | None:
        """The server's own number of an error, where it gives one."""
        code = self.body.get("code") if isinstance(self.body, dict) else None
        return code if isinstance(code, int) else None

    @property
    def text(self) -> str:
        """Return what it says, cut to a line that can be logged."""
        if self.body is NO_JSON:
            return f"status {self.status}"
        said = self.body.get("message") if isinstance(self.body, dict) else self.body
        if isinstance(said, (list, dict)):  # which may be big
            return f"a list of {len(said)}" if isinstance(said, list) else "an object"
        return " ".join(str(said)[:_MOST_CHARACTERS].split())

    @property
    def quoted(self) -> str:
        """The same in quotes, where it is the server's own words."""
        return self.text if self.body is NO_JSON else quoted(self.text)


def collector(body: bytearray, most: int) -> Callable[[bytes], None]:
    """Return what adds data to ``body``, and raises TooMuch beyond ``most`` bytes."""

    def collect(data: bytes) -> None:
        if len(body) + len(data) > most:
            raise TooMuch(f"the answer is longer than {most} bytes")
        body.extend(data)

    return collect


def read(body: bytes, status: int) -> ApiAnswer:
    """Return the answer that a response is.

    Raises:
        TooMuch: it has too many values: reading them would hold up everybody.
        NotTheAPI: its status says that all went well, but it is no JSON.
    """
    if sum(map(body.count, (b"[", b"{", b","))) > MAX_VALUES:
        raise TooMuch(f"the answer has more than {MAX_VALUES} values")
    try:
        return ApiAnswer(status, json.loads(body.decode("utf-8", "replace")))
    except (ValueError, RecursionError):
        if status == 200:
            raise NotTheAPI(f"it answered {status} with no JSON: is it ejabberd?") from None
        return ApiAnswer(status, NO_JSON)


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
class ApiConnections:
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


_KEPT_SECONDS = 30
_NEVER_SENT = (ConnectError, ConnectTimeoutError, ConnectingCancelledError, DNSLookupError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Where the API is, and who we are there.

    Attributes:
        url: with its path, such as ``http://127.0.0.1:5280/api``.
        user: the bare JID of an account at the server, with its ``password``; or none.
        token: an OAuth bearer token; with neither, it is our address that is trusted.
        ca: what is trusted to certify the server, in PEM form, in place of the system's
            authorities.
        trusted: networks in which ``http:`` may lead to the host that is named.
    """

    url: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    ca: Path | None = None
    trusted: tuple[Network, ...] = ()

    def headers(self, domain: str) -> Headers:
        """Return the headers of every request about a domain."""
        headers = Headers({"Content-Type": ["application/json"]})
        if _is_nameless(urlsplit(self.url).hostname or ""):
            # ejabberd writes a line in its log for each request to a host that it has not.
            headers.addRawHeader("Host", ascii_domain(domain))
        if self.token is not None:
            headers.addRawHeader("Authorization", f"Bearer {self.token}")
        elif self.user is not None:
            pair = base64.b64encode(f"{self.user}:{self.password or ''}".encode())
            headers.addRawHeader(b"Authorization", b"Basic " + pair)
        return headers

    def policy(self) -> BrowserLikePolicyForHTTPS:
        """Return how the server's certificate is verified.

        Raises:
            OSError, ValueError: the file ``ca`` cannot be read, or has no certificate.
        """
        return BrowserLikePolicyForHTTPS(trust_root(self.ca))


class HTTPAPI:
    """Calls commands by POST, with JSON both ways.

    A question goes over a connection that is kept, and is asked again if that was closed just
    then. A change has a connection of its own and is sent once: if it fails, it is known
    whether it was ever sent.
    """

    def __init__(self, reactor: Any, access: Access, domain: str) -> None:
        """``domain`` is the virtual host that the calls are about."""
        self._reactor = reactor
        self._access = access
        self._headers = access.headers(domain)
        self._policy = access.policy()
        self._kept = ApiConnections(reactor, self._policy, access.trusted)
        self._pool = HTTPConnectionPool(reactor)
        self._pool.retryAutomatically = False
        self._pool.cachedConnectionTimeout = _KEPT_SECONDS
        self._asking = self._client(self._kept, self._pool)

    def close(self) -> Deferred[Any]:
        """Close the connections that are kept; fires when they are."""
        closed: Deferred[Any] = self._pool.closeCachedConnections()
        self._kept.abort()
        return closed

    def _client(self, lines: ApiConnections, pool: HTTPConnectionPool) -> HTTPClient:
        return HTTPClient(Agent.usingEndpointFactory(self._reactor, lines, pool))

    async def ask(self, command: str, arguments: Mapping[str, Any], until: float) -> ApiAnswer:
        """Call a command that changes nothing; from the reactor's time ``until``, give up.

        Raises:
            ServerUnreachable: there was no answer, or none that could be read.
        """
        try:
            try:
                return await self._call(self._asking, command, arguments, until)
            except (ResponseFailed, ResponseNeverReceived) as error:
                again = not any(isinstance(one, TooMuch) for one in _reasons(error))
                if not again or self._reactor.seconds() >= until:
                    raise
                return await self._call(self._asking, command, arguments, until)
        except Exception as error:  # whatever it was: nothing has been done
            raise ServerUnreachable(self._complaint(error, until)) from None

    async def change(
        self, command: str, arguments: Mapping[str, Any], until: float
    ) -> ApiAnswer:
        """Call a command that changes something; once.

        Raises:
            ServerUnreachable: it was not sent.
            OutcomeUnknown: it was sent, and there was no answer, or none that could be read.
        """
        line = ApiConnections(self._reactor, self._policy, self._access.trusted)
        client = self._client(line, HTTPConnectionPool(self._reactor, persistent=False))
        try:
            return await self._call(client, command, arguments, until)
        except Exception as error:  # what is not known to be harmless is not harmless
            fault = ServerUnreachable if _never_sent(error) else OutcomeUnknown
            raise fault(self._complaint(error, until)) from None
        finally:
            line.abort()

    async def _call(
        self, client: HTTPClient, command: str, arguments: Mapping[str, Any], until: float
    ) -> ApiAnswer:
        seconds = max(0.0, until - self._reactor.seconds())
        called = Deferred.fromCoroutine(self._post(client, command, arguments))
        return await called.addTimeout(seconds, self._reactor)

    async def _post(
        self, client: HTTPClient, command: str, arguments: Mapping[str, Any]
    ) -> ApiAnswer:
        response = await client.request(
            "POST",
            f"{self._access.url.rstrip('/')}/{command}",
            headers=self._headers,
            data=json.dumps(dict(arguments)).encode(),
            allow_redirects=False,
            unbuffered=True,
            reactor=self._reactor,
        )
        body = bytearray()
        most = MAX_ROSTER_BYTES if command == "get_roster" else MAX_BODY_BYTES
        await response.collect(collector(body, most))
        return read(bytes(body), response.code)

    def _complaint(self, error: Exception, until: float) -> str:
        where = f"ejabberd's API at {self._access.url}"
        if self._reactor.seconds() >= until:  # Then it was cancelled, at whatever step.
            return f"{where} has not answered in time"
        reasons = [escaped(str(one)) or type(one).__name__ for one in _reasons(error)]
        return f"{where}: {'; '.join(dict.fromkeys(reasons))}"[:400]


def _is_nameless(host: str) -> bool:
    """Return whether a URL's host is an address, or this machine, and so no virtual host."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


def _reasons(error: BaseException) -> list[BaseException]:
    failures = getattr(error, "reasons", None)
    return [failure.value for failure in failures] if failures else [error]


def _never_sent(error: BaseException) -> bool:
    """Whether the request certainly never left: no connection, or no TLS that we trust."""
    return isinstance(error, _NEVER_SENT) or any(map(_is_wrong_certificate, _reasons(error)))


def _is_wrong_certificate(error: BaseException) -> bool:
    return isinstance(error, VerificationError) or (
        isinstance(error, SSL.Error) and "certificate verify failed" in str(error)
    )
