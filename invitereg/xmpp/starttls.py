"""STARTTLS, and what is said to those who skip it (RFC 6120 §5, §6.5.4)."""

from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.xish import domish

from invitereg.xmpp.stanzas import NS_XMPP_SASL, NS_XMPP_TLS


def stream_feature() -> domish.Element:
    """What announces STARTTLS, and that nothing goes without."""
    feature = domish.Element((NS_XMPP_TLS, "starttls"))
    feature.addElement("required")
    return feature


def request() -> bytes:
    """What a client asks for it with."""
    return f"<starttls xmlns='{NS_XMPP_TLS}'/>".encode()


def proceed() -> domish.Element:
    """The answer to ``<starttls/>``; the next byte from the client is TLS."""
    return domish.Element((NS_XMPP_TLS, "proceed"))


def encryption_required() -> domish.Element:
    """The answer to ``<auth/>`` in clear text."""
    failure = domish.Element((NS_XMPP_SASL, "failure"))
    failure.addElement("encryption-required")
    return failure


def not_in_clear_text(iq: domish.Element) -> domish.Element:
    """The answer to a request in clear text; what it carried is not repeated."""
    error = StanzaError("policy-violation", "modify", "Use STARTTLS first.", "en")
    iq.children.clear()
    answer: domish.Element = error.toResponse(iq)
    return answer
