"""What a page shows of an invitation: its links, its apps, its code for a camera."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from urllib.parse import quote, urlsplit

import segno
from markupsafe import Markup

from invitereg.config.apps import App, StoreButton
from invitereg.model.invites import Invite
from invitereg.policy.texts import app_uri
from invitereg.policy.values import Domain
from invitereg.web.platforms import NAMES, Visitor
from invitereg.web.settings import SiteSettings

_DARK = re.compile("1+")
_PLAY = "google-play"
SHOP_NAMES = {
    _PLAY: "Google Play",
    "app-store": "App Store",
    "f-droid": "F-Droid",
    "flathub": "Flathub",
    "microsoft": "Microsoft Store",
    "website": "",
}


@dataclass(frozen=True, kw_only=True)
class Opened:
    """An invitation that a page is about, with its token.

    Attributes:
        uri: what an app opens; "" where it is opened in the browser only, and people log in
            with an app afterwards.
        quoted_uri: what other addresses have in them for it: the same, or its page's address.
        url: its page.
        until: when it ends, as the reader writes it; "" is never.
        ends: the same as programs write it.
    """

    invite: Invite
    token: str
    uri: str
    quoted_uri: str
    url: str
    until: str
    ends: str

    @classmethod
    def at(
        cls,
        site: SiteSettings,
        domain: Domain,
        invite: Invite,
        token: str,
        date: Callable[[datetime], str],
    ) -> "Opened":
        """An invitation on a site; ``date`` is how the reader writes a moment."""
        uri, end = app_uri(domain, invite, token), invite.expires_at
        url = site.url(f"invite/{token}")
        return cls(
            invite=invite,
            token=token,
            uri=uri,
            quoted_uri=quote(uri or url, safe=""),
            url=url,
            until=date(end) if end else "",
            ends=end.isoformat(timespec="seconds") if end else "",
        )

    @property
    def registers(self) -> bool:
        """Whether an account can be made with it."""
        return self.invite.kind.registers

    @property
    def code(self) -> Markup:
        """A QR code of its page, which every phone's camera understands."""
        return qr_code(self.url)


@lru_cache(maxsize=1024)
def qr_code(text: str) -> Markup:
    """A picture within the page, read by cameras; what it says is written beside it."""
    # To choose the best mask takes most of the time, and cameras read them all.
    code = segno.make(text, error="l", micro=False, mask=0, boost_error=False)
    rows = ["".join("1" if dark else "0" for dark in row) for row in code.matrix]
    strokes = "".join(
        f"M{run.start()} {number}.5h{run.end() - run.start()}"
        for number, row in enumerate(rows)
        for run in _DARK.finditer(row)
    )
    side = len(rows) + 8  # with four quiet modules on each side (ISO/IEC 18004 §5.3.8)
    return Markup(  # noqa: S704 - it is numbers only
        f'<svg viewBox="-4 -4 {side} {side}" xmlns="http://www.w3.org/2000/svg">'
        f'<path fill="#fff" d="M-4-4h{side}v{side}h-{side}z"/>'
        f'<path stroke="#000" d="{strokes}"/></svg>'
    )


def magic_link(app: App, opened: Opened) -> str:
    """What opens an invitation in an app that has links of its own for it; else ""."""
    if not opened.uri:
        return ""
    return app.magic_link.format(
        uri=opened.quoted_uri,
        token=opened.token,
        domain=quote(opened.invite.domain, safe=""),
        address="",
    )


def login_link(app: App, address: str, domain: str) -> str:
    """What opens an app to log in; "" where nothing does."""
    where = {"address": quote(address, safe="@"), "domain": quote(domain, safe="")}
    return app.login_link.format(uri="", token="", **where)


def stores(app: App, visitor: Visitor, quoted_uri: str) -> Iterator[tuple[str, str]]:
    """Where an app is got for this device: the name of each place, and a link to it.

    Google Play hands its referrer to an app that is installed by it: so Conversations opens
    the invitation by itself.
    """
    for button in app.stores:
        if button.platforms and visitor.platform and not _fits(button, visitor):
            continue
        url = button.url
        if button.shop == _PLAY and quoted_uri and app.preauth:
            url += f"{'&' if urlsplit(url).query else '?'}referrer={quoted_uri}"
        name = SHOP_NAMES[button.shop]
        if button.platforms and not visitor.platform:
            name += f" ({', '.join(NAMES.get(one, one) for one in button.platforms)})"
        yield name, url


def hands_on(apps: Iterable[App]) -> bool:
    """Whether Google Play hands the invitation to one of the apps, which then opens it."""
    return any(
        app.preauth and any(button.shop == _PLAY for button in app.stores) for app in apps
    )


def _fits(button: StoreButton, visitor: Visitor) -> bool:
    return visitor.platform in button.platforms


def sorted_apps(
    site: SiteSettings, visitor: Visitor, *, opening: bool = False
) -> tuple[list[App], list[App]]:
    """The apps that fit a visitor's device, and the others.

    Args:
        site: which apps there are.
        visitor: the device; where it is not known, all fit.
        opening: only apps that open invitations are of use.
    """
    apps = [app for app in site.apps if app.preauth or not opening]
    if not visitor.platform:
        return apps, []
    fitting = [app for app in apps if visitor.platform in app.platforms]
    # Those that open the invitation by themselves spare a step.
    fitting.sort(key=lambda app: not app.preauth)
    return fitting, [app for app in apps if app not in fitting]
