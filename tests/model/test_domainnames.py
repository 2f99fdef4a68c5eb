"""An internationalized domain is one, whether it is written in U-labels or in A-labels."""

import encodings.idna as idna2003

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from invitereg.embedded.addresses import parse_jid
from invitereg.model.names import ascii_domain, disagreement, prepare_domain, spelled_like

PAIRS = {
    "xn--mnchen-3ya.example": "münchen.example",
    "XN--MNCHEN-3YA.Example.": "münchen.example",
    "xn--fiqs8s.xn--wgv71a119e.jp": "中国.日本語.jp",
    "chat.xn--mnchen-3ya.example": "chat.münchen.example",
    "xn--mgba3a4f16a.ir": "ایران.ir",
    "xn--n3h.example": "☃.example",
}
DIFFERENT = {
    "straße.example": "SHARP S",
    "xn--strae-oqa.example": "SHARP S",
    "βόλος.example": "FINAL SIGMA",
    "xn--nxasmm1c.example": "FINAL SIGMA",
    "نامه\u200cای.example": "ZERO WIDTH NON-JOINER",
    "☃.example": "not allowed",
    "xn--n3h.example": "not allowed",
    "xn--.example": "A-label",
    f"{'ü' * 64}.example": "too long",
}
LABELS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


class NormalFormTests(SynchronousTestCase):
    def test_pairs(self) -> None:
        """A domain in A-labels is the domain that they stand for (RFC 7622 §3.2.1)."""
        for written, domain in PAIRS.items():
            self.assertEqual(prepare_domain(written), domain)
            self.assertEqual(prepare_domain(domain), domain)
            full = f"juliet@{written.removesuffix('.')}/balcony"
            self.assertEqual(parse_jid(full).full(), f"juliet@{domain}/balcony")

    def test_another_domain(self) -> None:
        """An A-label never becomes a domain that somebody else may own."""
        words = ("strae-oqa", "nxasmm1c", "mgba3gch31f060k", "a", "zzzzz99999", "a" * 70)
        for label in map("xn--{}".format, (*words, "xn--mnchen-3ya-abc")):
            self.assertEqual(prepare_domain(f"{label}.example"), f"{label}.example")

    @given(LABELS)
    def test_round_trip(self, label: str) -> None:
        """Whatever has an A-label is the same domain by it, and preparation changes no more."""
        try:
            name = prepare_domain(f"a.{label}.example")
            written = ".".join(idna2003.ToASCII(part).decode() for part in name.split("."))
        except (ValueError, UnicodeError):
            return
        self.assertEqual(prepare_domain(name), name)
        self.assertEqual(prepare_domain(written), name)
        self.assertEqual(prepare_domain(written.upper()), name)

    @given(LABELS.map(lambda text: f"xn--{text}"))
    def test_any_a_label(self, label: str) -> None:
        """Whatever begins as an A-label does, preparing it once more changes nothing."""
        try:
            name = prepare_domain(label)
        except ValueError:
            return
        self.assertEqual(prepare_domain(name), name)


class AgreementTests(SynchronousTestCase):
    def test_agreed(self) -> None:
        """What is one domain for everybody may be used, and has its A-labels for the DNS."""
        for domain in ("example.com", "my_host.local", "MÜNCHEN.example", *list(PAIRS)[:5]):
            self.assertIsNone(disagreement(domain))
        self.assertEqual(ascii_domain("MÜNCHEN.Example"), "xn--mnchen-3ya.example")

    def test_different(self) -> None:
        """What IDNA 2008 and nameprep take for different domains is told, with the reason."""
        for domain, reason in DIFFERENT.items():
            self.assertIn(reason, disagreement(domain) or "", domain)

    @given(LABELS)
    def test_same_a_labels(self, label: str) -> None:
        """Where nothing is told, both ways to the DNS end at the same name."""
        domain = f"{label}.example"
        try:
            name = prepare_domain(domain)
        except ValueError:
            return
        if disagreement(domain) is None:
            self.assertEqual(ascii_domain(domain), ascii_domain(name))
            self.assertEqual(prepare_domain(ascii_domain(domain)), name)

    def test_spelling(self) -> None:
        """A domain is answered in the spelling in which it was asked for."""
        for domain, spelling, expected in (
            ("münchen.example", "XN--mnchen-3ya.example.", "xn--mnchen-3ya.example"),
            ("münchen.example", "MÜNCHEN.example", "münchen.example"),
            ("example.com", "EXAMPLE.com", "example.com"),
        ):
            self.assertEqual(spelled_like(domain, spelling), expected)
