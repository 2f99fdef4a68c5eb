"""What is said about certificates."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from invitereg.selfsigned import write_certificate
from invitereg.xmpp.tls import complaints


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
