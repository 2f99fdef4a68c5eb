"""Finds keys that are set and have no effect, as what they are about is not there.

They are no mistakes: a file may have every key of the example, with the default as its value.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import reduce
from pathlib import Path

from invitereg.config.domains import Named
from invitereg.config.mistakes import KeyPath, Mistake, dotted
from invitereg.config.schema import DomainKeys, File
from invitereg.config.values import Surroundings
from invitereg.config.webkeys import WebKeys
from invitereg.config.yamlnodes import Document

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


def idle_keys(
    document: Document,
    named: Iterable[Named],
    file: File,
    domains: Mapping[str, DomainKeys],
    folder: Path,
) -> Iterator[Mistake]:
    """Yield the keys that are set to no effect, each with its line and the reason.

    A key at the top level has an effect where any domain's value of it has one.
    """
    usual = DomainKeys.model_validate({}, context=Surroundings(folder, serving=False))
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
