"""The operator's regular expressions for usernames, by RE2: linear in the name's length.

Strangers choose the names, so no pattern may take longer on one name than on another of its
length, as Python's `re` does by trying again. https://github.com/google/re2/wiki/Syntax
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from itertools import count

import re2

_LONGEST = 4096
_MOST_WORK = 2**17
_SHOWN = 20
_ESCAPES = re.compile(r"\\(.)", re.DOTALL)
# What each means, and what means the same of every script.
_ASCII_ONLY = {
    "w": ("ASCII letters, ASCII digits and _ only", r"[\pL\pM\pN_]"),
    "W": ("all but ASCII letters, ASCII digits and _", r"[^\pL\pM\pN_]"),
    "d": ("ASCII digits only", r"\p{Nd}"),
    "D": ("all but ASCII digits", r"\P{Nd}"),
    "s": ("ASCII spaces only", r"[\s\pZ]"),
    "S": ("all but ASCII spaces", r"[^\s\pZ]"),
    "b": ("a border of ASCII words only", ""),
    "B": ("where no ASCII word has a border", ""),
}
# Escapes, brackets, repetitions (the last as Python knows it), or one character.
_PARTS = re.compile(
    r"\\[pPx]\{[^}]*\}|\\.|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]"
    r"|\{[0-9]+(?:,[0-9]*)?\}|\{,[0-9]+\}|.",
    re.DOTALL,
)
_CLASS_ALONE = re.compile(r"\[:\^?\w+:\]")
_UP_TO = re.compile(r"\{,[0-9]+\}")
# What stands for one of many characters: a dot, a class, or an escape for one.
_CLASS = re.compile(rf"\\[pP][A-Z]|{_PARTS.pattern}", re.DOTALL)
_CLASS_BEGINS = (".", "[", *(rf"\{letter}" for letter in "pPwWdDsSC"))
# Else RE2 prints to standard error what is wrong with a pattern.
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
# Else it looks for what is in parentheses as well, which takes ten times as long.
_OPTIONS.never_capture = True


class InvalidPattern(ValueError):
    """RE2 takes no such pattern; the text says why, and where."""


def check_pattern(pattern: str) -> None:
    """Check that RE2 takes the pattern.

    Raises:
        InvalidPattern: it does not.
    """
    if len(pattern) > _LONGEST:
        raise InvalidPattern(f"it has more than {_LONGEST} characters")
    mistake = _mistake(pattern)
    if mistake is not None:
        reason, _, part = mistake.partition(": ")
        raise InvalidPattern(f"{reason} {_place(pattern, reason, part)}".strip())


def check_work(pattern: str, length: int) -> None:
    """Check that matching a name of ``length`` characters takes little time.

    RE2 may be at every place of the pattern at once, repetitions written out, for each
    character of a name. So few places are allowed that it takes some milliseconds at most.

    Raises:
        InvalidPattern: it may take longer.
    """
    most = _MOST_WORK // length
    if _places(pattern) > most:
        raise InvalidPattern(
            f"takes too long on names of {length} characters, as it repeats too much: "
            "leave their length to max_length, or lower that"
        )


def matches(pattern: str, name: str) -> bool:
    """Return whether the pattern matches all of the name."""
    return re2.fullmatch(pattern, name, _OPTIONS) is not None


def pattern_warnings(pattern: str) -> Iterator[str]:
    """Yield warnings about parts of a pattern that mean more in Python's `re` than in RE2."""
    for letter in dict.fromkeys(match[1] for match in _ESCAPES.finditer(pattern)):
        if letter in _ASCII_ONLY:
            meaning, instead = _ASCII_ONLY[letter]
            advice = f": for those of every script write {instead}" if instead else ""
            yield rf"\{letter} means {meaning}{advice}"
    for part in dict.fromkeys(_UP_TO.findall(pattern)):
        yield f"{part} stands for these characters themselves: write {{0{part[1:]}"


def literal_parts(pattern: str) -> Iterator[str]:
    """Yield the parts of a pattern that are literal although they look like syntax."""
    for part in dict.fromkeys(match[0] for match in _PARTS.finditer(pattern)):
        if part == "{":
            yield "{ stands for itself where it begins no repetition, such as {1,3}"
        elif _CLASS_ALONE.fullmatch(part):
            yield f"{part} stands for one of these characters: write [{part}]"


def _mistake(pattern: str) -> str | None:
    """Return RE2's complaint, such as ``missing ]: [a``; None if there is none."""
    try:
        re2.compile(pattern, _OPTIONS)
    except UnicodeEncodeError:
        return "characters that are none"
    except re2.error as error:
        return str(error.args[0], "utf-8", "replace")
    return None


def _places(pattern: str) -> int:
    """Count the instructions of the pattern, with a rare letter for each class.

    The classes' own, of which that of all letters has 1,000, are not all followed at once.
    """
    letters = map(chr, count(0x4E00))
    plain = _CLASS.sub(
        lambda part: next(letters) if part[0].startswith(_CLASS_BEGINS) else part[0], pattern
    )
    small = plain if _mistake(plain) is None else pattern
    places: int = re2.compile(small, _OPTIONS).programsize
    return places


def _place(pattern: str, reason: str, part: str) -> str:
    """Return the place of a mistake: RE2 names a part, but for brackets the whole pattern."""
    if reason in ("missing )", "trailing \\"):
        return "at the end"
    if reason == "unexpected )":
        prefixes = range(len(pattern))
        found = bisect_left(
            prefixes,
            True,
            key=lambda end: (_mistake(pattern[: end + 1]) or "").startswith(reason),
        )
        return f"at character {found + 1}"
    if not part or part not in pattern:
        return ""
    return f"at character {pattern.find(part) + 1}: {part[:_SHOWN]}"
