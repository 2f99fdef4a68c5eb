"""Show each client its domain's certificate (RFC 6066 §3, RFC 7590 §3.3), and trust others'."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID
from OpenSSL.crypto import X509
from OpenSSL.SSL import Connection
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.ssl import Certificate, CertificateOptions, trustRootFromCertificates
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from invitereg.model.names import ascii_domain

if TYPE_CHECKING:
    from twisted.internet._sslverify import IOpenSSLTrustRoot  # which has no public name

_log = Logger("invitereg.tls.Certificates")

FileVersions = tuple[tuple[int, int, int] | None, ...]


class CertificateFiles(Protocol):
    """The files of a certificate and its key, in PEM form; hashable."""

    @property
    def certificate(self) -> Path:
        """The path of the certificate, with its chain."""

    @property
    def private_key(self) -> Path:
        """The path of its private key."""


def load_options(files: CertificateFiles, protocols: Sequence[bytes]) -> CertificateOptions:
    """Load a PEM chain, the server's certificate first, and its key.

    Args:
        files: where both are.
        protocols: what a client may negotiate by ALPN.

    Raises:
        OSError, ValueError: a file cannot be read, or is not what it should be.
    """
    chain = x509.load_pem_x509_certificates(files.certificate.read_bytes())
    key = load_pem_private_key(files.private_key.read_bytes(), None)
    if key.public_key() != chain[0].public_key():
        raise ValueError(
            f"the key in {files.private_key} does not belong to the first certificate"
        )
    # Twisted only hands them on, and pyOpenSSL wants those of cryptography by now.
    own: dict[str, Any] = {
        "privateKey": key,
        "certificate": chain[0],
        "extraCertChain": chain[1:],
    }
    return CertificateOptions(**own, acceptableProtocols=list(protocols))


def trust_root(authorities: Path | None) -> "IOpenSSLTrustRoot | None":
    """Return the authorities in a PEM file as a client trusts them; None: the system's.

    Raises:
        OSError, ValueError: the file cannot be read, or has no certificate.
    """
    if authorities is None:
        return None
    found = x509.load_pem_x509_certificates(authorities.read_bytes())
    root: IOpenSSLTrustRoot = trustRootFromCertificates(
        [Certificate(X509.from_cryptography(one)) for one in found]
    )
    return root


def complaints(certificate: Path, domains: Iterable[str], now: datetime) -> list[str]:
    """List why clients will not trust the first certificate in a PEM file.

    The service runs nonetheless: other clients may accept it until it is renewed.

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
        own_name = _ascii(domain)
        if not own_name or not {own_name, "*." + own_name.partition(".")[2]} & names:
            found.append(f"the certificate {certificate} is not for {domain}")
    return found


def _ascii(domain: str) -> str | None:
    """Return a domain in A-labels, as the DNS and TLS have it; None if it has none."""
    try:
        return ascii_domain(domain)
    except ValueError:  # such as for a label of more than 63 characters
        return None


@implementer(IOpenSSLServerConnectionCreator)
class Certificates:
    """Start TLS on new connections, with the certificate of the domain that the client names.

    A client that names none of the domains is shown the first domain's certificate. Open
    connections keep theirs when a certificate is replaced.
    """

    def __init__(
        self,
        files: Mapping[str, CertificateFiles],
        protocols: Sequence[bytes],
        now: Callable[[], datetime],
    ) -> None:
        """Load all certificates.

        Args:
            files: of each domain; none where nothing connects.
            protocols: what a client may negotiate by ALPN.
            now: the time of day, for certificates that have expired.

        Raises:
            OSError, ValueError: a file cannot be read, or is not what it should be.
        """
        self._protocols = protocols
        self._now = now
        self._complained_at: FileVersions | None = None
        self.replace(files)

    def replace(self, files: Mapping[str, CertificateFiles]) -> None:
        """Load other files, or the same again; log why clients will not trust one.

        Raises:
            OSError, ValueError: as the constructor; then everything stays as it was.
        """
        versions = _versions(files)
        loaded = {
            one: load_options(one, self._protocols) for one in dict.fromkeys(files.values())
        }
        self._files, self._loaded = dict(files), versions
        self._options = {domain: loaded[one] for domain, one in files.items()}
        self._by_name = {_ascii(domain): options for domain, options in self._options.items()}
        for options in loaded.values():
            options.getContext().set_tlsext_servername_callback(self._on_name)
        for domain, one in files.items():
            for complaint in complaints(one.certificate, [domain], self._now()):
                _log.warn("clients will not trust us: {complaint}", complaint=complaint)

    def refresh(self) -> None:
        """Load the files again if any of them has changed.

        A pair that does not fit, as while it is being written, is tried again next time.
        """
        versions = _versions(self._files)
        if versions == self._loaded:
            return
        try:
            self.replace(self._files)
        except (OSError, ValueError) as error:
            if versions != self._complained_at:
                _log.error(
                    "a certificate has changed and cannot be used, the old one stays: {error}",
                    error=error,
                )
            self._complained_at = versions
        else:
            _log.info("certificates have changed: read again")

    def preferring(self, domain: str) -> "Preferring":
        """Return a connection creator whose default, without SNI, is a domain's certificate."""
        return Preferring(self, domain)

    def connection(self, domain: str | None = None) -> Connection:
        """Return a connection with a domain's certificate; None is the first domain's."""
        first = next(iter(self._options))
        options = self._options.get(domain or first, self._options[first])
        return Connection(options.getContext(), None)

    def serverConnectionForTLS(self, _protocol: TLSMemoryBIOProtocol) -> Connection:
        return self.connection()

    def _on_name(self, connection: Connection) -> None:
        name = connection.get_servername()
        options = self._by_name.get(name.decode("ascii", "replace").lower()) if name else None
        if options is not None:
            connection.set_context(options.getContext())


@implementer(IOpenSSLServerConnectionCreator)
class Preferring:
    """Start TLS for a client that has named a domain in its stream header (RFC 6120 §5)."""

    def __init__(self, certificates: Certificates, domain: str) -> None:
        self._certificates = certificates
        self._domain = domain

    def serverConnectionForTLS(self, _protocol: TLSMemoryBIOProtocol) -> Connection:
        return self._certificates.connection(self._domain)


def _versions(files: Mapping[str, CertificateFiles]) -> FileVersions:
    """Return numbers that change with the files; certbot replaces a symlink's target."""
    return tuple(
        _stamp_of(path)
        for one in dict.fromkeys(files.values())
        for path in (one.certificate, one.private_key)
    )


def _stamp_of(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def write_certificate(folder: Path, domain: str, days: int = 30) -> tuple[Path, Path]:
    """Write ``fullchain.pem`` and ``privkey.pem`` (mode 0600) for ``domain``.

    The certificate holds for 127.0.0.1 too, and is its own authority.

    Returns:
        The paths of the certificate and of its key.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain[:64])])
    names = [x509.DNSName(domain), x509.IPAddress(ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    certificate_path, key_path = folder / "fullchain.pem", folder / "privkey.pem"
    certificate_path.write_bytes(certificate.public_bytes(Encoding.PEM))
    key_path.touch(mode=0o600)
    key_path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate_path, key_path
