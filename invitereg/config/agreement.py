"""What no key can tell by itself: whether sections, and domains, go together."""

from collections.abc import Iterable, Mapping

from invitereg.config.domains import Named
from invitereg.config.schema import DomainKeys, File
from invitereg.config.yamlnodes import Document
from invitereg.model.names import prepare_domain

_NOWHERE = 'must name at least one endpoint, as in listen: ["tcp:5222"]'
_NOBODY = (
    "opens ports at which nobody could log in, as {names} has its accounts at another server: "
    "name where clients are handed over to (upstream: {{connect: …}}); or open none, to "
    "register people on the site only: c2s: {{listen: [], listen_tls: []}}"
)
Keys = Mapping[str, DomainKeys | None]
"""Of each domain, None where its own keys have mistakes already."""


def complain_of_disagreement(
    document: Document, named: Iterable[Named], file: File | None, domains: Keys
) -> None:
    """Note in ``document`` what contradicts itself between sections or between domains."""
    named = tuple(named)
    if are_ports_forgotten(file, domains):
        document.complain(("c2s",), _NOBODY.format(names=", ".join(domains)))
    if file is not None and not file.c2s.listens:
        _complain_of_no_door(document, domains)
    _complain_of_sites(document, named, domains)
    _complain_of_recipients(document, named, domains)
    _complain_of_gateways(document, named, domains)
    _complain_of_components(document, named, domains)


def are_ports_forgotten(file: File | None, domains: Keys) -> bool:
    """Return whether there are ports at which clients of no domain could log in."""
    listens = file is not None and file.c2s.listens
    remote = (keys and keys.is_website_only(ports=True) for keys in domains.values())
    return listens and bool(domains) and all(remote)


def _complain_of_sites(document: Document, named: Iterable[Named], domains: Keys) -> None:
    """Two sites at one address could not be told apart; a site that only listens is none."""
    known: set[str] = set()
    for domain in named:
        keys = domains[domain.name]
        url = keys.web.external_url if keys else ""
        place = domain.place(document, ("web", "external_url"))
        if url and url in known:
            document.complain(place, "is another domain's as well: each needs its own")
        known.add(url)
        for key in keys.web.logos_from_elsewhere() if url and keys else ():
            text = f"must be at {url} itself: pages load no pictures from anywhere else"
            document.complain(domain.place(document, ("web", "apps", "add", key, "logo")), text)
    listening = any(("web", key) in document.lines for key in ("listen", "listen_tls"))
    said = ("web", "external_url") in document.lines
    if listening and not said and not any(known) and None not in domains.values():
        text = "is missing: where do browsers find the site, such as https://example.com/"
        document.complain(("web", "external_url"), text)


def _complain_of_no_door(document: Document, domains: Keys) -> None:
    """Without a port for clients, people register on the site and log in at another server."""
    for name, keys in domains.items():
        if keys is None:
            continue
        missing = {
            "accounts at another server (accounts)": keys.accounts.embedded,
            "a site (web.external_url)": not keys.web.external_url,
        }
        if any(missing.values()):
            lacking = " and ".join(what for what, is_missing in missing.items() if is_missing)
            text = f"{_NOWHERE}; to register people on the site only, {name} needs {lacking}"
            document.complain(("c2s",), text)
            return


def _complain_of_gateways(document: Document, named: Iterable[Named], domains: Keys) -> None:
    """Behind a gateway, accounts of our own would be known to nobody who checks passwords."""
    for domain in named:
        keys = domains[domain.name]
        if keys and keys.c2s.upstream and keys.accounts.embedded:
            text = (
                "clients would log in at that server, and accounts be made elsewhere: add "
                "accounts: {backend: xmpp} or {backend: ejabberd}, or take upstream out"
            )
            document.complain(domain.place(document, ("c2s", "upstream")), text)


def _complain_of_components(document: Document, named: Iterable[Named], domains: Keys) -> None:
    """Of two connections with one name the server closes one, again and again."""
    owners: dict[str, str] = {}
    for domain in named:
        keys = domains[domain.name]
        if keys is None or keys.component is None:
            continue
        jid = prepare_domain(keys.component.jid)
        owner = owners.setdefault(jid, domain.name)
        place = domain.place(document, ("component",))
        if jid in domains:
            text = (
                f"jid: {jid} is a domain that is served: a component has an address of its "
                f"own, such as invites.{jid}"
            )
            document.complain(place, text)
        elif owner != domain.name:
            text = f"jid: {jid} is the component of {owner} as well: each domain needs its own"
            document.complain(place, text)


def _complain_of_recipients(document: Document, named: Iterable[Named], domains: Keys) -> None:
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
    return not keys.accounts.embedded and keys.component is None


def _needed(domain: str, whom: str) -> str:
    return (
        f"cannot be: {domain} has its accounts at another server, and no component: by which "
        f"{whom} could be written to"
    )
