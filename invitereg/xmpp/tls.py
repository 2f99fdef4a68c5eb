"""TLS for clients' streams (RFC 6120 §5, RFC 7590; ALPN: XEP-0368)."""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL.crypto import X509, PKey
from twisted.internet.ssl import CertificateOptions

ALPN = b"xmpp-client"


def load_context(certificate: Path, private_key: Path) -> CertificateOptions:
    """A context factory for a PEM chain, the server's certificate first, and its key.

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
