"""Pages from templates, in the reader's language."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from babel import UnknownLocaleError
from babel.support import NullTranslations
from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
)
from werkzeug.http import parse_accept_header

from invitereg.config.apps import in_language
from invitereg.errors import InvalidInvite, Refused
from invitereg.model.invites import Invite
from invitereg.policy.values import Domain
from invitereg.translations import (
    chosen_language,
    languages,
    locale_of,
    moment_text,
    template_environment,
    translations,
)
from invitereg.web.apps import (
    NAMES,
    Visitor,
    hands_on,
    login_link,
    magic_link,
    sorted_apps,
    stores,
    visitor,
)
from invitereg.web.channel import WebRequest
from invitereg.web.errors import reason, say_when, status_of
from invitereg.web.invitation import InvitationView, KeptPages
from invitereg.web.settings import SiteSettings
from invitereg.web.static import StaticFiles

ALIASES = {"password_rule": "password_hint", "stamp": "csrf_token"}
"""Earlier names of variables, which operators' templates go on to use."""
_MAX_TAGS = 10
_MAX_TAG = 100
"""Most characters of a language tag with its weight; there are tags of 35 (RFC 5646 §4.4.1)."""
_TAG = re.compile("[A-Za-z]{2,3}(-[A-Za-z]{4})?-([A-Za-z]{2}|[0-9]{3})")


@dataclass(frozen=True)
class Reader:
    """Describes a page's reader: language, region and device.

    Attributes:
        language: a tag that there are texts for.
        chosen: the same if they have chosen it, else "".
        region: a tag of that language with their region, by which dates are written.
    """

    language: str
    chosen: str
    visitor: Visitor
    region: str = field(default="", compare=False)  # pages that are kept have no dates

    @property
    def catalogue(self) -> NullTranslations:
        """Return the catalogue of texts in the reader's language."""
        return translations([self.language])

    def date(self, moment: datetime, zone: tzinfo) -> str:
        """Return a moment as the reader writes it; a script shows it in their own time zone."""
        return moment_text(moment, self.region or self.language, zone)

    @property
    def query(self) -> dict[str, str]:
        """Return the query by which links within the site keep the reader's choices."""
        chosen = {"lang": self.chosen}
        if self.visitor.chosen:
            chosen["platform"] = self.visitor.platform
        return {name: value for name, value in chosen.items() if value}


def reader(request: WebRequest) -> Reader:
    """Return the reader, by the choices in the address, else by the browser's headers."""
    wanted = argument(request, "lang")
    chosen = wanted if wanted in languages() else ""
    spoken = accepted(request.header("accept-language"))
    language = chosen_language([chosen] if chosen else spoken)
    device = visitor(request.header("user-agent"), argument(request, "platform"))
    return Reader(language, chosen, device, region_of(language, spoken))


def region_of(language: str, tags: Iterable[str]) -> str:
    """Return the first of the tags that is ``language`` in a region; "" if none is known."""
    regional = (tag for tag in tags if tag.lower().startswith(f"{language.lower()}-"))
    return next(filter(_is_locale, regional), "")


@lru_cache(maxsize=256)
def _is_locale(tag: str) -> bool:
    try:
        return _TAG.fullmatch(tag) is not None and bool(locale_of(tag))
    except (ValueError, UnknownLocaleError):
        return False


def argument(request: WebRequest, name: str) -> str:
    """Return a value of the query; "" if there is none."""
    values = (request.args or {}).get(name.encode(), [])
    return values[0].decode("utf-8", "replace") if values else ""


def accepted(header: str) -> list[str]:
    """Return the tags of an Accept-Language header, best first (RFC 9110 §12.5.4)."""
    first = ",".join(entry[:_MAX_TAG] for entry in header.split(",")[:_MAX_TAGS])
    return [tag for tag, weight in parse_accept_header(first) if weight > 0]


def linker(site: SiteSettings, who: Reader) -> Callable[..., str]:
    """Return the function that links to pages of the site, with the reader's choices."""

    def link(path: str, **changes: str) -> str:
        query = {k: v for k, v in {**who.query, **changes}.items() if v}
        return site.path(path) + (f"?{urlencode(query)}" if query else "")

    return link


@lru_cache(maxsize=64)
def _own_name(tag: str) -> str:
    name = locale_of(tag).display_name or tag
    return name[:1].upper() + name[1:]


@lru_cache(maxsize=256)
def _environment(folder: Path | None, language: str) -> Environment:
    ours = PackageLoader("invitereg.web")
    loader = ChoiceLoader([FileSystemLoader(folder), ours]) if folder else ours
    environment = template_environment(
        loader, language, lstrip_blocks=True, auto_reload=folder is not None
    )
    environment.policies["ext.i18n.trimmed"] = True
    return environment


class PageResponses:
    """Answers requests with pages of the domain that is asked for."""

    def __init__(self, domains: Mapping[str, Domain], static: StaticFiles) -> None:
        self._domains = domains
        self._static = static
        self._kept = KeptPages()

    def domain(self, request: WebRequest) -> Domain:
        """Return the domain whose site is asked for."""
        return self._domains[request.served.domain]

    def page(self, request: WebRequest, template: str, **values: Any) -> bytes:
        """Return a page in the reader's language."""
        who = reader(request)
        return _html(request, who, self._rendered(request, who, template, **values))

    def landing(self, request: WebRequest, invite: Invite, token: str) -> bytes:
        """Return the page of an invitation."""
        site, opened, who = request.served, self.opened(request, invite, token), reader(request)

        def make(one: InvitationView) -> str:
            fitting, others = sorted_apps(site, who.visitor, opening=not one.registers)
            ways = {
                "fitting": fitting,
                "others": others,
                "opening": any(app.preauth for app in fitting),
                "handed_on": who.visitor.may_be("android") and hands_on(fitting),
            }
            return self._rendered(request, who, "landing.html", opened=one, **ways)

        if site.templates is not None:  # which may show anything
            return _html(request, who, make(opened))
        depends_on = self.domain(request).site_name, who
        return _html(request, who, self._kept.page(site, depends_on, opened, make))

    def opened(self, request: WebRequest, invite: Invite, token: str) -> InvitationView:
        """Return an invitation for its page; the header Link names it for apps."""
        site, domain = request.served, self.domain(request)
        date = partial(reader(request).date, zone=domain.time_zone)
        opened = InvitationView.at(site, domain, invite, token, date)
        # RFC 6596 names a page's own address.
        address, rel = (opened.uri, "alternate") if opened.uri else (opened.url, "canonical")
        request.setHeader("Link", f'<{address}>; rel="{rel}"')
        return opened

    def moved(self, request: WebRequest, url: str) -> bytes:
        """Redirect (302) to where the page is now, with the reader's choices."""
        chosen = urlencode(reader(request).query)
        request.setResponseCode(302)
        request.setHeader("Location", f"{url}?{chosen}" if chosen else url)
        return b""

    def see_other(self, request: WebRequest, page: str) -> bytes:
        """Redirect (303) to another page of the site, with the reader's choices."""
        request.setResponseCode(303)
        request.setHeader("Location", linker(request.served, reader(request))(page))
        return b""

    def refused(self, request: WebRequest, refusal: Refused) -> bytes:
        """Return the page of a refusal; the same bytes for every invite that is not valid."""
        request.setResponseCode(status_of(refusal))
        say_when(request.responseHeaders, refusal)
        if isinstance(refusal, InvalidInvite):
            return self.page(request, "gone.html")
        why = reason(refusal, reader(request).catalogue.gettext)
        return self.page(request, "refused.html", why=why)

    def mistaken(self, request: WebRequest, status: int) -> bytes:
        """Return the page for a request that cannot be understood."""
        request.setResponseCode(status)
        return self.page(request, "mistaken.html", status=status)

    def _rendered(self, request: WebRequest, who: Reader, template: str, **values: Any) -> str:
        """Render a template: the operator's if there is one, else ours."""
        site, domain = request.served, self.domain(request)
        known = {
            "site": site,
            "site_name": domain.site_name or domain.name,
            "domain": domain,
            "who": who,
            "text": partial(in_language, language=who.language),
            "static": partial(self._static.address, site),
            "link": linker(site, who),
            "languages": {tag: _own_name(tag) for tag in languages()},
            "direction": locale_of(who.language).text_direction,
            "platforms": NAMES,
            "stores": stores,
            "login_link": login_link,
            "magic_link": magic_link,
        }
        known |= {old: values[new] for old, new in ALIASES.items() if new in values}
        environment = _environment(site.templates, who.language)
        return environment.get_template(template).render(known, **values)


def _html(request: WebRequest, who: Reader, text: str) -> bytes:
    content = text.encode()
    request.setHeader("Content-Type", "text/html; charset=utf-8")
    request.setHeader("Content-Length", str(len(content)))
    request.setHeader("Content-Language", who.language)
    request.setHeader("Vary", "Accept-Language, User-Agent")
    return content
