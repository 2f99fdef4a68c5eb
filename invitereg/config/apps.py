"""XMPP apps, as data: the list that comes along, and what an operator adds."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from invitereg.config.messages import quoted
from invitereg.config.types import Section
from invitereg.config.urls import LinkFormat, WebUrl

Platform = Literal["android", "ios", "macos", "windows", "linux", "web"]
Shop = Literal["google-play", "app-store", "f-droid", "flathub", "microsoft", "website"]
_LIST = Path(__file__).with_name("apps.yaml")


def _localised(value: object) -> Mapping[str, str]:
    """Return texts by language; the empty tag is for all other languages."""
    if isinstance(value, str):
        return {"": value} if value else {}
    if not isinstance(value, Mapping) or not value:
        raise ValueError("must be text, or texts by language, as in {en: Hello, de: Hallo}")
    if not all(isinstance(part, str) for pair in value.items() for part in pair):
        raise ValueError("must be texts by language, as in {en: Hello, de: Hallo}")
    return {str(tag).lower(): str(text) for tag, text in value.items()}


@lru_cache(maxsize=1)
def _listed() -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = yaml.safe_load(_LIST.read_text(encoding="utf-8"))
    return found


def _logo(text: str) -> str:
    """Check an address, or the name of a logo that comes along."""
    if "/" in text:  # that it is on the site itself is found out where that is known
        try:
            urlsplit(text).port  # noqa: B018 - it is found out whether it can be read
        except ValueError:
            raise ValueError(f"{quoted(text)} is no address") from None
        return text
    ours = {str(app["logo"]) for app in _listed().values()}
    if text and text not in ours:
        raise ValueError(
            f"{quoted(text)} is no address such as /club.svg, and none of those that come "
            f"along: {', '.join(sorted(ours))}"
        )
    return text


Localised = Annotated[
    Mapping[str, str],
    PlainValidator(_localised),
    WithJsonSchema({"type": ["string", "object"], "additionalProperties": {"type": "string"}}),
]


def in_language(texts: Mapping[str, str], language: str) -> str:
    """Return the text for ``language``; else the one for others, or the English one, or any."""
    for tag in (language.lower(), language.lower().partition("-")[0], "", "en"):
        if tag in texts:
            return texts[tag]
    return next(iter(texts.values()), "")


class StoreButton(Section):
    """A link to install an app from; ``platforms`` empty is for all platforms of the app."""

    shop: Shop
    url: WebUrl
    platforms: tuple[Platform, ...] = ()


class App(Section):
    """An app to chat with.

    Attributes:
        key: its name in the list; set when the list is read.
        logo: a file's name in ``static/apps``, or an address on the site itself.
        platforms: where it runs.
        preauth: whether it opens invitations by itself.
        magic_link: what opens the invitation in it, filled in; the xmpp: URI if there is none.
        login_link: what opens it to log in with an address.
        setup, login: what to do with an invitation, and with an account that is made already.
    """

    key: str = ""
    name: str
    text: Localised
    logo: Annotated[str, AfterValidator(_logo)] = ""
    platforms: Annotated[tuple[Platform, ...], Field(min_length=1)]
    link: WebUrl
    stores: tuple[StoreButton, ...] = ()
    preauth: bool = False
    magic_link: LinkFormat = ""
    login_link: LinkFormat = ""
    setup: Localised = Field(default_factory=dict)
    login: Localised = Field(default_factory=dict)


@lru_cache(maxsize=1)
def default_apps() -> Mapping[str, App]:
    """Return the apps that come along, by name, best first."""
    return MappingProxyType(
        {key: App.model_validate(app, strict=False) for key, app in _listed().items()}
    )
