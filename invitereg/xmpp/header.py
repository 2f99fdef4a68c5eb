"""The opening tag of a stream (RFC 6120 §4.7)."""

from collections.abc import Mapping
from xml.sax.saxutils import quoteattr

from twisted.words.protocols.jabber.error import StreamError
from twisted.words.protocols.jabber.xmlstream import NS_STREAMS
from twisted.words.xish import domish

from invitereg.model import prepare_domain
from invitereg.policy.values import Domain
from invitereg.xmpp.phases import NS_CLIENT


def check_header(root: domish.Element, domains: Mapping[str, Domain]) -> Domain:
    """The domain that a client's header asks for.

    Raises:
        StreamError: the header is not what it should be, or the domain is not served.
    """
    if root.uri != NS_STREAMS:
        raise StreamError("invalid-namespace")
    if root.name != "stream":
        raise StreamError("bad-format")
    if root.defaultUri != NS_CLIENT:
        raise StreamError("invalid-namespace")
    try:
        domain = domains[prepare_domain(root.getAttribute("to") or "")]
    except (KeyError, ValueError):
        raise StreamError("host-unknown") from None
    major = (root.getAttribute("version") or "0").split(".")[0]
    if not major.isdecimal() or not major.strip("0"):
        raise StreamError("unsupported-version")
    return domain


def write_header(domain: str, stream_id: str) -> str:
    """The server's header, with exactly what clients look for."""
    return (
        f"<?xml version='1.0'?><stream:stream xmlns='{NS_CLIENT}' "
        f"xmlns:stream='{NS_STREAMS}' from={quoteattr(domain)} id='{stream_id}' "
        "version='1.0' xml:lang='en'>"
    )


def client_header(domain: str) -> bytes:
    """The header of a client that has nothing special to say."""
    return (
        f"<?xml version='1.0'?><stream:stream to={quoteattr(domain)} version='1.0' "
        f"xmlns='{NS_CLIENT}' xmlns:stream='{NS_STREAMS}'>"
    ).encode()
