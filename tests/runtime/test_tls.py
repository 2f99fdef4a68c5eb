"""Certificates: what is said about them, and which one a client is shown."""

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography.x509.oid import NameOID
from OpenSSL.SSL import TLS_METHOD, Connection, Context, WantReadError
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, formatEvent, globalLogPublisher
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.trial.unittest import SynchronousTestCase

from invitereg.config import Tls
from invitereg.runtime.tls import Certificates, complaints, write_certificate
from invitereg.service.maintenance import Maintenance, Retention
from invitereg.testing import clock_now, memory_store


class ComplaintTests(SynchronousTestCase):
    def complaints(self, certificate_for: str, domain: str, days: int = 0) -> list[str]:
        """What is said of a certificate after so many days."""
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        certificate, _ = write_certificate(Path(folder.name), certificate_for)
        now = datetime.now(UTC) + timedelta(days=days)
        return complaints(certificate, [domain], now)

    def test_fine(self) -> None:
        """A certificate for the domain, by its name or by a wildcard, is fine."""
        self.assertEqual(self.complaints("example.com", "example.com"), [])
        self.assertEqual(self.complaints("*.example.com", "chat.example.com"), [])
        self.assertEqual(self.complaints("xn--mnchen-3ya.de", "m\u00fcnchen.de"), [])

    def test_impossible_domain(self) -> None:
        """A domain that no certificate can name is complained of, and stops nothing."""
        (complaint,) = self.complaints("example.com", "a" * 64 + ".com")
        self.assertIn("is not for", complaint)

    def test_expired(self) -> None:
        """An operator who forgot to renew it hears so."""
        (complaint,) = self.complaints("example.com", "example.com", days=31)
        self.assertIn("expired on", complaint)

    def test_for_another_domain(self) -> None:
        """A certificate for the host instead of the XMPP domain is the usual mistake."""
        for certificate_for in ("xmpp.example.com", "*.example.com", "example.org"):
            (complaint,) = self.complaints(certificate_for, "example.com")
            self.assertTrue(complaint.endswith("is not for example.com"), complaint)


class CertificatesTests(SynchronousTestCase):
    """Which certificate a client is shown, without a network between."""

    DOMAINS = ("example.com", "example.org", "münchen.de")

    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.files: dict[str, Tls] = {}
        for domain in self.DOMAINS:
            own = Path(folder.name) / domain
            own.mkdir()
            certificate, key = write_certificate(own, domain.encode("idna").decode())
            self.files[domain] = Tls.model_construct(certificate=certificate, private_key=key)
        self.clock = Clock()
        self.certificates = Certificates(
            self.files, [b"xmpp-client"], lambda: datetime.now(UTC)
        )
        self.log: list[str] = []
        observer: ILogObserver = lambda event: self.log.append(formatEvent(event))  # noqa: E731
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def shown(
        self, name: bytes | None, server: Connection | None = None, alpn: bytes = b""
    ) -> str:
        """The name in the certificate that a client sees which asks for ``name``."""
        server = server or self.certificates.connection()
        factory = TLSMemoryBIOFactory(self.certificates, False, ServerFactory())
        server.set_app_data(TLSMemoryBIOProtocol(factory, Protocol()))
        client = Connection(Context(TLS_METHOD), None)
        if name is not None:
            client.set_tlsext_host_name(name)
        if alpn:
            client.set_alpn_protos([alpn])
        client.set_connect_state()
        server.set_accept_state()
        for _ in range(4):
            for one, other in ((client, server), (server, client)):
                with contextlib.suppress(WantReadError):
                    one.do_handshake()
                with contextlib.suppress(WantReadError):
                    other.bio_write(one.bio_read(65536))
        if alpn:
            self.assertEqual(client.get_alpn_proto_negotiated(), alpn)
        certificate = client.get_peer_certificate(as_cryptography=True)
        assert certificate is not None
        (name_of_it,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(name_of_it.value)

    def test_by_name(self) -> None:
        """A client sees the certificate of the domain that it names by SNI, with ALPN too."""
        self.assertEqual(self.shown(b"example.org"), "example.org")
        self.assertEqual(self.shown(b"EXAMPLE.com", alpn=b"xmpp-client"), "example.com")
        self.assertEqual(self.shown(b"example.org", alpn=b"xmpp-client"), "example.org")
        self.assertEqual(self.shown("münchen.de".encode("idna")), "xn--mnchen-3ya.de")

    def test_no_name(self) -> None:
        """A client that names no domain, or none of ours, sees the first one's."""
        self.assertEqual(self.shown(None), "example.com")
        self.assertEqual(self.shown(b"xmpp.example.net"), "example.com")

    def test_stream_header(self) -> None:
        """With STARTTLS the stream header has named a domain before; SNI counts for more."""
        creator = self.certificates.preferring("example.org")
        for name, expected in (
            (None, "example.org"),
            (b"xmpp.example.net", "example.org"),
            (b"example.com", "example.com"),
        ):
            server = creator.serverConnectionForTLS(TLSMemoryBIOProtocol(None, None))
            self.assertEqual(self.shown(name, server), expected)

    def replace_files(self, domain: str, by: str) -> None:
        """As certbot does it, with a new certificate for another name, to tell them apart."""
        write_certificate(self.files[domain].certificate.parent, by)

    def watch(self) -> None:
        """Let a service's maintenance look after the files."""
        keep, each_minute = Retention(addresses=None, invites=None), [self.certificates.refresh]
        parts = self.clock, clock_now(self.clock), memory_store(), {}, keep
        maintenance: Any = Maintenance(*parts, each_minute=each_minute)
        maintenance.startService()
        self.addCleanup(maintenance.stopService)

    def test_changed_files(self) -> None:
        """Files that have changed are read again within a minute, without a signal."""
        self.watch()
        self.replace_files("example.org", "new.example.org")
        self.assertEqual(self.shown(b"example.org"), "example.org")
        self.clock.advance(60)
        self.assertEqual(self.shown(b"example.org"), "new.example.org")
        self.assertEqual(self.shown(b"example.com"), "example.com")
        self.assertEqual(sum("read again" in line for line in self.log), 1)
        self.assertEqual(sum("is not for example.org" in line for line in self.log), 1)
        self.clock.advance(60)
        self.assertEqual(sum("read again" in line for line in self.log), 1)

    def test_half_written(self) -> None:
        """While a pair does not fit, the old one stays; complained of once, then healed."""
        self.watch()
        key = self.files["example.com"].private_key
        new = self.files["example.org"].private_key.read_bytes()
        old = key.read_bytes()
        for content in (new, b"", None):
            self.log.clear()
            key.unlink()
            if content is not None:
                key.write_bytes(content)
            for _ in range(3):
                self.clock.advance(60)
            self.assertEqual(self.shown(None), "example.com")
            (line,) = self.log
            self.assertIn("the old one stays", line)
        key.write_bytes(old)
        self.clock.advance(60)
        self.assertIn("read again", self.log[-1])

    def test_replaced_or_not(self) -> None:
        """Of other files, all are taken or none."""
        broken = Tls.model_construct(certificate=Path("nowhere"), private_key=Path("nowhere"))
        with self.assertRaises(OSError):
            self.certificates.replace({**self.files, "example.net": broken})
        self.assertEqual(self.shown(b"example.org"), "example.org")
