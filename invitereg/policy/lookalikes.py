"""Tells which names look alike, and which have in them what nobody sees (UTS #39, UAX #44).

https://www.unicode.org/reports/tr39/#Confusable_Detection
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

_TABLE = Path(__file__).with_name("confusables.txt")
# Default_Ignorable_Code_Point (UAX #44 §5), and at last two that are drawn as nothing though it
# does not have them: the blank pattern of braille, and the null notehead of music.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff\u2800\U0001d159]"
)


def has_unseen(name: str) -> bool:
    """Whether the name has characters that are not seen, so that it looks like another."""
    return _UNSEEN.search(name) is not None


def skeleton(name: str) -> str:
    """Return what a prepared localpart has in common with all that look like it.

    It is the skeleton of UTS #39 §4 in small letters, as a username is the same in capitals:
    for comparing, not for showing.
    """
    looks = unicodedata.normalize("NFD", name).translate(_looks())
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
def _looks() -> Mapping[int, str]:
    """Return the characters that look like others, each with these."""
    lines = _TABLE.read_text(encoding="utf-8").splitlines()
    pairs = (line.split(";") for line in lines if not line.startswith("#"))
    return {
        int(character, 16): "".join(chr(int(point, 16)) for point in looks.split())
        for character, looks in pairs
    }
