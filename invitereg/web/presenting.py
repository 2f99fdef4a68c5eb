"""What a page shows of an invitation: its links, its apps, its code for a camera."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import segno
from markupsafe import Markup

from invitereg.config.apps import App, StoreButton
from invitereg.model import Invite, Kind
from invitereg.web.platforms import NAMES, Visitor
from invitereg.web.settings import SiteSettings

SHOP_NAMES = {
    "google-play": "Google Play",
    "app-store": "App Store",
    "f-droid": "F-Droid",
    "flathub": "Flathub",
    "microsoft": "Microsoft Store",
    "website": "",
}


@dataclass(frozen=True, slots=True)
class Opened:
    """An invitation that a page is about, with its token.

    Attributes:
        uri: what an app opens.
        url: its page.
    """

    invite: Invite
    token: str
    uri: str
    url: str

    @classmethod
    def at(cls, site: SiteSettings, invite: Invite, token: str) -> "Opened":
        """An invitation on a site."""
        return cls(invite, token, invite.uri(token), site.url(f"invite/{token}"))

    @property
    def registers(self) -> bool:
        """Whether an account can be made with it."""
        return self.invite.kind in (Kind.ACCOUNT, Kind.ACCOUNT_AND_CONTACT)

    def opens_in(self, app: App) -> str:
        """What opens it in an app."""
        if not app.magic_link:
            return self.uri
        return _filled(app.magic_link, self.uri, self.token, self.invite.domain, "")

    def code(self) -> Markup:
        """A QR code of its page, which every phone's camera understands."""
        return qr_code(self.url)


def qr_code(text: str) -> Markup:
    """A picture within the page, read by cameras; what it says is written beside it."""
    # Any mask can be read; to try all eight for the prettiest takes six milliseconds more,
    # which was most of the time that a page took.
    code = segno.make(text, error="m", micro=False, mask=0)
    svg = code.svg_inline(scale=4, border=4, omitsize=True, light="#fff", dark="#000")
    return Markup(svg)  # noqa: S704 - it is digits only, made here


def _filled(link: str, uri: str, token: str, domain: str, address: str) -> str:
    return link.format(
        uri=quote(uri, safe=""),
        token=quote(token, safe=""),
        domain=quote(domain, safe=""),
        address=quote(address, safe="@"),
    )


def login_link(app: App, address: str, domain: str) -> str:
    """What opens an app to log in; "" where nothing does."""
    return _filled(app.login_link, "", "", domain, address) if app.login_link else ""


def stores(app: App, visitor: Visitor, uri: str) -> Iterator[tuple[str, str]]:
    """Where an app is got for this device: the name of each place, and a link to it.

    Google Play hands its referrer to an app that is installed by it: so Conversations opens
    the invitation by itself.
    """
    for button in app.stores:
        if button.platforms and visitor.platform and not _fits(button, visitor):
            continue
        url = button.url
        if button.shop == "google-play" and uri and app.preauth:
            url += f"{'&' if urlsplit(url).query else '?'}referrer={quote(uri, safe='')}"
        name = SHOP_NAMES[button.shop]
        if button.platforms and not visitor.platform:
            name += f" ({', '.join(NAMES.get(one, one) for one in button.platforms)})"
        yield name, url


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
