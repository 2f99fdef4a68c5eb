"""Read the top-level elements of a stream as it passes, without keeping what is in them.

For whoever relays a stream and must know what goes by: that a login has succeeded, say. Either
direction can be read, each by a reader of its own, from the stream header on.

Source: RFC 6120 §4.2 (a new header after a login), §4.9.3 (stream errors), §11.1 (prohibited
XML); Namespaces in XML 1.0.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from xml.parsers import expat

from twisted.words.protocols.jabber.error import StreamError
from twisted.words.protocols.jabber.xmlstream import NS_STREAMS

from invitereg.xmpp.parser import WholeTokens, check_declaration, end_of_token

MAX_TOKEN = 64 * 1024
"""Bytes of one tag, or of another piece of markup."""
MAX_RAW = 16 * 1024
"""Bytes of an element whose own bytes are asked for."""
# expat remembers every name that it has met. After so many bytes there is a new one.
_RENEW_AFTER = 64 * 1024
_CDATA = b"<![CDATA["
_DECLARATION = re.compile(rb"<\?xml[ \t\r\n][^?]*\?>")
_HEADER = f"{NS_STREAMS} stream"  # as expat writes it


@dataclass(frozen=True, slots=True)
class TopLevelElement:
    """A child of the stream's root.

    Attributes:
        uri: its namespace; "" is none.
        name: its local name.
        attributes: by name; those in a namespace as "NAMESPACE NAME".
        raw: its bytes from the start tag to the end tag, where they were asked for and are
            not more than `MAX_RAW`; in the namespaces of its stream header.
    """

    uri: str
    name: str
    attributes: Mapping[str, str]
    raw: bytes | None = None


class TopLevelReader:
    """Finds the top-level elements of one direction of a stream.

    A new stream header where an element could be, with or without an XML declaration, begins
    the stream again, as after SASL. The time taken is linear in the bytes; in memory are one
    unfinished tag, the stream header, and the bytes of an element that are asked for.

    What is inside an element is not judged, but for tags that are opened and closed: whoever
    the stream is for refuses the rest.
    """

    def __init__(
        self, wants_raw: Callable[[TopLevelElement], bool] = lambda _element: False
    ) -> None:
        """Prepare for a stream header.

        ``wants_raw`` is asked at each element's start tag whether its bytes are to be kept.
        """
        self._wants_raw = wants_raw
        self._tokens = WholeTokens()
        self._header = b""
        self._found: TopLevelElement | None = None
        self._raw: bytearray | None = None
        self._depth = self._parsed = 0
        self._begin()

    @property
    def between(self) -> bool:
        """Whether the last byte was between two top-level elements, where others may be put."""
        return self._depth == 1 and not self._tokens.kept

    def read(self, data: bytes) -> Iterator[TopLevelElement]:
        """Take the next bytes; yields each element as soon as it is complete.

        Go on to the end, or never call it again.

        Raises:
            StreamError: it is no XMPP: not-well-formed, restricted-xml, bad-format,
                invalid-namespace, unsupported-encoding, or policy-violation for a tag that is
                too long. No more can be read.
        """
        whole = self._tokens.take(data)
        if self._tokens.kept > MAX_TOKEN:
            raise StreamError("policy-violation", "a tag is too long")
        place = 0
        while place < len(whole):
            end = end_of_token(whole, place)
            if end is None:
                raise StreamError("not-well-formed")
            element = self._take(whole[place:end])
            place = end
            if element is not None:
                yield element

    def _take(self, token: bytes) -> TopLevelElement | None:
        """Take a token; return the element that it completes."""
        if self._raw is not None:
            self._raw += token
            if len(self._raw) > MAX_RAW:
                self._raw = None
        if token.startswith(_CDATA):
            self._text(token[len(_CDATA) : -3])
        elif not token.startswith(b"<"):
            self._text(token)
        elif token.startswith((b"<?", b"<!")):
            self._restart(token)
        elif token.startswith(b"</"):
            return self._end_tag(token)
        else:
            return self._start_tag(token)
        return None

    def _text(self, text: bytes) -> None:
        if self._depth <= 1 and text.strip(b" \t\r\n"):
            raise StreamError("bad-format", "text between stanzas")

    def _restart(self, token: bytes) -> None:
        if self._depth > 1 or not _DECLARATION.fullmatch(token):
            raise StreamError("restricted-xml")
        self._begin()
        self._parse(token)

    def _start_tag(self, tag: bytes) -> TopLevelElement | None:
        if self._depth <= 1:
            self._open(tag)
        if not tag.endswith(b"/>"):
            self._depth += 1
            return None
        return self._complete() if self._depth == 1 else None

    def _end_tag(self, tag: bytes) -> TopLevelElement | None:
        self._depth -= 1
        if self._depth <= 1:
            self._parse(tag)
        return self._complete() if self._depth == 1 else None

    def _open(self, tag: bytes) -> None:
        """Find out what begins with a tag of the root or one of its children."""
        if self._depth and self._parsed > _RENEW_AFTER:
            self._begin_again(self._header)
        found = self._resolve(tag)
        if f"{found.uri} {found.name}" == _HEADER:
            if self._depth:
                self._begin_again(tag)
                self._depth = 0
            self._header = tag
        elif not self._depth:
            raise StreamError("bad-format" if found.uri == NS_STREAMS else "invalid-namespace")
        elif self._wants_raw(found):
            self._raw = bytearray(tag)
        self._found = found

    def _resolve(self, tag: bytes) -> TopLevelElement:
        self._found = None
        self._parse(tag)
        if self._found is None:
            raise StreamError("not-well-formed")
        return self._found

    def _complete(self) -> TopLevelElement | None:
        found, self._found = self._found, None
        raw, self._raw = self._raw, None
        if found is None or raw is None:
            return found
        return replace(found, raw=bytes(raw))

    # --- the root's tags and its children's, of which expat knows what they mean

    def _begin(self) -> None:
        self._depth = 0
        self._parsed = 0
        self._parser = expat.ParserCreate("UTF-8", " ")
        self._parser.XmlDeclHandler = check_declaration

    def _begin_again(self, header: bytes) -> None:
        self._begin()
        self._parse(header)
        self._parsed = 0
        self._depth = 1

    def _parse(self, token: bytes) -> None:
        self._parsed += len(token)
        self._parser.StartElementHandler = self._on_start
        try:
            self._parser.Parse(token)
        except expat.ExpatError:
            raise StreamError("not-well-formed") from None
        finally:
            # It would refer to us, and we to it, for as long as the collector has not come.
            self._parser.StartElementHandler = None

    def _on_start(self, name: str, attributes: dict[str, str]) -> None:
        uri, _, local = name.rpartition(" ")
        self._found = TopLevelElement(uri, local, attributes)
