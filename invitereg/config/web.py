"""The keys of the section ``web``."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import urljoin, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from invitereg.config.apps import App, Localised, default_apps
from invitereg.config.endpoints import Endpoint, Tls
from invitereg.config.messages import quoted, why_unreadable
from invitereg.config.policy import RateKeys
from invitereg.config.types import (
    CidrNetwork,
    FilePath,
    FolderPath,
    Section,
    require_value,
    when_serving,
)
from invitereg.config.urls import OptionalWebUrl, WebUrl, split_url, with_ascii_host

_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")
_READABLE = 4.5  # WCAG 2.2, success criterion 1.4.3
_LIGHT, _DARK = "#ffffff", "#1c2024"
LOGO_TYPES = {
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
    ".jpg": "image/jpeg",
}
_MAX_LOGO = 256 * 1024


def luminance(colour: str) -> float:
    """Return the relative luminance of ``#rrggbb``, from 0 to 1 (WCAG 2.2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21 (WCAG 2.2, contrast ratio)."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _readable_on(background: str, what: str) -> AfterValidator:
    def check(colour: str) -> str:
        if not _COLOUR.fullmatch(colour):
            raise ValueError(f"{quoted(colour)} is no colour, such as '#0b57d0'")
        found = contrast(colour, background)
        if found < _READABLE:
            raise ValueError(
                f"cannot be read well: its contrast on the {what} background {background} is "
                f"{found:.1f}, and must be {_READABLE} or more"
            )
        return colour.lower()

    return AfterValidator(check)


class Colours(Section):
    """The colour of buttons and links, for those who like it light and who like it dark."""

    light: Annotated[str, _readable_on(_LIGHT, "light")] = "#0b57d0"
    dark: Annotated[str, _readable_on(_DARK, "dark")] = "#9ec5ff"


class Texts(Section):
    """Texts by language that replace the pages' own."""

    headline: Localised = Field(default_factory=dict)
    about: Localised = Field(default_factory=dict)
    footer: Localised = Field(default_factory=dict)


class FooterLink(Section):
    """A link at the foot of each page, such as to an imprint."""

    text: Localised
    url: WebUrl


class AppChoice(Section):
    """The choice of apps on the pages: all known ones, unless ``show`` or ``hide`` is set."""

    show: tuple[str, ...] = ()
    hide: tuple[str, ...] = ()
    add: dict[str, App] = Field(default_factory=dict)

    def chosen(self) -> tuple[App, ...]:
        """Return the apps to show, in their order; each knows its own name in the list."""
        known = {**default_apps(), **self.add}
        return tuple(
            app.model_copy(update={"key": key})
            for key, app in ((key, known[key]) for key in (self.show or known))
            if key not in self.hide
        )


def _known(choice: AppChoice) -> AppChoice:
    known = {*default_apps(), *choice.add}
    for key in (*choice.show, *choice.hide):
        if key not in known:
            raise ValueError(f"{quoted(key)} is no app: one of {', '.join(sorted(known))}")
    return choice


_LOCAL = re.compile(r"localhost|.*\.localhost|127(\.[0-9]+){3}|::1|.*\.onion")


def _external_url(url: str) -> str:
    if not url:
        return url
    url = with_ascii_host(url)
    parts = split_url(url)
    if parts.query or parts.fragment:
        raise ValueError("must have no ? and no # and no @")
    if parts.scheme == "http" and not _LOCAL.fullmatch(parts.hostname or ""):
        raise ValueError("must be https: passwords would cross the network in clear")
    return url if url.endswith("/") else f"{url}/"


def _logo(path: Path) -> Path:
    if path.suffix.lower() not in LOGO_TYPES:
        raise ValueError(f"must be one of {', '.join(sorted(LOGO_TYPES))}")
    try:
        size = path.stat().st_size
    except OSError as error:
        raise ValueError(f"cannot be read: {why_unreadable(error)}") from None
    if size > _MAX_LOGO:
        raise ValueError("is larger than 256 KiB, which is too much for a phone")
    return path


def _check_folder(folder: Path) -> None:
    try:
        is_there = folder.is_dir()
    except OSError as error:  # such as within a folder that may not be entered
        raise ValueError(f"cannot be read: {why_unreadable(error)}") from None
    if not is_there:
        raise ValueError(f"there is no folder {folder}")


def _none_if_blank(value: object) -> object:
    return None if value == "" else require_value(value)


_LOGO = Annotated[FilePath, AfterValidator(_logo)]
_FOLDER = Annotated[FolderPath, when_serving(_check_folder)]
_BLANK = BeforeValidator(_none_if_blank)
_SCHEMA = WithJsonSchema({"type": "string", "default": ""})


class WebKeys(Section):
    """The site of one domain; where it has no ``external_url``, it has no site."""

    external_url: Annotated[str, AfterValidator(_external_url)] = ""
    webchat_url: OptionalWebUrl = ""
    apps: Annotated[AppChoice, AfterValidator(_known)] = Field(default_factory=AppChoice)
    texts: Texts = Field(default_factory=Texts)
    links: tuple[FooterLink, ...] = ()
    logo: Annotated[_LOGO | None, _BLANK, _SCHEMA] = None
    colours: Colours = Field(default_factory=Colours)
    templates: Annotated[_FOLDER | None, _BLANK, _SCHEMA] = None
    tls: Tls | None = None

    def logos_from_elsewhere(self) -> Iterator[str]:
        """Yield the names of apps whose logo no page would load, as it is not at the site."""
        for key, app in self.apps.add.items():
            url = urljoin(self.external_url, app.logo)
            if "/" in app.logo and _origin(url) != _origin(self.external_url):
                yield key


def _origin(url: str) -> tuple[str, str | None, int | None]:
    """Return an address's origin (RFC 6454 §4)."""
    parts = urlsplit(url)
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, parts.port or usual


class ApiKeys(Section):
    """The HTTP API, for programs."""

    rate: RateKeys = RateKeys()


class ServiceWebKeys(WebKeys):
    """The sites of all domains, and where the service listens for them."""

    listen: tuple[Endpoint, ...] = ("tcp:8080:interface=127.0.0.1",)
    listen_tls: tuple[Endpoint, ...] = ()
    trusted_proxies: tuple[CidrNetwork, ...] = ()
    metrics_listen: tuple[Endpoint, ...] = ()
    api: ApiKeys = ApiKeys()
