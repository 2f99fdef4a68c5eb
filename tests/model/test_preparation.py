"""Names and passwords are prepared as the RFCs say, and nothing long is."""

import contextlib
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from scramp import ScramException
from scramp.utils import saslprep
from twisted.trial.unittest import SynchronousTestCase
from twisted.words.protocols.jabber.xmpp_stringprep import nodeprep, resourceprep

from invitereg.errors import InvalidUsername
from invitereg.model import names
from invitereg.model.names import (
    MAX_LOCALPART_BYTES,
    in_unicode,
    prepare_domain,
    prepare_localpart,
    prepare_password,
    prepare_resource,
)

Prepare = Callable[[str], str]
PREPARE: tuple[Prepare, ...] = (
    prepare_localpart,
    prepare_domain,
    prepare_resource,
    prepare_password,
)
REFUSALS = (InvalidUsername, ScramException, ValueError)
EXPANDING = "\ufdfa"  # U+FDFA has three bytes, and NFKC makes 18 characters of it.
TOO_LONG = (
    EXPANDING * 2035,  # as typed
    EXPANDING * 341,  # after NFKC
    "é" * 512,  # in bytes
    "a" * 1024,
    "\u00ad" * 1024,  # although preparation leaves nothing of them
    "\u3392" * 341 + "é",
)


class LengthTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.read: list[int] = []  # characters
        for profile in ("nodeprep", "nameprep", "resourceprep"):
            real = getattr(names, profile)
            self.patch(real, "prepare", self._counting(real.prepare))
        self.patch(names, "saslprep", self._counting(names.saslprep))
        for cached in (prepare_localpart, prepare_domain, prepare_resource):
            cached.cache_clear()

    def _counting(self, prepare: Prepare) -> Prepare:
        def counted(text: str) -> str:
            self.read.append(len(text))
            return prepare(text)

        return counted

    def test_long(self) -> None:
        """What is too long is refused before stringprep looks at any of it."""
        for text in TOO_LONG:
            for prepare in PREPARE:
                with self.subTest(prepare=prepare, text=text[:3]):
                    self.assertRaises(REFUSALS, prepare, text)
        self.assertEqual(self.read, [])

    @given(st.text(max_size=1100) | st.integers(1, 1100).map(lambda n: EXPANDING * n))
    def test_bound(self, text: str) -> None:
        """Whatever somebody types, stringprep reads 1,023 bytes at most."""
        for prepare in PREPARE:
            with contextlib.suppress(*REFUSALS):
                prepare(text)
        self.assertLessEqual(max(self.read, default=0), MAX_LOCALPART_BYTES + 1)


def outcome(prepare: Prepare, text: str) -> str:
    """What is made of a text; "" if it is refused."""
    try:
        return prepare(text)
    except REFUSALS:
        return ""


class UnicodeTests(SynchronousTestCase):
    def test_domains_in_texts(self) -> None:
        """The domains in a text get their own letters, wherever they stand in it."""
        for text, expected in (
            ("<a to='juliet@xn--mnchen-3ya.example/x'/>", "<a to='juliet@münchen.example/x'/>"),
            ("im.xn--mnchen-3ya.example", "im.münchen.example"),
            ("xn--", "xn--"),
            ("adhoc:xn--mnchen-3ya@example.com", "adhoc:xn--mnchen-3ya@example.com"),
            ("a+xn--mnchen-3ya+b@xn--mnchen-3ya", "a+xn--mnchen-3ya+b@münchen"),
        ):
            self.assertEqual(in_unicode(text), expected)

    def test_long(self) -> None:
        """A text of somebody else's takes no longer than its length, as at an import."""
        # Looked at anew from each character, or each label, this takes hours.
        for text in ("a" * 2_000_000, "xn--+" * 400_000):
            self.assertEqual(in_unicode(text), text)


class SameTests(SynchronousTestCase):
    @given(st.text(st.characters(max_codepoint=127), max_size=20))
    def test_ascii_names(self, text: str) -> None:
        """A name of ASCII is what nodeprep makes of it."""
        self.assertEqual(outcome(prepare_localpart, text), outcome(nodeprep.prepare, text))

    def test_each_ascii_character(self) -> None:
        """No character of ASCII is allowed that nodeprep forbids, nor the other way round."""
        for code in range(128):
            for text in (chr(code), f"a{chr(code)}a"):
                self.assertEqual(
                    outcome(prepare_localpart, text), outcome(nodeprep.prepare, text)
                )

    @given(st.text(max_size=20))
    def test_names(self, text: str) -> None:
        """A name is what nodeprep makes of it, and a resource what resourceprep does."""
        self.assertEqual(outcome(prepare_localpart, text), outcome(nodeprep.prepare, text))
        expected = outcome(resourceprep.prepare, text)
        self.assertEqual(outcome(prepare_resource, text), expected)

    @given(st.text(max_size=20))
    def test_passwords(self, text: str) -> None:
        """A password is what SASLprep makes of it."""
        self.assertEqual(outcome(prepare_password, text), outcome(saslprep, text))
