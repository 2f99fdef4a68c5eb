"""Write elements as XML text of about the size that was read.

Names are resolved when a stanza is parsed, so writing it declares its namespaces anew (RFC 6120
§4.8). One long namespace on many short siblings would then turn a small stanza into a huge one.
"""

import re
from collections import Counter
from collections.abc import Mapping

from twisted.words.xish import domish

from invitereg.model.namespaces import NS_CLIENT, NS_XML

REPEATED_LENGTH = 1024
"""The most characters of repeated declarations of one namespace in a stanza."""


def write_element(
    element: domish.Element,
    namespace: str = NS_CLIENT,
    prefixes: Mapping[str, str] | None = None,
) -> str:
    """Return an element as XML text.

    A namespace is declared as the default where an element enters it, which every client
    understands. Where that would take more than `REPEATED_LENGTH`, and for attributes, it is
    declared once, at the element itself, with a prefix.

    Args:
        element: what to write; where it has no namespace, it is in that of its parent. Raw XML
            in it is written unchanged.
        namespace: the default namespace where the text is inserted.
        prefixes: the prefixes that are declared there, by namespace.
    """
    declared = _prefixed(element, namespace).difference(prefixes or ())
    own = {uri: f"n{number}" for number, uri in enumerate(sorted(declared))}
    declarations = "".join(f" xmlns:{prefix}='{uri}'" for uri, prefix in own.items())
    parts: list[str] = []
    known = {NS_XML: "xml", **(prefixes or {}), **own}
    _write(parts, known, element, namespace, declarations)
    return "".join(parts)


def _prefixed(element: domish.Element, namespace: str) -> set[str]:
    entered: Counter[str] = Counter()
    found: set[str] = set()
    waiting = [(element, namespace)]
    while waiting:
        one, around = waiting.pop()
        uri = around if one.uri is None else one.uri
        if uri != around:
            entered[uri] += 1
        found.update(key[0] for key in one.attributes if isinstance(key, tuple))
        waiting.extend((child, uri) for child in one.children if not isinstance(child, str))
    for uri, times in entered.items():
        if times > 1 and times * len(uri) > REPEATED_LENGTH:
            found.add(uri)
    return found - {NS_XML}


def _write(
    parts: list[str],
    prefixes: Mapping[str, str],
    element: domish.Element,
    default: str,
    declarations: str = "",
) -> None:
    """Write an element into ``parts`` where ``default`` is the default namespace."""
    uri = default if element.uri is None else element.uri
    name, entered = element.name, ""
    if uri != default and uri in prefixes:
        name = f"{prefixes[uri]}:{name}"
    elif uri != default:
        default, entered = uri, f" xmlns='{uri}'"
    parts.append(f"<{name}{entered}{declarations}")
    for attribute, value in element.attributes.items():
        if isinstance(attribute, tuple):
            attribute = f"{prefixes[attribute[0]]}:{attribute[1]}"
        parts.append(f" {attribute}='{domish.escapeToXml(value, 1)}'")
    if not element.children:
        parts.append("/>")
        return
    parts.append(">")
    for child in element.children:
        if isinstance(child, domish.SerializedXML):
            parts.append(child)
        elif isinstance(child, str):
            parts.append(domish.escapeToXml(child))
        else:
            _write(parts, prefixes, child, default)
    parts.append(f"</{name}>")


_TAG = re.compile(rb"<[^\s/>]+")


class StanzaCopies:
    """A stanza to be sent to any number of recipients; its own ``to`` is ignored.

    Most of the cost of sending a stanza is writing it as XML: that is done once. A copy is
    bytes, so that all sessions of an account can be sent the same object.
    """

    def __init__(self, stanza: domish.Element) -> None:
        to = stanza.attributes.pop("to", None)
        data = write_element(stanza).encode()
        if to is not None:
            stanza["to"] = to
        tag = _TAG.match(data)
        assert tag is not None  # noqa: S101 - an element begins with its tag
        self._tag, self._rest = tag[0], data[tag.end() :]

    def __len__(self) -> int:
        """Return the number of bytes without the recipient's address."""
        return len(self._tag) + len(self._rest)

    def to(self, address: str) -> bytes:
        """Return the XML of a copy for this JID."""
        return b"%b to='%b'%b" % (
            self._tag,
            domish.escapeToXml(address, 1).encode(),
            self._rest,
        )


def unavailable(sender: str) -> StanzaCopies:
    """Return the presence that says a session has gone (RFC 6121 §4.5)."""
    presence = domish.Element((None, "presence"))
    presence["from"] = sender
    presence["type"] = "unavailable"
    return StanzaCopies(presence)
