"""TLS for clients' streams (RFC 6120 §5, RFC 7590; ALPN: XEP-0368)."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL.crypto import X509, PKey
from OpenSSL.SSL import Connection
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.ssl import CertificateOptions
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

ALPN = b"xmpp-client"


def load_options(certificate: Path, private_key: Path) -> CertificateOptions:
    """What TLS needs of a PEM chain, the server's certificate first, and its key.

    A client may negotiate ``xmpp-client`` by ALPN, and need not.

    Raises:
        OSError, ValueError: a file cannot be read, or is not what it should be.
    """
    chain = x509.load_pem_x509_certificates(certificate.read_bytes())
    key = load_pem_private_key(private_key.read_bytes(), None)
    own, *others = (X509.from_cryptography(part) for part in chain)
    return CertificateOptions(
        privateKey=PKey.from_cryptography_key(key),  # type: ignore[arg-type]
        certificate=own,
        extraCertChain=others,
        acceptableProtocols=[ALPN],
    )


def complaints(certificate: Path, domains: Iterable[str], now: datetime) -> list[str]:
    """What clients will dislike about the first certificate in a PEM file, a line each.

    None of it keeps the service from running, as one who must renew it has enough trouble.

    Raises:
        OSError, ValueError: the file cannot be read, or is not what it should be.
    """
    own = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    found = []
    if own.not_valid_after_utc <= now:
        found.append(f"the certificate {certificate} expired on {own.not_valid_after_utc:%F}")
    try:
        extension = own.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = {name.lower() for name in extension.value.get_values_for_type(x509.DNSName)}
    except x509.ExtensionNotFound:
        names = set()
    for domain in domains:
        if not _names_of(domain) & names:
            found.append(f"the certificate {certificate} is not for {domain}")
    return found


def _names_of(domain: str) -> set[str]:
    """How a certificate may name a domain: as it is, or by a wildcard."""
    try:
        ascii_name = domain.encode("idna").decode()
    except UnicodeError:  # such as for a label of more than 63 characters
        return set()
    return {ascii_name, "*." + ascii_name.partition(".")[2]}


@implementer(IOpenSSLServerConnectionCreator)
class ServerTls:
    """Starts TLS on new connections with the certificate of the moment.

    Attributes:
        options: may be replaced while running; connections that are open keep what they have.
    """

    def __init__(self, options: CertificateOptions) -> None:
        self.options = options

    def serverConnectionForTLS(self, _protocol: TLSMemoryBIOProtocol) -> Connection:
        """See `IOpenSSLServerConnectionCreator`."""
        return Connection(self.options.getContext(), None)
