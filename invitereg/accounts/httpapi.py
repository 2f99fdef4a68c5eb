"""Calls of ejabberd's HTTP API: one request each, and what is known of its outcome.

https://docs.ejabberd.im/developer/ejabberd-api/
"""

import base64
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509
from service_identity import VerificationError
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectingCancelledError, DNSLookupError
from twisted.internet.error import TimeoutError as ConnectTimeoutError
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.web.client import (
    Agent,
    BrowserLikePolicyForHTTPS,
    HTTPConnectionPool,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http_headers import Headers

from invitereg.accounts.apianswer import (
    MAX_BODY_BYTES,
    MAX_ROSTER_BYTES,
    Answer,
    TooMuch,
    collector,
    read,
)
from invitereg.accounts.apiconnections import Connections
from invitereg.interfaces.server import OutcomeUnknown, ServerUnreachable
from invitereg.model.fields import escaped
from invitereg.model.names import ascii_domain
from invitereg.policy.values import Network

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
        """How the server's certificate is verified.

        Raises:
            OSError, ValueError: the file ``ca`` cannot be read, or has no certificate.
        """
        if self.ca is None:
            return BrowserLikePolicyForHTTPS()
        found = x509.load_pem_x509_certificates(self.ca.read_bytes())
        certificates = [Certificate(X509.from_cryptography(one)) for one in found]
        return BrowserLikePolicyForHTTPS(trustRootFromCertificates(certificates))


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
        self._kept = Connections(reactor, self._policy, access.trusted)
        self._pool = HTTPConnectionPool(reactor)
        self._pool.retryAutomatically = False
        self._pool.cachedConnectionTimeout = _KEPT_SECONDS
        self._asking = self._client(self._kept, self._pool)

    def close(self) -> Deferred[Any]:
        """Close the connections that are kept; fires when they are."""
        closed: Deferred[Any] = self._pool.closeCachedConnections()
        self._kept.abort()
        return closed

    def _client(self, lines: Connections, pool: HTTPConnectionPool) -> HTTPClient:
        return HTTPClient(Agent.usingEndpointFactory(self._reactor, lines, pool))

    async def ask(self, command: str, arguments: Mapping[str, Any], until: float) -> Answer:
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

    async def change(self, command: str, arguments: Mapping[str, Any], until: float) -> Answer:
        """Call a command that changes something; once.

        Raises:
            ServerUnreachable: it was not sent.
            OutcomeUnknown: it was sent, and there was no answer, or none that could be read.
        """
        line = Connections(self._reactor, self._policy, self._access.trusted)
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
