"""Tells which names look alike, and which have in them what nobody sees (UTS #39, UAX #44).

https://www.unicode.org/reports/tr39/#Confusable_Detection
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

from confusable_homoglyphs import utils

# Default_Ignorable_Code_Point (UAX #44 §5), and at last two that are drawn as nothing though it
# does not have them: the blank pattern of braille, and the null notehead of music.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff\u2800\U0001d159]"
)
# The library has each right-to-left letter between two of the first.
_MARKS = {0x200E: None, 0x200F: None}


def has_unseen(name: str) -> bool:
    """Whether the name has characters that are not seen, so that it looks like another."""
    return _UNSEEN.search(name) is not None


def skeleton(name: str) -> str:
    """Return what a prepared localpart has in common with all that look like it.

    It is the skeleton of UTS #39 §4 in small letters, as a username is the same in capitals:
    for comparing, not for showing.
    """
    looks = unicodedata.normalize("NFD", name).translate(load_looks())
    return unicodedata.normalize("NFD", looks)


def is_listed(name: str, names: frozenset[str]) -> bool:
    """Whether the name is one of ``names``, where * stands for any characters, or none."""
    return name in names or any(_fits(name, glob) for glob in _globs(names))


def looks_listed(name: str, names: frozenset[str]) -> bool:
    """Whether the name looks like one of ``names``, or is one; see `is_listed`."""
    return is_listed(skeleton(name), _skeletons(names))


def _fits(name: str, glob: str) -> bool:
    """Look for each part after the one before it, which takes linear time."""
    first, *middle, last = glob.split("*")
    place, end = len(first), len(name) - len(last)
    if place > end or not name.startswith(first) or not name.endswith(last):
        return False
    for part in middle:
        found = name.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True


@lru_cache(maxsize=128)
def _globs(names: frozenset[str]) -> tuple[str, ...]:
    return tuple(name for name in names if "*" in name)


@lru_cache(maxsize=128)
def _skeletons(names: frozenset[str]) -> frozenset[str]:
    """Return the skeletons of ``names``; each * in them stays what it is."""
    return frozenset("*".join(map(skeleton, name.split("*"))) for name in names)


@lru_cache(maxsize=1)
def load_looks() -> Mapping[int, str]:
    """Return the characters that look like others, each with these; takes 0.1 s once.

    In small letters, as a username is the same in capitals, and decomposed (NFD).
    """
    pairs = _pairs()
    table = {ord(one): _chosen(one, pairs) for one in pairs if len(one) == 1}
    looks = {point: _settled(chr(point), table) for point in table}
    return {point: text for point, text in looks.items() if text != chr(point)}


def _pairs() -> Mapping[str, frozenset[str]]:
    """Return each text that looks like others with all of them, in both directions."""
    # Not its module `confusables`, which keeps all the names of the characters as well.
    return {
        text.translate(_MARKS): frozenset(other["c"].translate(_MARKS) for other in others)
        for text, others in utils.load("confusables.json").items()
    }


def _chosen(one: str, pairs: Mapping[str, frozenset[str]]) -> str:
    """Return the text that stands for all that look like ``one``, or like each other.

    UTS #39 names one for each of them, so that this one has the most pairs; of two that have
    only each other it is the longer, else the smaller.
    """
    return max(
        sorted((one, *pairs[one]), key=lambda text: (-len(text), text)),
        key=lambda text: len(pairs[text]),
    )


def _settled(text: str, table: Mapping[int, str]) -> str:
    """Look up the characters until nothing changes: small letters have looks of their own."""
    before = ""
    while before != text:
        before = text
        mapped = unicodedata.normalize("NFD", text).translate(table)
        text = unicodedata.normalize("NFD", mapped.casefold())
    return text
