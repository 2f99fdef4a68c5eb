"""The site put together from its parts."""

from collections.abc import Mapping
from typing import Any

from invitereg.policy.values import Domain
from invitereg.registrar import Registrar
from invitereg.web.pages import Pages
from invitereg.web.settings import SiteSettings
from invitereg.web.site import WebDoor


def make_door(
    *,
    domains: Mapping[str, Domain],
    sites: Mapping[str, SiteSettings],
    registrar: Registrar,
    reactor: Any,
) -> WebDoor:
    """The door of the web, with all that it serves.

    Args:
        domains: what is served, by name; may be replaced while running.
        sites: of those domains that have one, by name; likewise.
        registrar: the use cases.
        reactor: the clock and the network.
    """
    pages = Pages(domains, registrar, reactor)
    return WebDoor(sites=sites, trusted_proxies=(), pages=pages.resource(), reactor=reactor)
