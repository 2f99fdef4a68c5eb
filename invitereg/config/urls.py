"""The addresses that keys take: one rule for all, and which schemes each may have.

What is on a page becomes a link there, so no address may run a script, hide a part of itself
or have a password in it.
"""

import re
import string
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator

from invitereg.config.endpoints import check_host
from invitereg.config.messages import quoted
from invitereg.model.names import ascii_domain

WEB = ("https", "http")
APP = (*WEB, "xmpp")
CONTACT = ("mailto", "xmpp", *WEB, "tel", "sip", "sips", "irc", "ircs", "matrix")
# What RFC 3986 has no place for; a browser would drop or change some of it, such as a tab.
_WRITTEN = re.compile(r"[!-~]+")
_NOT_WRITTEN = frozenset("\"'<>\\`")
_PLACES = ("uri", "token", "domain", "address")


def split_url(
    text: str,
    schemes: tuple[str, ...] = WEB,
    kind: str = "address such as https://example.com/",
) -> SplitResult:
    """Take an address apart.

    Args:
        text: the address.
        schemes: which ones it may have.
        kind: what it should have been, for the mistake.

    Raises:
        ValueError: it is none, or has another scheme than these; the text says so.
    """
    wrong = f"{quoted(text)} is no {kind}"
    if not _WRITTEN.fullmatch(text) or _NOT_WRITTEN & set(text):
        raise ValueError(wrong)
    try:
        parts = urlsplit(text)
        named = bool(parts.hostname) and parts.port != 0
        if parts.scheme in WEB and parts.hostname:
            check_host(parts.hostname)
    except ValueError:
        raise ValueError(wrong) from None
    if parts.scheme not in schemes:
        if parts.scheme and schemes != WEB:
            wrong += f"; it must begin with {', '.join(schemes)}"
        raise ValueError(wrong)
    if parts.scheme in WEB and "@" in parts.netloc:
        raise ValueError("must have no name and no password in it, so no @ before the path")
    if not (named if parts.scheme in WEB else parts.path):
        raise ValueError(wrong)
    return parts


def web_url(text: str) -> str:
    """Return an address of the web, with its host in A-labels; raises as `split_url`."""
    text = with_ascii_host(text)
    split_url(text)
    return text


def with_ascii_host(text: str) -> str:
    """Return an address with an internationalised host as browsers ask for it: in A-labels.

    What has no such host is returned as it is.

    Source: RFC 3987 §3.1.

    Raises:
        ValueError: the host has no A-labels; the text says why.
    """
    try:
        netloc = urlsplit(text).netloc
    except ValueError:
        return text
    host, colon, port = netloc.partition(":")
    if host.isascii() or "@" in netloc:
        return text
    try:
        return text.replace(netloc, f"{ascii_domain(host)}{colon}{port}", 1)
    except ValueError as error:
        raise ValueError(f"{quoted(text)} has no host that the DNS knows: {error}") from None


def _link(text: str) -> str:
    """Check a link with places to fill: it must be an address whatever they are filled with."""
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError:
        parts = [("", "?", "", None)]
    if any(field not in (None, *_PLACES) or spec or kind for _, field, spec, kind in parts):
        raise ValueError(
            "may have {uri}, {token}, {domain} and {address} in it, and no other { or }"
        )
    if text:
        split_url(text.format(**dict.fromkeys(_PLACES, "x")), APP)
    return text


WebUrl = Annotated[str, AfterValidator(web_url)]
OptionalWebUrl = Annotated[str, AfterValidator(lambda text: text and web_url(text))]
LinkFormat = Annotated[str, AfterValidator(_link)]
