"""Calls of ejabberd's HTTP API: one request each, and what is known of its outcome.

https://docs.ejabberd.im/developer/ejabberd-api/
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakSet

from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509
from service_identity import VerificationError
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, ConnectingCancelledError, DNSLookupError
from twisted.internet.error import TimeoutError as ConnectTimeoutError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import Certificate, trustRootFromCertificates
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

from invitereg.logs import escaped, quoted
from invitereg.server import OutcomeUnknown, ServerUnreachable

MAX_ANSWER_BYTES = 8 * 1024 * 1024
"""The longest answer that is read: some 50,000 contacts."""
NO_JSON = object()
"""In place of what an answer has in its body."""
_CONNECT_SECONDS = 3.0
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
    """

    url: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    ca: Path | None = None

    def headers(self) -> Headers:
        """The headers of every request."""
        headers = Headers({"Content-Type": ["application/json"]})
        if self.token is not None:
            headers.addRawHeader("Authorization", f"Bearer {self.token}")
        elif self.user is not None:
            pair = base64.b64encode(f"{self.user}:{self.password or ''}".encode())
            headers.addRawHeader(b"Authorization", b"Basic " + pair)
        return headers

    def policy(self) -> BrowserLikePolicyForHTTPS:
        """How the server's certificate is verified.

        Raises:
            OSError, ValueError: the file ``ca`` cannot be read, or has no certificate.
        """
        if self.ca is None:
            return BrowserLikePolicyForHTTPS()
        found = x509.load_pem_x509_certificates(self.ca.read_bytes())
        certificates = [Certificate(X509.from_cryptography(one)) for one in found]
        return BrowserLikePolicyForHTTPS(trustRootFromCertificates(certificates))


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API has answered.

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
        """What it says, cut to a line that can be logged."""
        if self.body is NO_JSON:
            return f"status {self.status}"
        text = self.body.get("message") if isinstance(self.body, dict) else self.body
        return " ".join(str(text).split())[:200]

    @property
    def quoted(self) -> str:
        """The same in quotes, where it is the server's own words."""
        return self.text if self.body is NO_JSON else quoted(self.text)


class HTTPAPI:
    """Calls commands by POST, with JSON both ways.

    A question goes over a connection that is kept, and is asked again if that was closed just
    then. A change has a connection of its own and is sent once: if it fails, it is known
    whether it was ever sent.
    """

    def __init__(self, reactor: Any, access: Access) -> None:
        self._reactor = reactor
        self._access = access
        self._headers = access.headers()
        self._policy = access.policy()
        self._kept = _Lines(reactor, self._policy)
        self._pool = HTTPConnectionPool(reactor)
        self._pool.retryAutomatically = False
        self._pool.cachedConnectionTimeout = _KEPT_SECONDS
        self._asking = self._client(self._kept, self._pool)

    def close(self) -> Deferred[Any]:
        """Close the connections that are kept; fires when they are."""
        closed: Deferred[Any] = self._pool.closeCachedConnections()
        self._kept.abort()
        return closed

    def _client(self, lines: "_Lines", pool: HTTPConnectionPool) -> HTTPClient:
        return HTTPClient(Agent.usingEndpointFactory(self._reactor, lines, pool))

    async def ask(self, command: str, arguments: Mapping[str, Any], until: float) -> Answer:
        """Call a command that changes nothing; from the reactor's time ``until``, give up.

        Raises:
            ServerUnreachable: there was no answer, or none that could be read.
        """
        try:
            try:
                return await self._call(self._asking, command, arguments, until)
            except (ResponseFailed, ResponseNeverReceived):
                if self._reactor.seconds() >= until:
                    raise
                return await self._call(self._asking, command, arguments, until)
        except Exception as error:  # whatever it was: nothing has been done
            raise ServerUnreachable(self._complaint(error, until)) from None

    async def change(self, command: str, arguments: Mapping[str, Any], until: float) -> Answer:
        """Call a command that changes something; once.

        Raises:
            ServerUnreachable: it was not sent.
            OutcomeUnknown: it was sent, and there was no answer, or none that could be read.
        """
        line = _Lines(self._reactor, self._policy)
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
    ) -> Answer:
        seconds = max(0.0, until - self._reactor.seconds())
        called = Deferred.fromCoroutine(self._post(client, command, arguments))
        return await called.addTimeout(seconds, self._reactor)

    async def _post(
        self, client: HTTPClient, command: str, arguments: Mapping[str, Any]
    ) -> Answer:
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
        await response.collect(_into(body))
        return Answer(response.code, _read(bytes(body), response.code))

    def _complaint(self, error: Exception, until: float) -> str:
        where = f"ejabberd's API at {self._access.url}"
        if self._reactor.seconds() >= until:  # Then it was cancelled, at whatever step.
            return f"{where} has not answered in time"
        reasons = [escaped(str(one)) or type(one).__name__ for one in _reasons(error)]
        return f"{where}: {'; '.join(dict.fromkeys(reasons))}"[:400]


@implementer(IAgentEndpointFactory)
class _Lines:
    """Opens connections, and can close them all.

    At once, as ejabberd leaves a TLS connection open whose other end has said good-bye.
    """

    def __init__(self, reactor: Any, policy: BrowserLikePolicyForHTTPS) -> None:
        self._reactor = reactor
        self._policy = policy
        self._open: WeakSet[Any] = WeakSet()

    def endpointForURI(self, uri: URI) -> Any:
        """See IAgentEndpointFactory."""
        host = uri.host.decode("ascii")
        endpoint: Any = HostnameEndpoint(self._reactor, host, uri.port, _CONNECT_SECONDS)
        if uri.scheme == b"https":
            creator = self._policy.creatorForNetloc(uri.host, uri.port)
            endpoint = wrapClientTLS(creator, endpoint)
        return _Line(endpoint, self._open)

    def abort(self) -> None:
        """Close them at once."""
        for protocol in list(self._open):
            if protocol.transport is not None:
                protocol.transport.abortConnection()


@implementer(IStreamClientEndpoint)
class _Line:
    """An endpoint that notes what it connects."""

    def __init__(self, endpoint: Any, noted: "WeakSet[Any]") -> None:
        self._endpoint = endpoint
        self._noted = noted

    def connect(self, factory: Any) -> Deferred[Any]:
        """See IStreamClientEndpoint."""
        factory.noisy = False  # or each connection would fill two lines of the log
        connected: Deferred[Any] = self._endpoint.connect(factory)
        return connected.addCallback(self._note)

    def _note(self, protocol: Any) -> Any:
        self._noted.add(protocol)
        return protocol


class TooLong(Exception):
    """The answer is longer than `MAX_ANSWER_BYTES`."""


def _into(body: bytearray) -> Callable[[bytes], None]:
    def collect(data: bytes) -> None:
        if len(body) + len(data) > MAX_ANSWER_BYTES:
            raise TooLong(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
        body.extend(data)

    return collect


class NotTheAPI(Exception):
    """Something else answers there, as a proxy whose server is away."""


def _read(body: bytes, status: int) -> Any:
    text = body.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        if status == 200:
            raise NotTheAPI(f"it answered {status} with no JSON: is it ejabberd?") from None
        return NO_JSON


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
