"""What an operator set for one domain's site."""

from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True)
class SiteSettings:
    """One domain's site.

    Attributes:
        domain: the XMPP domain that it is for.
        external_url: where browsers find it; ends with a slash.
    """

    domain: str
    external_url: str

    @cached_property
    def https(self) -> bool:
        """Whether browsers reach it over TLS, whoever ends that."""
        return self.external_url.startswith("https:")

    @cached_property
    def host(self) -> str:
        """What a browser's Host header is for this site, in lower case, with a port if any."""
        return urlsplit(self.external_url).netloc.lower()

    @cached_property
    def prefix(self) -> tuple[bytes, ...]:
        """The segments of the path under which it lies."""
        path = urlsplit(self.external_url).path
        return tuple(part.encode() for part in path.split("/") if part)

    def url(self, path: str) -> str:
        """The whole address of a page, such as ``invite/TOKEN``."""
        return self.external_url + path

    def path(self, path: str) -> str:
        """The same without scheme and host, for links within the site."""
        return urlsplit(self.external_url).path + path
