"""What kind of device a visitor has."""

from dataclasses import dataclass

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
    """Who looks at a page.

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
    """Who a User-Agent header speaks of, unless the visitor has chosen otherwise."""
    if chosen in NAMES:
        return Visitor(chosen, chosen=True)
    for platform, signs in _SIGNS:
        if any(sign in user_agent for sign in signs):
            return Visitor(platform)
    return Visitor("")
