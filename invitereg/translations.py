"""Texts and times in the languages that people read.

The texts in the code are English, and the keys of gettext's catalogues. The catalogues are
read as they are written (``locale/LANGUAGE/LC_MESSAGES/invitereg.po``), so nothing has to be
compiled; ``make messages`` brings them up to date with the code.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from babel import Locale, negotiate_locale
from babel.dates import format_date, format_time
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

if TYPE_CHECKING:
    from jinja2 import BaseLoader, Environment

SOURCE_LANGUAGE = "en"
CATALOGUES = Path(__file__).with_name("locale")
DOMAIN = "invitereg"


def N_(text: str) -> str:
    """Return ``text`` as it is; mark it for the catalogues, as it is translated only later."""
    return text


@lru_cache
def languages() -> tuple[str, ...]:
    """Return the languages of the catalogues as tags of RFC 5646, English first."""
    files = CATALOGUES.glob(f"*/LC_MESSAGES/{DOMAIN}.po")
    found = sorted(path.parents[1].name for path in files)
    return (SOURCE_LANGUAGE, *found)


def chosen_language(tags: Iterable[str]) -> str:
    """Return the first of the languages asked for that there is, or English.

    ``de-AT`` finds ``de``. What is no tag at all finds nothing.
    """
    found = negotiate_locale(tags, languages(), sep="-") or SOURCE_LANGUAGE
    return next(tag for tag in languages() if tag.lower() == found.lower())


def translations(tags: Iterable[str]) -> NullTranslations:
    """Return the catalogue for the languages asked for, best first."""
    return _load(chosen_language(tags))


def translator(tags: Iterable[str]) -> Callable[[str], str]:
    """Return a function that translates English texts into the best language asked for.

    A text that its catalogue does not have stays English.
    """
    gettext: Callable[[str], str] = translations(tags).gettext
    return gettext


@lru_cache
def _load(language: str) -> NullTranslations:
    if language == SOURCE_LANGUAGE:
        return NullTranslations()
    with (CATALOGUES / language / "LC_MESSAGES" / f"{DOMAIN}.po").open("rb") as file:
        catalogue = read_po(file, locale=language, domain=DOMAIN, abort_invalid=True)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled, domain=DOMAIN)


@lru_cache(maxsize=64)
def locale_of(tag: str) -> Locale:
    """Return Babel's locale for a language tag (RFC 5646), such as ``de`` or ``de-AT``.

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


def template_environment(loader: "BaseLoader", language: str, **options: Any) -> "Environment":
    """Return a Jinja environment whose templates escape HTML and are in a language.

    Args:
        loader: finds the templates.
        language: a tag that there are texts for.
        options: more arguments of `jinja2.Environment`.
    """
    from jinja2 import Environment, StrictUndefined  # which few commands need

    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        **options,
    )
    environment.install_gettext_translations(  # type: ignore[attr-defined]
        translations([language]), newstyle=True
    )
    return environment
