"""What is written inside a stream, as bytes."""

from typing import Any

from twisted.words.protocols.jabber.xmlstream import NS_STREAMS
from twisted.words.xish import domish

from invitereg.embedded.stanzaxml import write_element

_PREFIXES = {NS_STREAMS: "stream"}


def in_bytes(obj: Any) -> bytes:
    """Return a child of the stream's root, or ready text or bytes, as it is written."""
    if isinstance(obj, bytes):
        return obj
    if isinstance(obj, domish.Element):
        obj = write_element(obj, prefixes=_PREFIXES)
    data: bytes = obj.encode()
    return data
