"""Whole pages as answers, also where something is wrong."""

from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

from invitereg.errors import InvalidInvite, Refused
from invitereg.model.invites import Invite
from invitereg.policy.values import Domain
from invitereg.web.presenting import Opened
from invitereg.web.rendering import Reader, Renderer, linker, reader
from invitereg.web.request import WebRequest
from invitereg.web.static import StaticFiles
from invitereg.web.statuses import say_when, status_of
from invitereg.web.wording import reason


class Answers:
    """Makes pages for the domain that is asked for."""

    def __init__(self, domains: Mapping[str, Domain], static: StaticFiles) -> None:
        self._domains = domains
        self._renderer = Renderer(static)

    def domain(self, request: WebRequest) -> Domain:
        """The domain whose site is asked for."""
        return self._domains[request.served.domain]

    def page(self, request: WebRequest, template: str, **values: Any) -> bytes:
        """A page, in the language of whoever asks."""
        who = reader(request)
        domain = self.domain(request)
        text = self._renderer.page(template, request.served, domain, who, **values)
        return _html(request, who, text)

    def landing(self, request: WebRequest, invite: Invite, token: str) -> bytes:
        """The page of an invitation."""
        opened, who = self.opened(request, invite, token), reader(request)
        text = self._renderer.landing(request.served, self.domain(request), who, opened)
        return _html(request, who, text)

    def opened(self, request: WebRequest, invite: Invite, token: str) -> Opened:
        """An invitation that a page is about; apps that are given the address find it, too."""
        site, domain = request.served, self.domain(request)
        opened = Opened.at(
            site, domain, invite, token, partial(reader(request).date, zone=domain.time_zone)
        )
        # RFC 6596 names a page's own address.
        link = (
            f'<{opened.uri}>; rel="alternate"'
            if opened.uri
            else f'<{opened.url}>; rel="canonical"'
        )
        request.setHeader("Link", link)
        return opened

    def moved(self, request: WebRequest, url: str) -> bytes:
        """Send the browser on to where the page is now, with what its reader has chosen."""
        chosen = urlencode(reader(request).query)
        request.setResponseCode(302)
        request.setHeader("Location", f"{url}?{chosen}" if chosen else url)
        return b""

    def see_other(self, request: WebRequest, page: str) -> bytes:
        """Send the browser on to another page of the site, with what its reader has chosen."""
        request.setResponseCode(303)
        request.setHeader("Location", linker(request.served, reader(request))(page))
        return b""

    def refused(self, request: WebRequest, refusal: Refused) -> bytes:
        """The page for what is refused; the same bytes for every invite that is not valid."""
        request.setResponseCode(status_of(refusal))
        say_when(request.responseHeaders, refusal)
        if isinstance(refusal, InvalidInvite):
            return self.page(request, "gone.html")
        why = reason(refusal, reader(request).catalogue.gettext)
        return self.page(request, "refused.html", why=why)

    def mistaken(self, request: WebRequest, status: int) -> bytes:
        """The page for a request that nothing can be made of."""
        request.setResponseCode(status)
        return self.page(request, "mistaken.html", status=status)


def _html(request: WebRequest, who: Reader, text: str) -> bytes:
    content = text.encode()
    request.setHeader("Content-Type", "text/html; charset=utf-8")
    request.setHeader("Content-Length", str(len(content)))
    request.setHeader("Content-Language", who.language)
    request.setHeader("Vary", "Accept-Language, User-Agent")
    return content
