"""How the server behind a domain is reached, and what is trusted there."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from cryptography import x509
from OpenSSL.crypto import X509
from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates

from invitereg.policy.values import Network
from invitereg.trustedendpoint import trusted_client
from invitereg.xmpp.proxyheader import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """The server behind one domain, and how it is reached.

    Attributes:
        domain: the XMPP domain as the server spells it; its certificate must be for it.
        connect: a Twisted client endpoint, such as ``tcp:127.0.0.1:15222``.
        tls: ``none`` is for a server on this machine.
        ca: what is trusted to certify it, in PEM form, in place of the system's authorities.
        proxy_protocol: how it is told the client's address.
        trusted: networks in which it may be without TLS, besides this machine.
    """

    domain: str
    connect: str
    tls: Literal["starttls", "direct", "none"] = "starttls"
    ca: Path | None = None
    proxy_protocol: Version = "off"
    trusted: tuple[Network, ...] = ()

    def endpoint(self, reactor: Any) -> IStreamClientEndpoint:
        """Return what connects to the server."""
        if self.tls == "none":
            return trusted_client(reactor, self.connect, self.trusted)
        client: IStreamClientEndpoint = clientFromString(reactor, self.connect)
        return client

    def tls_options(self) -> Any:
        """What a connection to the server is secured with.

        Raises:
            UnicodeError: no certificate can be for the domain (RFC 5890).
            OSError, ValueError: the file ``ca`` cannot be read, or has no certificate.
        """
        changed = self.ca.stat().st_mtime_ns if self.ca is not None else 0
        return _tls_options(self.domain, self.ca, changed)


# To read a file of authorities takes longer than a handshake.
@lru_cache(maxsize=256)
def _tls_options(domain: str, ca: Path | None, _changed: int) -> Any:
    trust = None
    if ca is not None:
        found = x509.load_pem_x509_certificates(ca.read_bytes())
        trust = trustRootFromCertificates(
            [Certificate(X509.from_cryptography(one)) for one in found]
        )
    return optionsForClientTLS(domain, trustRoot=trust, acceptableProtocols=[b"xmpp-client"])
