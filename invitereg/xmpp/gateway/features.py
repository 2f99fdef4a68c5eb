"""Filter the stream features of an upstream server for a client (RFC 6120 §4.3.2)."""

from collections.abc import Iterable

from twisted.words.xish import domish

from invitereg.model.namespaces import (
    NS_CHANNEL_BINDING,
    NS_COMPRESS,
    NS_IBR_TOKEN,
    NS_INVITE,
    NS_LEGACY_AUTH,
    NS_REGISTER_2,
    NS_REGISTER_FEATURE,
    NS_SASL,
    NS_SASL2,
    NS_TLS,
)
from invitereg.xmpp.stanzas import serialized

_REGISTRATION = {
    (NS_REGISTER_FEATURE, "register"),
    (NS_IBR_TOKEN, "register"),
    (NS_INVITE, "register"),
    (NS_REGISTER_2, "register"),  # XEP-0389
}
# Ours to offer; of no use within TLS; as channel binding (RFC 5929, XEP-0440), about a TLS
# connection that ends here; or a login (XEP-0078) that none of us would notice.
_DROPPED = _REGISTRATION | {
    (NS_TLS, "starttls"),
    (NS_COMPRESS, "compression"),
    (NS_CHANNEL_BINDING, "sasl-channel-binding"),
    (NS_LEGACY_AUTH, "auth"),
}
# Of SCRAM, and of the tokens of XEP-0484.
_CHANNEL_BOUND = ("-PLUS", "-ENDP", "-UNIQ", "-EXPR")


def offered_features(features: domish.Element, own: Iterable[domish.Element]) -> bytes:
    """Return the server's features, serialized, without what cannot pass, and with our own."""
    _prune(features)
    for element in own:
        features.addChild(element)
    return serialized(features)


def announces_registration(features: domish.Element) -> bool:
    """Return whether a server says by itself that it registers accounts."""
    return any((child.uri, child.name) in _REGISTRATION for child in features.elements())


def offers_login(features: domish.Element) -> bool:
    """Return whether a client can log in with these features."""
    login = ((NS_SASL, "mechanisms"), (NS_SASL2, "authentication"))
    return any((child.uri, child.name) in login for child in features.elements())


def offers_starttls(features: domish.Element) -> bool:
    """Return whether a server offers STARTTLS."""
    return any(True for _ in features.elements(NS_TLS, "starttls"))


def channel_bound(features: domish.Element) -> list[str]:
    """Return the mechanisms that need client and server to share one TLS connection."""
    found = [str(features).strip()] if _is_channel_bound(features) else []
    for child in features.elements():
        found += channel_bound(child)
    return found


def mechanisms(features: domish.Element) -> list[str]:
    """Return the SASL mechanisms that a server offers, in its order (RFC 6120 §6)."""
    return [
        str(mechanism).strip()
        for offer in features.elements(NS_SASL, "mechanisms")
        for mechanism in offer.elements(NS_SASL, "mechanism")
    ]


def offered_mechanisms(features: domish.Element) -> list[str]:
    """Return the `mechanisms` of a server that clients of the gateway see."""
    return [name for name in mechanisms(features) if not name.endswith(_CHANNEL_BOUND)]


def _is_channel_bound(element: domish.Element) -> bool:
    # In SASL (RFC 6120 §6) and inside SASL2 (XEP-0388) alike.
    return element.name == "mechanism" and str(element).strip().endswith(_CHANNEL_BOUND)


def _prune(element: domish.Element) -> None:
    for child in list(element.elements()):
        if (child.uri, child.name) in _DROPPED or _is_channel_bound(child):
            element.children.remove(child)
        else:
            _prune(child)
