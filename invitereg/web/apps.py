"""Apps for a visitor's device, and links to them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from invitereg.config.apps import App
from invitereg.web.invitation import InvitationView
from invitereg.web.settings import SiteSettings

# In the order in which they are looked for: Android says that it is Linux as well.
_SIGNS = (
    ("android", ("Android",)),
    ("ios", ("iPhone", "iPad", "iPod")),
    ("windows", ("Windows NT",)),
    ("macos", ("Macintosh", "Mac OS X")),
    ("linux", ("X11; Linux", "Wayland; Linux", "X11; Ubuntu", "X11; Fedora")),
)
NAMES = {
    "android": "Android",
    "ios": "iPhone, iPad",
    "windows": "Windows",
    "macos": "Mac",
    "linux": "Linux",
}


@dataclass(frozen=True, slots=True)
class Visitor:
    """Describes a visitor's device.

    Attributes:
        platform: one of `NAMES`, or "" where nobody knows.
        chosen: whether they said so themselves.
    """

    platform: str
    chosen: bool = False

    @property
    def mobile(self) -> bool:
        """Whether it is a phone, which cannot take a picture of its own screen."""
        return self.platform in ("android", "ios")

    def may_be(self, platform: str) -> bool:
        """Whether it is that device, or nobody knows."""
        return self.platform in (platform, "")


def visitor(user_agent: str, chosen: str) -> Visitor:
    """Return the device that the visitor has chosen, else that of the User-Agent header."""
    if chosen in NAMES:
        return Visitor(chosen, chosen=True)
    for platform, signs in _SIGNS:
        if any(sign in user_agent for sign in signs):
            return Visitor(platform)
    return Visitor("")


_PLAY = "google-play"


SHOP_NAMES = {
    _PLAY: "Google Play",
    "app-store": "App Store",
    "f-droid": "F-Droid",
    "flathub": "Flathub",
    "microsoft": "Microsoft Store",
    "website": "",
}


def magic_link(app: App, opened: InvitationView) -> str:
    """Return an app's own link that opens an invitation in it; "" if it has none."""
    if not opened.uri:
        return ""
    return app.magic_link.format(
        uri=opened.quoted_uri,
        token=opened.token,
        domain=quote(opened.invite.domain, safe=""),
        address="",
    )


def login_link(app: App, address: str, domain: str) -> str:
    """Return an app's own link to log in; "" if it has none."""
    where = {"address": quote(address, safe="@"), "domain": quote(domain, safe="")}
    return app.login_link.format(uri="", token="", **where)


def stores(app: App, visitor: Visitor, quoted_uri: str) -> Iterator[tuple[str, str]]:
    """Yield the stores that have an app for this device: name and link.

    Google Play hands its referrer to an app that is installed by it: so Conversations opens
    the invitation by itself.
    """
    for button in app.stores:
        if button.platforms and visitor.platform not in ("", *button.platforms):
            continue
        url = button.url
        if button.shop == _PLAY and quoted_uri and app.preauth:
            url += f"{'&' if urlsplit(url).query else '?'}referrer={quoted_uri}"
        name = SHOP_NAMES[button.shop]
        if button.platforms and not visitor.platform:
            name += f" ({', '.join(NAMES.get(one, one) for one in button.platforms)})"
        yield name, url


def hands_on(apps: Iterable[App]) -> bool:
    """Return whether Google Play hands the invitation to one of the apps."""
    return any(
        app.preauth and any(button.shop == _PLAY for button in app.stores) for app in apps
    )


def sorted_apps(
    site: SiteSettings, visitor: Visitor, *, opening: bool = False
) -> tuple[list[App], list[App]]:
    """Return the apps that fit a visitor's device, and the others.

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
