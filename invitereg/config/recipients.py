"""Whether those who are to be told something can be: by us, or by a component."""

from collections.abc import Iterable, Mapping

from invitereg.config.domains import Named
from invitereg.config.schema import DomainKeys
from invitereg.config.yamlnodes import Document


def complain_of_recipients(
    document: Document, named: Iterable[Named], domains: Mapping[str, DomainKeys | None]
) -> None:
    """Where a server keeps the accounts, only its component can write to them."""
    mute = {name for name, keys in domains.items() if keys is not None and _is_mute(keys)}
    for domain in named:
        keys = domains[domain.name]
        if keys is None:
            continue
        if keys.welcome_message and domain.name in mute:
            text = _needed(domain.name, "newcomers")
            document.complain(domain.place(document, ("welcome_message",)), text)
        for watcher in keys.registration_watchers:
            host = watcher.rpartition("@")[2]
            if host in mute:
                place = domain.place(document, ("registration_watchers",))
                document.complain(place, _needed(host, watcher))


def _is_mute(keys: DomainKeys) -> bool:
    return keys.accounts.backend != "embedded" and keys.component is None


def _needed(domain: str, whom: str) -> str:
    return (
        f"cannot be: {domain} has its accounts at another server, and no component: by which "
        f"{whom} could be written to"
    )
