"""Finds which changes of the configuration take effect at a restart only."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TypeVar

from invitereg.config.loading import Config
from invitereg.policy.values import Domain

_FIXED = ("data_dir", "store", "c2s", "streams", "work_queue", "web")
_FIXED_OF_DOMAINS = {
    "accounts": "accounts",
    "backends": "component",
    "upstreams": "c2s.upstream",
    "trusted_networks": "trusted_networks",
}
Of = TypeVar("Of")


def servable_now(read: Config, served: Collection[str]) -> tuple[Config, list[str]]:
    """Take out of what was ``read`` the domains that can be served after a restart only.

    The connections to a domain's server are made at the start. Without one, people could
    register at the domain, but not log in afterwards.

    Returns:
        What can be served at once, and what is said of the domains that were taken out.
    """
    waiting = [
        name
        for name in read.domains
        if name not in served and (name in read.upstreams or name in read.backends)
    ]

    def kept(section: Mapping[str, Of]) -> Mapping[str, Of]:
        return {name: value for name, value in section.items() if name not in waiting}

    now = replace(
        read,
        domains=kept(read.domains),
        sites=kept(read.sites),
        tls=kept(read.tls),
        accounts=kept(read.accounts),
    )
    return now, [f"domains (not served yet: {', '.join(waiting)})"] if waiting else []


def domains_to_serve(running: Config, read: Config) -> dict[str, Domain]:
    """Return the domains that were ``read``, as they can be served without a restart."""
    return {
        name: replace(domain, website_only=running.domains.get(name, domain).website_only)
        for name, domain in read.domains.items()
    }


def fixed_changes(running: Config, read: Config, served: Collection[str]) -> list[str]:
    """Return the keys that differ in what was ``read``, and cannot change while it runs.

    Args:
        running: what the service was started with.
        read: what the file says now.
        served: the names of all domains that are served.
    """
    changed = [
        "web (no site is served yet)" if name == "web" and not running.sites else name
        for name in _FIXED
        if getattr(read, name) != getattr(running, name)
    ]
    for section, key in _FIXED_OF_DOMAINS.items():
        before, after = getattr(running, section), getattr(read, section)
        if any(after.get(name) != before.get(name) for name in served if name in read.domains):
            changed.append(key)
    if removed := [name for name in served if name not in read.domains]:
        changed.append(f"domains (still served: {', '.join(removed)})")
    return changed
