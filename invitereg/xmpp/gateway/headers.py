"""Respell the domain in the stream headers that pass a gateway.

A server may know its domain by one spelling only, U-labels or A-labels, and clients may use the
other. The server is asked for its own, and the client is answered with the one that it asked
for. Stanzas pass as they are: after the login, addresses are the server's.

Source: RFC 6120 §4.7, RFC 7622 §3.2.1.
"""

import html
import re
from xml.sax.saxutils import quoteattr

from invitereg.model.names import is_domain, prepare_domain
from invitereg.xmpp.gateway.toplevel import MAX_TOKEN
from invitereg.xmpp.parser import WholeTokens, end_of_token

MOST_HEADERS = 4
"""Headers of one direction that are looked at: a stream has two, and a stranger many."""
_HEADER = re.compile(rb"<(?:[^\s:/<>!?]+:)?stream\s")
_TAG = re.compile(rb"<[^\s/!?>]")
_ATTRIBUTE = re.compile(rb"""(\s)([^\s='"<>]+)(\s*=\s*)('[^']*'|"[^"]*")""")


class HeaderSpelling:
    """Writes a spelling of the domain into the stream headers of one direction.

    That ends with the first tag after the login: it is the last header, or there is none
    (SASL2). It also ends with what no header can be, and after `MOST_HEADERS`.

    Attributes:
        active: whether there may still be a header to respell.
    """

    def __init__(self, attribute: str, name: str | None) -> None:
        """Prepare to write ``name`` into an attribute; None lets everything pass as it is."""
        self._attribute = attribute.encode()
        self._name = name
        self._tokens = WholeTokens()
        self._headers_left = MOST_HEADERS
        self._logged_in = False

    @property
    def active(self) -> bool:
        return self._name is not None

    def logged_in(self) -> None:
        """Note that the login has succeeded."""
        self._logged_in = True

    def respell(self, data: bytes) -> bytes:
        """Take the next bytes; return those that can be passed on."""
        if self._name is None:
            return data
        whole = self._tokens.take(data)
        if self._tokens.kept > MAX_TOKEN:
            self._name = None  # That is no header.
        passed, place = bytearray(), 0
        while self._name is not None and place < len(whole):
            end = end_of_token(whole, place) or len(whole)
            passed += self._token(whole[place:end], self._name)
            place = end
        rest = b"" if self._name is not None else whole[place:] + self._tokens.rest()
        return bytes(passed) + rest

    def _token(self, token: bytes, name: str) -> bytes:
        if self._logged_in and _TAG.match(token):
            self._name = None
        if not _HEADER.match(token):
            return token
        self._headers_left -= 1
        if not self._headers_left:
            self._name = None
        # The first only: nothing well-formed has it twice, and a stranger may.
        for found in _ATTRIBUTE.finditer(token):
            if found[2] == self._attribute:
                start, end = found.span(4)
                spelt = _spelt(token[start:end], name)
                return token[:start] + spelt + token[end:]
        return token


def _spelt(value: bytes, name: str) -> bytes:
    """Return the value of an attribute, in its quotes, as ``name`` if it means that."""
    text = html.unescape(value[1:-1].decode(errors="replace"))  # U+FFFD is in no domain
    return quoteattr(name).encode() if is_domain(text, prepare_domain(name)) else value
