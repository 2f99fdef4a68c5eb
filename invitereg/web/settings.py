"""Settings of one domain's site."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from invitereg.config.apps import App
from invitereg.config.web import LOGO_TYPES, AppChoice, Colours, FooterLink, Texts, WebKeys
from invitereg.model.names import ascii_domain


@dataclass(frozen=True, kw_only=True, eq=False)
class SiteSettings:
    """Describes one domain's site.

    Attributes:
        domain: the XMPP domain that it is for.
        external_url: where browsers find it; ends with a slash.
        apps: what people are offered, best first.
        webchat_url: a chat in the browser for this domain, if there is one.
        logo: a picture, and its media type; or None.
        templates: a folder of templates in place of ours.
    """

    domain: str
    external_url: str
    apps: tuple[App, ...] = field(default_factory=lambda: AppChoice().chosen())
    webchat_url: str | None = None
    texts: Texts = field(default_factory=Texts)
    links: tuple[FooterLink, ...] = ()
    logo: tuple[bytes, str] | None = field(default=None, repr=False)
    colours: Colours = field(default_factory=Colours)
    templates: Path | None = None

    @classmethod
    def configured(cls, domain: str, keys: WebKeys) -> "SiteSettings":
        """Return the settings of the configuration; read the logo.

        Raises:
            OSError: it cannot be read.
        """
        logo = (
            (keys.logo.read_bytes(), LOGO_TYPES[keys.logo.suffix.lower()])
            if keys.logo
            else None
        )
        return cls(
            domain=domain,
            external_url=keys.external_url,
            apps=keys.apps.chosen(),
            webchat_url=keys.webchat_url or None,
            texts=keys.texts,
            links=keys.links,
            logo=logo,
            colours=keys.colours,
            templates=keys.templates,
        )

    @cached_property
    def https(self) -> bool:
        """Whether browsers reach it over TLS, whoever ends that."""
        return self.external_url.startswith("https:")

    @cached_property
    def host(self) -> str:
        """The Host header of requests for this site, in lower case, with a port if any."""
        return urlsplit(self.external_url).netloc.lower()

    @cached_property
    def hostname(self) -> str:
        """The host name without a port, as a certificate names it."""
        return urlsplit(self.external_url).hostname or ""

    @cached_property
    def own_host(self) -> str:
        """The Host header of requests for the XMPP domain itself: in A-labels."""
        try:
            return ascii_domain(self.domain)
        except ValueError:  # as for a label of more than 63 characters
            return self.domain

    @cached_property
    def prefix(self) -> tuple[bytes, ...]:
        """The segments of the path below which the site lies."""
        return tuple(part.encode() for part in self._path.split("/") if part)

    @cached_property
    def _path(self) -> str:
        return urlsplit(self.external_url).path

    def url(self, path: str) -> str:
        """Return the URL of a page, such as ``invite/TOKEN``."""
        return self.external_url + path

    def path(self, path: str) -> str:
        """Return the path of a page, for links within the site."""
        return self._path + path

    def app(self, key: str) -> App | None:
        """Return the app of that key; None if it is not offered."""
        return next((app for app in self.apps if app.key == key), None)
