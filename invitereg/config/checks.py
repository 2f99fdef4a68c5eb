"""Checks of a whole file: what contradicts itself, is given twice, or has no effect."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import chain
from pathlib import Path

from invitereg.config.domains import NamedDomain
from invitereg.config.endpoints import fixed_endpoint
from invitereg.config.messages import KeyPath, Mistake, dotted, quoted
from invitereg.config.schema import DomainKeys, File
from invitereg.config.types import ValidationContext
from invitereg.config.web import WebKeys
from invitereg.config.yamlfile import Document
from invitereg.model.names import prepare_domain
from invitereg.policy.patterns import literal_parts, matches, pattern_warnings
from invitereg.policy.values import Domain

_NOWHERE = 'must name at least one endpoint, as in listen: ["tcp:5222"]'
_NOBODY = (
    "opens ports at which nobody could log in, as {names} has its accounts at another server: "
    "name where clients are handed over to (upstream: {{connect: …}}); or open none, to "
    "register people on the site only: c2s: {{listen: [], listen_tls: []}}"
)
Keys = Mapping[str, DomainKeys | None]
"""Of each domain, None where its own keys have mistakes already."""
Judged = Sequence[tuple[NamedDomain, DomainKeys]]
"""The domains whose own keys have no mistakes, with these."""


def report_disagreements(
    document: Document, named: Iterable[NamedDomain], file: File | None, domains: Keys
) -> None:
    """Note in ``document`` what contradicts itself between sections or between domains."""
    judged = [(domain, keys) for domain in named if (keys := domains[domain.name]) is not None]
    if are_ports_forgotten(file, domains):
        document.report(("c2s",), _NOBODY.format(names=", ".join(domains)))
    if file is not None and not file.c2s.listens:
        _report_missing_door(document, judged)
    _report_sites(document, judged, domains)
    _report_recipients(document, judged)
    _report_gateways(document, judged)
    _report_components(document, judged, domains)


def are_ports_forgotten(file: File | None, domains: Keys) -> bool:
    """Return whether there are ports at which clients of no domain could log in."""
    listens = file is not None and file.c2s.listens
    remote = (keys and keys.is_website_only(ports=True) for keys in domains.values())
    return listens and bool(domains) and all(remote)


def _report_sites(document: Document, judged: Judged, domains: Keys) -> None:
    """Report sites that share an address or have none, and logos at another address."""
    known: set[str] = set()
    for domain, keys in judged:
        url = keys.web.external_url
        place = domain.place(document, ("web", "external_url"))
        if url and url in known:
            document.report(place, "is another domain's as well: each needs its own")
        known.add(url)
        for key in keys.web.logos_from_elsewhere() if url else ():
            text = f"must be at {url} itself: pages load no pictures from anywhere else"
            document.report(domain.place(document, ("web", "apps", "add", key, "logo")), text)
    listening = any(("web", key) in document.lines for key in ("listen", "listen_tls"))
    said = ("web", "external_url") in document.lines
    if listening and not said and not any(known) and None not in domains.values():
        text = "is missing: where do browsers find the site, such as https://example.com/"
        document.report(("web", "external_url"), text)


def _report_missing_door(document: Document, judged: Judged) -> None:
    """Report a domain that needs a port for clients, where there is none.

    Without one, people register on the site and log in at another server.
    """
    for domain, keys in judged:
        missing = {
            "accounts at another server (accounts)": keys.accounts.embedded,
            "a site (web.external_url)": not keys.web.external_url,
        }
        if any(missing.values()):
            lacking = " and ".join(what for what, is_missing in missing.items() if is_missing)
            text = f"to register people on the site only, {domain.name} needs {lacking}"
            document.report(("c2s",), f"{_NOWHERE}; {text}")
            return


def _report_gateways(document: Document, judged: Judged) -> None:
    """Report a gateway to a server that would not know the accounts, as they are kept here."""
    for domain, keys in judged:
        if keys.c2s.upstream and keys.accounts.embedded:
            text = (
                "clients would log in at that server, and accounts be made elsewhere: add "
                "accounts: {backend: xmpp} or {backend: ejabberd}, or take upstream out"
            )
            document.report(domain.place(document, ("c2s", "upstream")), text)


def _report_components(document: Document, judged: Judged, domains: Keys) -> None:
    """Report components of one name: the server closes one connection, again and again."""
    owners: dict[str, str] = {}
    for domain, keys in judged:
        if keys.component is None:
            continue
        jid = prepare_domain(keys.component.jid)
        owner = owners.setdefault(jid, domain.name)
        place = domain.place(document, ("component",))
        if jid in domains:
            text = (
                f"jid: {jid} is a domain that is served: a component has an address of its "
                f"own, such as invites.{jid}"
            )
            document.report(place, text)
        elif owner != domain.name:
            text = f"jid: {jid} is the component of {owner} as well: each domain needs its own"
            document.report(place, text)


def _report_recipients(document: Document, judged: Judged) -> None:
    """Report who cannot be written to: accounts at a server, where there is no component."""
    mute = {domain.name for domain, keys in judged if _is_mute(keys)}
    for domain, keys in judged:
        if keys.welcome_message and domain.name in mute:
            text = _needed(domain.name, "newcomers")
            document.report(domain.place(document, ("welcome_message",)), text)
        for watcher in keys.registration_watchers:
            host = watcher.rpartition("@")[2]
            if host in mute:
                place = domain.place(document, ("registration_watchers",))
                document.report(place, _needed(host, watcher))


def _is_mute(keys: DomainKeys) -> bool:
    return not keys.accounts.embedded and keys.component is None


def _needed(domain: str, whom: str) -> str:
    return (
        f"cannot be: {domain} has its accounts at another server, and no component: by which "
        f"{whom} could be written to"
    )


Item = tuple[KeyPath, str]


def report_repetitions(document: Document, domains: Iterable[KeyPath], serving: bool) -> None:
    """Report each endpoint and each field of the registration that was there before.

    Args:
        document: the file.
        domains: where the keys of each domain are.
        serving: whether endpoints are looked at.
    """
    for domain in {(), *domains}:
        fields = _texts(document, (*domain, "policy", "additional_registration_fields"))
        _report(document, fields, lambda text: text.removesuffix("+"))
    if serving:
        listen = _texts(document, ("c2s", "listen")), _texts(document, ("c2s", "listen_tls"))
        _report(document, chain(*listen), fixed_endpoint)


def _report(
    document: Document, items: Iterator[Item], name: Callable[[str], str | None]
) -> None:
    """Report the items with a name that came before; what may repeat has the name None."""
    known: set[str] = set()
    for path, text in items:
        own = name(text)
        if own in known:
            document.report(path, f"{quoted(text)} is given twice: keep one")
        elif own is not None:
            known.add(own)


def _texts(document: Document, path: KeyPath) -> Iterator[Item]:
    """Yield the texts in a list, if there is one; all else there is reported elsewhere."""
    value: object = document.value
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    if isinstance(value, tuple):
        for index, item in enumerate(value):
            if isinstance(item, str):
                yield (*path, index), item


Condition = Callable[[File, DomainKeys], bool]
"""Whether a key has an effect for one domain of a file."""


def _keeps_accounts(_file: File, keys: DomainKeys) -> bool:
    return keys.accounts.embedded


def _tells_clients(_file: File, keys: DomainKeys) -> bool:
    return keys.accounts.embedded or keys.component is not None


def _has_site(_file: File, keys: DomainKeys) -> bool:
    return bool(keys.web.external_url)


def _ends_tls_of_site(file: File, keys: DomainKeys) -> bool:
    return bool(keys.web.external_url and file.web.listen_tls)


def _ends_tls(file: File, keys: DomainKeys) -> bool:
    return file.c2s.listens or _ends_tls_of_site(file, keys)


def _upstream_has_tls(_file: File, keys: DomainKeys) -> bool:
    return keys.c2s.upstream is not None and keys.c2s.upstream.tls != "none"


def _api_has_tls(_file: File, keys: DomainKeys) -> bool:
    return keys.accounts.url.startswith("https:")


_OF_ACCOUNTS = (
    "accounts.scram_iterations",
    "accounts.scram_sha_1",
    "policy.limits.roster",
    "policy.limits.roster_groups",
    "policy.limits.roster_requests",
    "policy.limits.password_changes",
)
_OF_SITES = tuple(
    f"web.{name}" for name in WebKeys.model_fields if name not in ("external_url", "tls")
)
_NEEDS: Mapping[str, tuple[Condition, str]] = {
    **dict.fromkeys(_OF_ACCOUNTS, (_keeps_accounts, "another server keeps the accounts")),
    **dict.fromkeys(_OF_SITES, (_has_site, "there is no site without web.external_url")),
    "contact_addresses": (_tells_clients, "only a component could tell them to apps"),
    "tls": (_ends_tls, "invitereg listens for TLS neither in c2s nor in web.listen_tls"),
    "web.tls": (_ends_tls_of_site, "the site is served by TLS in web.listen_tls only"),
    "c2s.upstream.ca": (_upstream_has_tls, "tls: none checks no certificate"),
    "accounts.ca": (_api_has_tls, "url is not https, so no certificate is checked"),
}


def ineffective_keys(
    document: Document,
    named: Iterable[NamedDomain],
    file: File,
    domains: Mapping[str, DomainKeys],
    folder: Path,
) -> Iterator[Mistake]:
    """Yield the keys that are set to no effect, each with its line and the reason.

    A key at the top level has an effect where any domain's value of it has one.
    """
    usual = DomainKeys.model_validate({}, context=ValidationContext(folder, serving=False))
    own = [(domain.path, [domains[domain.name]]) for domain in named if domain.path]
    for above, concerned in [((), list(domains.values())), *own]:
        for name, (has_effect, reason) in _NEEDS.items():
            path = tuple(name.split("."))
            place: KeyPath = (*above, *path)
            if place not in document.lines or any(has_effect(file, d) for d in concerned):
                continue
            if any(_value(keys, path) != _value(usual, path) for keys in concerned):
                text = f"has no effect: {reason}"
                yield Mistake(document.lines[place], dotted(place), text)


def _value(keys: DomainKeys, path: Iterable[str]) -> object:
    start: object = keys
    return reduce(lambda section, name: getattr(section, name, None), path, start)


POLICY_WARNING = "look at the policy: {warning}"
"""The line in the log for each of them."""
_USUAL = "juliet"


def policy_warnings(domains: Iterable[Domain]) -> Iterator[str]:
    """Yield warnings about values of the policy, each with its domain and key."""
    for domain in domains:
        usernames = domain.policy.usernames
        key = f"{domain.name}: policy.usernames"
        pattern = usernames.pattern
        for warning in pattern_warnings(pattern):
            yield f"{key}.pattern: {warning}"
        if pattern and not matches(pattern, _USUAL):
            hints = "".join(f"; {hint}" for hint in literal_parts(pattern))
            yield f"{key}.pattern: does not match a name such as {_USUAL}: {pattern}{hints}"
        if any(set(name) == {"*"} for name in usernames.reserved):
            yield f"{key}.reserved: * stands for every name, so nobody can choose one"
