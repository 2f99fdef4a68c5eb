"""Check and write stream headers (RFC 6120 §4.7)."""

import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from xml.sax.saxutils import quoteattr

from twisted.words.protocols.jabber.error import StreamError
from twisted.words.protocols.jabber.xmlstream import NS_STREAMS
from twisted.words.xish import domish

from invitereg.model.names import ascii_domain, is_too_long, prepare_domain, spelled_like
from invitereg.model.namespaces import NS_CLIENT
from invitereg.policy.values import Domain


def check_header(root: domish.Element, domains: Mapping[str, Domain]) -> Domain:
    """Return the domain that a client's stream header asks for.

    Raises:
        StreamError: the header is invalid, or the domain is not served here.
    """
    if root.uri != NS_STREAMS:
        raise StreamError("invalid-namespace")
    if root.name != "stream":
        raise StreamError("bad-format")
    if root.defaultUri != NS_CLIENT:
        raise StreamError("invalid-namespace")
    domain = _domain_named(root.getAttribute("to") or "", domains)
    if domain is None or domain.website_only:
        raise StreamError("host-unknown")
    major = (root.getAttribute("version") or "0").split(".")[0]
    if not major.isdecimal() or not major.strip("0"):
        raise StreamError("unsupported-version")
    return domain


def _domain_named(text: str, domains: Mapping[str, Domain]) -> Domain | None:
    """Return the served domain that ``text`` names in any spelling, or None.

    Anybody may send a header, at no cost: a name that is spelt as in the configuration is not
    prepared, and one that is longer than all names that are served is none of them.
    """
    if text in domains:
        return domains[text]
    try:
        most = _most(tuple(domains))
        if is_too_long(text) or len(unicodedata.normalize("NFKC", text)) > most:
            return None
        return domains.get(prepare_domain(text))
    except ValueError:
        return None


@lru_cache(maxsize=1)
def _most(names: tuple[str, ...]) -> int:
    """Return the most characters that any spelling of these domains has."""
    spelled = (*names, *(ascii_domain(name) for name in names if not name.isascii()))
    return max(map(len, spelled)) + len(".")


def write_header(domain: str, stream_id: str, spelling: str = "") -> str:
    """Return the server's stream header, with exactly what clients look for.

    ``spelling`` is the domain as the client spells it: some clients compare the two as text.
    """
    name = spelled_like(domain, spelling or domain)
    return (
        f"<?xml version='1.0'?><stream:stream xmlns='{NS_CLIENT}' "
        f"xmlns:stream='{NS_STREAMS}' from={quoteattr(name)} id='{stream_id}' "
        "version='1.0' xml:lang='en'>"
    )


def client_header(domain: str) -> bytes:
    """Return the stream header of a client."""
    return (
        f"<?xml version='1.0'?><stream:stream to={quoteattr(domain)} version='1.0' "
        f"xmlns='{NS_CLIENT}' xmlns:stream='{NS_STREAMS}'>"
    ).encode()
