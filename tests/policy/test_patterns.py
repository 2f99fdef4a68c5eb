"""The operator's patterns for usernames, on whatever strangers send."""

import re
import signal
from types import FrameType

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from invitereg.policy.patterns import (
    InvalidPattern,
    check_pattern,
    check_work,
    literal_parts,
    matches,
    pattern_warnings,
)

SLOW = ("([a-z0-9]+[._-]?)+", "(a*)*", "(a|aa)+", "(.*a){12}", "([a-z]+)*[0-9]", "(a|a|b)*c")
LETTERS = "ab1._-!"


def give_up(_signal: int, _frame: FrameType | None) -> None:
    raise AssertionError("a name holds up everybody")


class LinearTests(SynchronousTestCase):
    """No name takes long, whatever the pattern is."""

    def setUp(self) -> None:
        self.addCleanup(signal.signal, signal.SIGALRM, signal.signal(signal.SIGALRM, give_up))
        self.addCleanup(signal.alarm, 0)
        signal.alarm(60)

    @settings(max_examples=50)
    @given(st.sampled_from(SLOW), st.text(LETTERS, min_size=1, max_size=4))
    def test_slow_patterns(self, pattern: str, part: str) -> None:
        """A pattern that lets one try again and again is answered at once all the same."""
        matches(pattern, part * 250 + "!")
        matches(pattern, "a" * 1000 + part)

    def test_an_odd_letter(self) -> None:
        """An honest name with one odd letter at the end is refused."""
        self.assertFalse(matches(SLOW[0], "a" * 64 + "é"))
        self.assertTrue(matches(SLOW[0], "a" * 64))


class WorkTests(SynchronousTestCase):
    """How much a pattern may repeat."""

    @given(
        st.sampled_from(["a?", ".?", r"\pL?", "[^x]?", r"(a|\pN)?", r"\p{Han}?"]),
        st.integers(4, 1000),
        st.integers(8, 1023),
    )
    def test_repeated(self, part: str, times: int, length: int) -> None:
        """The longer the names, the less may be repeated, however it is written."""
        nested = f"(({part}){{{times // 4}}}){{4}}"
        once = f"({part}){{{times}}}"
        for pattern in (once, nested, f"(?i)x{once}"):
            refused = self.refused(pattern, length)
            if times * length > 2**17:
                self.assertTrue(refused, pattern)
            elif times * length < 2**17 // 10:
                self.assertFalse(refused, pattern)

    def test_honest(self) -> None:
        """What operators write is welcome, for letters of every script as well."""
        for pattern in (r"[\pL\pM\pN._-]+", r"[[:alnum:]_.-]+", r"([a-z0-9]+[._-]?)+", ""):
            self.assertFalse(self.refused(pattern, 1023), pattern)
        for pattern in (
            r"[\pL\pM\pN._-]{1,64}",
            r"(?i)[\pL\pN]{3,64}",
            r"[a-z][a-z0-9._-]{2,63}",
            r"(\pL|\pN|[._-]){1,64}",
        ):
            self.assertFalse(self.refused(pattern, 64), pattern)

    def refused(self, pattern: str, length: int) -> bool:
        try:
            check_work(pattern, length)
        except InvalidPattern:
            return True
        return False


class MeaningTests(SynchronousTestCase):
    """What a pattern means."""

    @given(
        st.lists(
            st.sampled_from([*LETTERS, ".", "[a-b]", "[^a]", "a*", "b+", "1?", "(a|b1)*"])
        ),
        st.text(LETTERS, max_size=8),
    )
    def test_as_before(self, parts: list[str], name: str) -> None:
        """A plain pattern lets pass what it always did."""
        pattern = "".join(parts)
        self.assertEqual(matches(pattern, name), re.fullmatch(pattern, name) is not None)

    def test_posix(self) -> None:
        """What is written as POSIX has it is understood so."""
        for name in ("juliet", "a.b-c_1"):
            self.assertTrue(matches("[[:alnum:]_.-]+", name))
        for name in ("", "a b", "ж"):
            self.assertFalse(matches("[[:alnum:]_.-]+", name))

    def test_other_scripts(self) -> None:
        """Letters of every script, and the other case of each, can be asked for."""
        for name in ("жанна", "あきら", "żółw", "1२"):
            self.assertTrue(matches(r"[\pL\pM\pN]+", name))
        self.assertTrue(matches("(?i)ÉЖ", "éж"))

    def test_doubts(self) -> None:
        """What means less than to Python is named, each once, with what to write instead."""
        self.assertEqual(list(pattern_warnings(r"\\w[a-z]{2,3}(?i)x")), [])
        told = list(pattern_warnings(r"\w+[\d.]*\w\b"))
        self.assertEqual([text.split()[0] for text in told], [r"\w", r"\d", r"\b"])
        self.assertIn(r"[\pL\pM\pN_]", told[0])
        for letter, own in {"w": "and _", "d": "digits", "s": "spaces", "b": "border"}.items():
            (text,) = pattern_warnings(rf"a\{letter}")
            self.assertIn(own, text)
        self.assertEqual(
            list(pattern_warnings("a{,3}")),
            ["{,3} stands for these characters themselves: write {0,3}"],
        )

    @given(st.text("a1()[]{}*+?|\\^$.,:-<>P=!é\ud800", max_size=12))
    def test_any_text(self, pattern: str) -> None:
        """What is no pattern is refused with a reason, and the rest is good for matching."""
        try:
            check_pattern(pattern)
        except InvalidPattern as error:
            self.assertNotEqual(str(error).strip(), "")
        else:
            matches(pattern, "juliet")
            self.assertIn(WorkTests().refused(pattern, 64), (True, False))
        list(pattern_warnings(pattern))
        list(literal_parts(pattern))
