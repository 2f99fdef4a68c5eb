"""Durations, from what the file and options say to what the program uses.

Functions that read one raise ValueError, with what is wrong and what would be right.
"""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from invitereg.config.mistakes import quoted

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_LONGEST = timedelta(days=36525)
_DURATION = re.compile(r"([0-9]{1,12})([smhdw])")
_WRITTEN = "30s, 15m, 12h, 7d, 2w"
_PART = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*([a-z]*)[\s,]*")
_WORDS = {
    word: meant
    for words, meant in (
        ("s sec secs second seconds", (1, "s")),
        ("m min mins minute minutes", (1, "m")),
        ("h hr hrs hour hours", (1, "h")),
        ("d day days", (1, "d")),
        ("w wk wks week weeks", (1, "w")),
        ("mo month months", (30, "d")),
        ("y yr yrs year years", (365, "d")),
    )
    for word in words.split()
} | {"": (1, "d")}


def _duration(value: object) -> timedelta:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{_wrong_with_duration(value)}durations are written {_WRITTEN}")
    seconds = int(match[1]) * _UNITS[match[2]]
    if seconds == 0:
        raise ValueError(f"must be longer than nothing: durations are written {_WRITTEN}")
    if seconds > _LONGEST.total_seconds():
        raise ValueError("must be at most 36525d, which is 100 years")
    return timedelta(seconds=seconds)


def _wrong_with_duration(value: object) -> str:
    """Return what was written, and what may have been meant, before how it is written."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    meant = _meant(str(value).strip().lower())
    hint = f" (did you mean {meant}?)" if meant else ""
    return f"{quoted(str(value))} is no duration{hint}: "


def _meant(text: str) -> str:
    """Return the duration that may have been meant by ``7 days`` or ``1d12h``; "" for none."""
    parts = list(_PART.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        return ""
    amounts = [(float(part[1]), *_WORDS.get(part[2], (0, "s"))) for part in parts]
    seconds = round(sum(number * times * _UNITS[unit] for number, times, unit in amounts))
    known = all(times for _number, times, _unit in amounts)
    if not known or not 0 < seconds <= _LONGEST.total_seconds():
        return ""
    number, times, unit = amounts[0]
    if len(amounts) == 1 and number.is_integer():
        return f"{int(number) * times}{unit}"
    return duration_text(timedelta(seconds=seconds))


def duration_or_never(value: object) -> timedelta | None:
    """Return what ``30s``, ``15m``, ``12h``, ``7d``, ``2w`` or ``never`` means; never is None.

    Raises:
        ValueError: it is something else; the text says how durations are written.
    """
    if value == "never":
        return None
    try:
        return _duration(value)
    except ValueError as error:
        raise ValueError(f"{error}, or never") from None


def _duration_or_none(value: object) -> timedelta:
    """A duration; ``none`` is no time at all."""
    if value == "none":
        return timedelta()
    try:
        return _duration(value)
    except ValueError as error:
        raise ValueError(f"{error}, or none") from None


def duration_text(duration: timedelta | None) -> str:
    """Return a duration as the file writes it, in its largest unit that is exact."""
    if duration is None:
        return "never"
    seconds = int(duration.total_seconds())
    unit = next(unit for unit in "dhms" if seconds % _UNITS[unit] == 0)
    return f"{seconds // _UNITS[unit]}{unit}"


Duration = Annotated[
    timedelta,
    PlainValidator(_duration),
    PlainSerializer(duration_text),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]+[smhdw]$"}),
]
DurationOrNever = Annotated[
    timedelta | None,
    PlainValidator(duration_or_never),
    PlainSerializer(duration_text),
    WithJsonSchema({"type": "string", "pattern": "^([0-9]+[smhdw]|never)$"}),
]
DurationOrNone = Annotated[
    timedelta,
    PlainValidator(_duration_or_none),
    PlainSerializer(lambda duration: duration_text(duration) if duration else "none"),
    WithJsonSchema({"type": "string", "pattern": "^([0-9]+[smhdw]|none)$"}),
]
