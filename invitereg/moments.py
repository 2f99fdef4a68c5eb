"""Writes moments as people read them: in their language, and in a time zone that is named."""

from datetime import UTC, datetime, tzinfo
from functools import lru_cache

from babel import Locale
from babel.dates import format_date, format_time


@lru_cache(maxsize=64)
def locale_of(tag: str) -> Locale:
    """Return what Babel knows of a language, by its tag (RFC 5646), as ``de`` or ``de-AT``.

    Raises:
        ValueError, UnknownLocaleError: it is no such tag, or not known.
    """
    return Locale.parse(tag, sep="-")


def moment_text(moment: datetime, language: str, zone: tzinfo) -> str:
    """Return a moment in a zone, which is named, as a language (``en-GB``) writes it.

    So it is ``6 December 2026, 13:00 CET``.
    """
    there, locale = _moved(moment, zone), locale_of(language)
    day = format_date(there.date(), "long", locale=locale)
    return f"{day}, {format_time(there.time(), 'short', locale=locale)} {_zone_name(there)}"


def _moved(moment: datetime, zone: tzinfo) -> datetime:
    try:
        return moment.astimezone(zone)
    except OverflowError:  # The last day of the year 9999 has ended there.
        return moment.astimezone(UTC)


def _zone_name(there: datetime) -> str:
    """Return the zone's abbreviation; the difference to UTC where it has none of letters."""
    name = there.tzname() or ""
    if name.isalpha():
        return name
    difference = there.strftime("%z")
    return f"UTC{difference[:3]}:{difference[3:5]}"
