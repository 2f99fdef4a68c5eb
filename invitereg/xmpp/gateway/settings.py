"""The address of an upstream server, and the certificate authorities trusted there."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from twisted.internet.ssl import optionsForClientTLS

from invitereg.config.servers import UpstreamKeys
from invitereg.policy.values import Network
from invitereg.runtime import IReactor
from invitereg.runtime.proxyprotocol import Version
from invitereg.runtime.tls import trust_root
from invitereg.runtime.trustedendpoint import trusted_client


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """The upstream server of one domain, and how it is reached.

    Attributes:
        domain: the XMPP domain as the server spells it; its certificate must be for it.
        connect: a Twisted client endpoint, such as ``tcp:127.0.0.1:15222``.
        tls: ``none`` is for a server on this machine, or in one of the networks `trusted`.
        ca: a PEM file of authorities to trust in place of the system's.
        proxy_protocol: the version by which the server is told the client's address.
        trusted: networks in which TLS is not required.
    """

    domain: str
    connect: str
    tls: Literal["starttls", "direct", "none"] = "starttls"
    ca: Path | None = None
    proxy_protocol: Version = "off"
    trusted: tuple[Network, ...] = ()

    def endpoint(self, reactor: IReactor) -> IStreamClientEndpoint:
        """Return the endpoint that connects to the server."""
        if self.tls == "none":
            return trusted_client(reactor, self.connect, self.trusted)
        client: IStreamClientEndpoint = clientFromString(reactor, self.connect)
        return client

    def tls_options(self) -> IOpenSSLClientConnectionCreator:
        """Return the TLS options of a connection to the server.

        Raises:
            UnicodeError: no certificate can be for the domain (RFC 5890).
            OSError, ValueError: the file ``ca`` cannot be read, or has no certificate.
        """
        changed = self.ca.stat().st_mtime_ns if self.ca is not None else 0
        return _tls_options(self.domain, self.ca, changed)


# Reading a file of authorities takes longer than a handshake.
@lru_cache(maxsize=256)
def _tls_options(
    domain: str, ca: Path | None, _changed: int
) -> IOpenSSLClientConnectionCreator:
    return optionsForClientTLS(
        domain, trustRoot=trust_root(ca), acceptableProtocols=[b"xmpp-client"]
    )


def upstream_of(host: str, keys: UpstreamKeys, trusted: tuple[Network, ...]) -> Upstream:
    """Return the upstream server that ``c2s.upstream`` configures for a domain.

    Args:
        host: the domain as the server spells it.
        keys: the section of the configuration.
        trusted: networks in which TLS is not required.
    """
    return Upstream(
        domain=host,
        connect=keys.connect,
        tls=keys.tls,
        ca=keys.ca,
        proxy_protocol=keys.proxy_protocol,
        trusted=trusted,
    )
