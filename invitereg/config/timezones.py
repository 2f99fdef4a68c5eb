"""The time zones that a configuration names (https://www.iana.org/time-zones)."""

import difflib
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from invitereg.config.mistakes import quoted

UTC_ZONE = ZoneInfo("UTC")


def _time_zone(value: object) -> ZoneInfo:
    if not isinstance(value, str):
        raise ValueError("must be a time zone, such as Europe/Berlin")
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # of odd names: a path, a folder
        raise ValueError(f"{quoted(value)} is no time zone{_meant(value)}") from None


def _meant(text: str) -> str:
    """Return the name that may have been meant: of a city, too."""
    known = {name.rpartition("/")[2].lower(): name for name in sorted(available_timezones())}
    known |= {name.lower(): name for name in available_timezones()}
    near = difflib.get_close_matches(text.lower().replace(" ", "_"), known, 1)
    return f": did you mean {known[near[0]]}?" if near else ", such as Europe/Berlin"


TimeZone = Annotated[
    ZoneInfo,
    PlainValidator(_time_zone),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "examples": ["Europe/Berlin"]}),
]
