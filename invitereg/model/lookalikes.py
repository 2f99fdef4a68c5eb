"""Tells which names look alike, and which have in them what nobody sees (UTS #39, UAX #44).

https://www.unicode.org/reports/tr39/#Confusable_Detection
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
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
# What looks like ASCII letters and digits by Unicode 17, but not by the library's data (15.1).
_NEWER = {"3": "३૩", "c": "င", "f": "ƒ", "i": "ւ", "o": "ϭ០", "p": "þƿ", "s": "ട", "w": "ш"}
# A mark in the place of the same one; and a dot on i or j, which has one (Soft_Dotted), also
# after marks through the letter or below it, as they come first in NFD.
_REPEATED = re.compile("([\u0300-\u036f])\\1+")
_DOTTED_TWICE = re.compile("([ij][\u0316-\u0319\u031c-\u0333\u0334-\u0338\u0345]*)\u0307")


def has_unseen(name: str) -> bool:
    """Whether the name has characters that are not seen, so that it looks like another."""
    return _UNSEEN.search(name) is not None


def skeleton(name: str) -> str:
    """Return the skeleton of a prepared localpart, which all that look like it share.

    That of UTS #39 §4, in small letters, as a username is the same in capitals. It is for
    comparing, not for showing.
    """
    return _drawn(unicodedata.normalize("NFD", name).translate(load_looks()))


def is_listed(name: str, names: frozenset[str]) -> bool:
    """Whether the name is one of ``names``, where * stands for any characters, or none."""
    return name in names or any(_fits(name, glob) for glob in _globs(names))


def looks_listed(name: str, names: frozenset[str]) -> bool:
    """Return whether a name looks like one of ``names``, or is one, as `is_listed`."""
    return is_listed(skeleton(name), _skeletons(names))


def _fits(name: str, glob: str) -> bool:
    """Return whether a name matches a glob, part by part: so it takes linear time."""
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
    table = {
        ord(one): _chosen(alike, pairs)
        for alike in _classes(pairs)
        for one in alike
        if len(one) == 1
    } | {ord(one): letter for letter, others in _NEWER.items() for one in others}
    looks = {point: _settled(chr(point), table) for point in table}
    return {point: text for point, text in looks.items() if text != chr(point)}


def _pairs() -> Mapping[str, frozenset[str]]:
    """Return each text that looks like others with all of them, in both directions."""
    # Not its module `confusables`, which keeps all the names of the characters as well.
    return {
        text.translate(_MARKS): frozenset(other["c"].translate(_MARKS) for other in others)
        for text, others in utils.load("confusables.json").items()
    }


def _classes(pairs: Mapping[str, frozenset[str]]) -> Iterator[frozenset[str]]:
    """Yield the sets of texts that look alike: connected by pairs, however far apart."""
    seen: set[str] = set()
    for text in pairs:
        if text in seen:
            continue
        alike, unvisited = {text}, [text]
        while unvisited:
            others = pairs[unvisited.pop()] - alike
            alike |= others
            unvisited += others
        yield frozenset(alike)
        seen |= alike


def _chosen(alike: frozenset[str], pairs: Mapping[str, frozenset[str]]) -> str:
    """Return the text that stands for all of a class.

    UTS #39 has one for each of the others, so that it has the most pairs: a sequence, of which
    no class has two, since a sequence is like single characters only; or else an ASCII letter,
    if there is one. Of two that have only each other, a letter without capitals is nobody else.
    """
    return min(
        alike,
        key=lambda text: (
            -len(text),
            not text.isascii(),
            -len(pairs[text]),
            text != text.casefold(),
            text,
        ),
    )


def _drawn(text: str) -> str:
    """Decompose a text, and leave out the marks in it that add nothing to what is seen."""
    once = _REPEATED.sub(r"\1", unicodedata.normalize("NFD", text))
    return _DOTTED_TWICE.sub(r"\1", once)


def _settled(text: str, table: Mapping[int, str]) -> str:
    """Look up the characters until nothing changes: small letters have looks of their own."""
    before = ""
    while before != text:
        before = text
        mapped = unicodedata.normalize("NFD", text).translate(table)
        text = _drawn(mapped.casefold())
    return text
