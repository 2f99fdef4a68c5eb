"""The domains of a file, and the keys that hold for each.

A key that is about a domain holds for all of them where it is at the top level, and for one
of them below its name; there it wins. Sections are put together key by key, lists are not.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from invitereg.config.messages import KeyPath, KeyTree, quoted
from invitereg.config.types import domain_name, host_name
from invitereg.config.yamlfile import Document

DOMAIN, DOMAINS = "domain", "domains"


@dataclass(frozen=True, slots=True)
class NamedDomain:
    """A domain that the file names.

    Attributes:
        name: in its normal form.
        host: the same as the file spells it, in U-labels or in A-labels.
        path: where its own keys are, or would be.
        own: its own keys as they are in the file.
    """

    name: str
    path: KeyPath
    own: Mapping[str, object]
    host: str

    def place(self, document: Document, path: KeyPath) -> KeyPath:
        """Return the path in the file from which the key ``path`` has its value.

        That is among the domain's own keys, unless it has none of that section.
        """
        own = (*self.path, *path)
        beside = own[:-1] if len(path) > 1 else own
        return own if beside in document.lines or path[:1] not in document.lines else path


def named_domains(document: Document) -> tuple[NamedDomain, ...]:
    """Return the domains of a file in their order; mistakes in them are reported."""
    value = document.value
    if DOMAINS not in value:
        if DOMAIN not in value:
            document.report((DOMAIN,), "is missing: it must be given")
        domain = value.get(DOMAIN)
        if isinstance(domain, str):
            with suppress(ValueError):  # said by the model, as anything else that is wrong
                return (NamedDomain(domain_name(domain), (), {}, host_name(domain)),)
        return ()
    if DOMAIN in value:
        document.report((DOMAIN,), "is given, and domains as well: keep one of them")
    domains = value[DOMAINS]
    if not isinstance(domains, dict) or not domains:
        if not document.is_spoiled((DOMAINS,)):
            text = "must name at least one domain, such as example.com: with its keys below it"
            document.report((DOMAINS,), text)
        return ()
    return tuple(_several(document, domains))


def _several(document: Document, domains: Mapping[str, object]) -> Iterator[NamedDomain]:
    known: set[str] = set()
    for key, own in domains.items():
        path = (DOMAINS, key)
        try:
            name = domain_name(key)
        except ValueError as error:
            document.report(path, str(error))
            continue
        if name in known:
            document.report(path, f"{quoted(name)} is given twice: keep one")
        elif own is not None and not isinstance(own, dict):
            document.report(path, "must be a section, with keys of its own")
        elif not document.is_spoiled(path):
            known.add(name)
            yield NamedDomain(name, path, own or {}, host_name(key))


def merged(shared: Mapping[str, object], own: Mapping[str, object]) -> dict[str, object]:
    """Return the keys of ``shared``, with those of ``own`` over them."""
    result = dict(shared)
    for key, value in own.items():
        before = result.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            result[key] = merged(before, value)
        else:
            result[key] = value
    return result


def within(tree: KeyTree, value: Mapping[str, object]) -> dict[str, object]:
    """Return the part of ``value`` that has a place in ``tree``: the rest is the service's."""
    kept: dict[str, object] = {}
    for key, below in tree.items():
        if key not in value:
            continue
        inner = value[key]
        kept[key] = within(below, inner) if below and isinstance(inner, dict) else inner
    return kept
