"""What a file names twice where once is meant.

Looked for in the file as it is, not by the models: pydantic looks at a list as a whole only
once each item is right, and every mistake is to be reported at once.
"""

from collections.abc import Callable, Iterable, Iterator

from invitereg.config.mistakes import KeyPath, quoted
from invitereg.config.yamlnodes import Document

Item = tuple[KeyPath, str]


def complain_of_doubles(document: Document, domains: Iterable[KeyPath], serving: bool) -> None:
    """Notes each endpoint and each field of the registration that was there before.

    Args:
        document: the file.
        domains: where the keys of each domain are.
        serving: whether endpoints are looked at.
    """
    for domain in {(), *domains}:
        fields = _texts(document, (*domain, "policy", "additional_registration_fields"))
        _complain(document, fields, lambda text: text.removesuffix("+"))
    if serving:
        from invitereg.config.endpoints import fixed_endpoint

        listen = [
            *_texts(document, ("c2s", "listen")),
            *_texts(document, ("c2s", "listen_tls")),
        ]
        _complain(document, iter(listen), fixed_endpoint)


def _complain(
    document: Document, items: Iterator[Item], name: Callable[[str], str | None]
) -> None:
    """Notes the items with a name that came before; None is the name of what may repeat."""
    known: set[str] = set()
    for path, text in items:
        own = name(text)
        if own in known:
            document.complain(path, f"{quoted(text)} is given twice: keep one")
        elif own is not None:
            known.add(own)


def _texts(document: Document, path: KeyPath) -> Iterator[Item]:
    """The texts in a list, if there is one; what else is there is another's to report."""
    value: object = document.value
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    if isinstance(value, tuple):
        for index, item in enumerate(value):
            if isinstance(item, str):
                yield (*path, index), item
