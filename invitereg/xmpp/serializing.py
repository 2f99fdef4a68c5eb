"""What is written inside a stream, as bytes."""

from typing import Any

from twisted.words.protocols.jabber.xmlstream import NS_STREAMS
from twisted.words.xish import domish

from invitereg.xmpp.phases import NS_CLIENT


def in_bytes(obj: Any) -> bytes:
    """A child of the stream's root, or ready text, as it is written."""
    if domish.IElement.providedBy(obj):
        prefixes = {NS_STREAMS: "stream"}
        obj = obj.toXml(prefixes=prefixes, defaultUri=NS_CLIENT, prefixesInScope=["stream"])
    data: bytes = obj.encode()
    return data
