"""What a client is offered of what the server behind offers (RFC 6120 §4.3.2)."""

from collections.abc import Callable, Iterable

from twisted.words.xish import domish

from invitereg.xmpp.phases import NS_XMPP_TLS
from invitereg.xmpp.preauth import NS_IBR_TOKEN, NS_LEGACY_INVITE
from invitereg.xmpp.register import NS_REGISTER_FEATURE
from invitereg.xmpp.serializing import in_bytes

NS_COMPRESS = "http://jabber.org/features/compress"
NS_CHANNEL_BINDING = "urn:xmpp:sasl-cb:0"

# Ours to offer; of no use within TLS; or, as channel binding (RFC 5929, XEP-0440), about a TLS
# connection that ends here.
_DROPPED = {
    (NS_REGISTER_FEATURE, "register"),
    (NS_IBR_TOKEN, "register"),
    (NS_LEGACY_INVITE, "register"),
    (NS_XMPP_TLS, "starttls"),
    (NS_COMPRESS, "compression"),
    (NS_CHANNEL_BINDING, "sasl-channel-binding"),
}


def offered_features(features: domish.Element, own: Iterable[domish.Element]) -> bytes:
    """The server's features without what cannot pass, and with our own; serialized."""
    _prune(features, _passes)
    for element in own:
        features.addChild(element)
    return in_bytes(features)


def _passes(element: domish.Element) -> bool:
    if (element.uri, element.name) in _DROPPED:
        return False
    # In SASL (RFC 6120 §6) and inside SASL2 (XEP-0388) alike.
    return not (element.name == "mechanism" and str(element).strip().endswith("-PLUS"))


def _prune(element: domish.Element, passes: Callable[[domish.Element], bool]) -> None:
    element.children = [
        child
        for child in element.children
        if not isinstance(child, domish.Element) or passes(child)
    ]
    for child in element.elements():
        _prune(child, passes)
