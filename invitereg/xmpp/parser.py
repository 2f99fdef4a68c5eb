"""XML parsers for streams of strangers: limited, restricted, and able to be silenced.

expat is given whole tokens only. From 2.6 on, and in the older version of Debian 12 too, it
does not look at a token that arrives in pieces until much more data is there: a client that
sends a stanza in two pieces would never get an answer. Older versions read such a token again
from its start at every piece, which takes quadratic time.

Source: RFC 6120 §4.9.3 (stream errors), §11.1 (prohibited XML), §11.6 (encoding); XML 1.0 §2.4
(markup), §2.5 to §2.7 (comments, instructions, CDATA), §4.1 (references).
"""

import re
from collections.abc import Callable, Mapping
from xml.parsers.expat import ParserCreate

from twisted.words.protocols.jabber.error import StreamError
from twisted.words.xish import domish

from invitereg.model.namespaces import NS_XML

# As many whole tokens as there are, of the usual kinds. No part of it can match in two ways, so
# it takes linear time.
_WHOLE = re.compile(
    rb"""(?: [^<&]+
        | <[^!?'"<>] [^'"<>]* (?:'[^'<]*' [^'"<>]* | "[^"<]*" [^'"<>]*)* >
        | &[^;<&'"\s]*;
        )*""",
    re.VERBOSE,
)
_TOKEN = re.compile(
    rb"""[^<]+
        | <!\[CDATA\[ .*? \]\]> | <! .* | <\? .*? \?>
        | <[^!?'"<>] [^'"<>]* (?:'[^'<]*' [^'"<>]* | "[^"<]*" [^'"<>]*)* >""",
    re.VERBOSE | re.DOTALL,
)
# What ends any other token. A "<" in a tag or a reference without ";" is a mistake, which the
# parser shall see at once.
_SPECIAL = {
    b"<!--": re.compile(rb"-->"),
    b"<![CDATA[": re.compile(rb"\]\]>"),
    b"<?": re.compile(rb"\?>"),
}
_LONGEST_START, _LONGEST_END = 9, 3
_REFERENCE = re.compile(rb""";|(?=[<&'"\s])""")
_TAG = re.compile(rb"""[<>'"]""")
_SINGLE, _DOUBLE = re.compile(rb"[<']"), re.compile(rb'[<"]')
# What cannot begin a name, after "<" or "&"; and what ends a search with a mistake.
_NO_NAMES = (b"<", b">", b"'", b'"', b"&", b";", b"=", b" ", b"\t", b"\r", b"\n")
_MISTAKES = (b"<", b"")
# What is searched for next, after what was found; nothing where the token has ended.
_NEXT = {
    (_TAG, b"'"): _SINGLE,
    (_TAG, b'"'): _DOUBLE,
    (_SINGLE, b"'"): _TAG,
    (_DOUBLE, b'"'): _TAG,
}


class WholeTokens:
    """Keep back the last token of an XML text in UTF-8 until all of it has arrived.

    Text is passed on as it arrives, because nothing is done with text before the tag that
    follows it. After a mistake everything is passed on, so that the parser reports it.

    Attributes:
        kept: the number of bytes that are kept back; the caller limits it.
        mistaken: whether the text cannot be well-formed; no tokens are found any more.
    """

    def __init__(self) -> None:
        self._kept = bytearray()
        # What ends the token that is kept, and where the search for that goes on; None where
        # no token was begun, or too little of it is there to tell its kind.
        self._ending: re.Pattern[bytes] | None = None
        self._place = 0
        self.mistaken = False

    @property
    def kept(self) -> int:
        return len(self._kept)

    def take(self, data: bytes) -> bytes:
        """Add what has arrived; return everything up to the end of the last whole token."""
        if self.mistaken or (not self._kept and _end_of_whole(data, 0) == len(data)):
            return data
        self._kept += data
        end = 0
        while True:
            if self._ending is None:
                end = _end_of_whole(self._kept, end)
                self._begin(end)
            if self._ending is None or not self._find_end():
                break
            end = self._place
        if self.mistaken:
            end = len(self._kept)
        whole = bytes(self._kept[:end])
        del self._kept[:end]
        self._place -= end
        return whole

    def rest(self) -> bytes:
        """Return the bytes kept back, for a caller that needs no whole tokens any more."""
        rest = bytes(self._kept)
        self._kept.clear()
        return rest

    def _begin(self, start: int) -> None:
        """Set what ends the token that begins at ``start``."""
        head = bytes(self._kept[start : start + _LONGEST_START])
        for opening, ending in _SPECIAL.items():
            if head.startswith(opening):
                self._ending, self._place = ending, start + len(opening)
                return
            if opening.startswith(head):
                return
        if head[1:2] in _NO_NAMES:
            self.mistaken = True
            return
        self._ending = _REFERENCE if head.startswith(b"&") else _TAG
        self._place = start + 1

    def _find_end(self) -> bool:
        """Search for the end of the token; return whether it has arrived."""
        while self._ending is not None:
            found = self._ending.search(self._kept, self._place)
            if found is None:
                # An end that came in part is found when the rest is there.
                self._place = max(self._place, len(self._kept) - _LONGEST_END + 1)
                return False
            self._place = found.end()
            if found.group() in _MISTAKES:
                self.mistaken = True
                return False
            self._ending = _NEXT.get((self._ending, found.group()))
        return True


def end_of_token(data: bytes, start: int) -> int | None:
    """Return the end of the token that begins at ``start``, in data from `WholeTokens`.

    Text with its references counts as one token. None means that the data is not well-formed.
    """
    found = _TOKEN.match(data, start)
    return None if found is None else found.end()


def check_declaration(_version: str, encoding: str | None, _standalone: int) -> None:
    """Raise StreamError if an XML declaration names another encoding than UTF-8."""
    if encoding is not None and encoding.lower() != "utf-8":
        raise StreamError("unsupported-encoding")


def _end_of_whole(data: bytes | bytearray, start: int) -> int:
    """Return the end of the whole tokens that begin at ``start``."""
    found = _WHOLE.match(data, start)
    return found.end() if found is not None else start


# Twisted writes the names of namespaces as they are, without escaping them: in these characters
# there could be whole stanzas. No namespace in use has any.
_NOT_IN_NAMESPACES = re.compile(r"[<>&'\"\x00-\x20]")
# How much of a stanza's end tag may have arrived before it is complete.
_END_TAG_BYTES = 64
# Characters of a namespace, as each name that is in it is parsed together with it. All of a
# stream header have as many together: each stanza may use them, and is written with them.
MAX_NAMESPACE = 1024
# Elements and attributes of a stanza: each takes a hundred times the memory of its few bytes.
MAX_NODES = 8192
_LANGUAGE = f"{NS_XML} lang"  # as expat writes xml:lang


# expat keeps every name that it has met for as long as it lives: after so many bytes there is a
# new one.
_RENEW_AFTER = 256 * 1024
# Python gives expat more than this in pieces, whatever it is given.
_AT_ONCE = 1024 * 1024
_HANDLERS = (
    "XmlDeclHandler",
    "StartDoctypeDeclHandler",
    "ProcessingInstructionHandler",
    "CommentHandler",
    "StartElementHandler",
    "EndElementHandler",
    "CharacterDataHandler",
    "StartNamespaceDeclHandler",
    "EndNamespaceDeclHandler",
)


class ElementStream(domish.ExpatElementStream):
    """Parse a stream header and stanzas; each stanza is passed on as soon as it is complete.

    Raises (from `parse`):
        domish.ParserError: the XML is not well-formed, or a stanza or a tag is too big.
    """

    def __init__(self) -> None:
        super().__init__()
        self._tokens = WholeTokens()
        self._depth = 0
        self._header = b""
        # How much has been parsed, and where that is from which the parser counts.
        self._parsed = self._renewed = self._first = 0
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end

    def parse(self, buffer: bytes) -> None:
        whole = self._tokens.take(buffer)
        self.stanzaSize += len(whole)
        try:
            self._parse_whole(whole)
        except self.error as error:
            raise domish.ParserError(str(error)) from None
        if self.stanzaSize + self._tokens.kept > self.maxStanzaSize:
            raise domish.ParserError("Maximum stanza size exceeded")
        if self._tokens.kept > _AT_ONCE:
            raise domish.ParserError("a tag is too long")

    @property
    def _index(self) -> int:
        """The index in the stream of what expat is parsing now."""
        return int(self._first + self.parser.CurrentByteIndex)

    def _parse_whole(self, data: bytes) -> None:
        place = 0
        if not self._depth:
            place = self._parse_until_between(data)
            self._header += data[:place]
        elif self._parsed - self._renewed > _RENEW_AFTER:
            place = self._parse_until_between(data)
            if self._depth == 1:
                self._renew()
        if len(data) - place > _AT_ONCE:
            while place < len(data):
                place = self._parse_token(data, place)
        else:
            self._parse_some(data[place:])

    def _parse_until_between(self, data: bytes) -> int:
        """Parse until no stanza is open; return how many bytes of ``data`` were parsed."""
        place = 0
        while place < len(data) and self._depth != 1:
            place = self._parse_token(data, place)
        return place

    def _parse_token(self, data: bytes, start: int) -> int:
        """Parse the token that begins at ``start``; return its end."""
        end = end_of_token(data, start) or len(data)
        self._parse_some(data[start:end])
        return end

    def _parse_some(self, data: bytes) -> None:
        self._parsed += len(data)
        self.parser.Parse(data)

    def _renew(self) -> None:
        """Replace expat by a new parser, which has seen the stream header only."""
        old, new = self.parser, ParserCreate("UTF-8", " ")
        new.Parse(self._header)
        new.buffer_text, new.buffer_size = old.buffer_text, old.buffer_size
        for handler in _HANDLERS:
            setattr(new, handler, getattr(old, handler))
            setattr(old, handler, None)
        self.parser = new
        self._renewed = self._parsed
        self._first = self._parsed - len(self._header)

    def _start(self, name: str, attrs: dict[str, str]) -> None:
        self._depth += 1
        self._onStartElement(name, attrs)

    def _end(self, name: str) -> None:
        self._depth -= 1
        self._onEndElement(name)


class BoundedElementStream(ElementStream):
    """Parse a client's stream header and stanzas, within limits.

    Twisted's own parser limits what is between two chunks only; this one limits every stanza
    exactly, wherever the chunks end.

    Attributes:
        max_bytes: the most bytes of a stanza without its end tag, or of the stream header.
        max_depth: the most levels of elements in a stanza; the stanza itself is the first.
        started: index of the first byte of the last stanza, or of the stream's end tag.
        boundary: index before which everything is complete.
        language: the ``xml:lang`` of the stream header, or "" (RFC 6120 §4.7.4).

    Raises (from `parse`):
        StreamError: with the condition that says what is wrong.
    """

    def __init__(self, max_bytes: int, max_depth: int) -> None:
        super().__init__()
        self.max_bytes = max_bytes
        self.max_depth = max_depth
        self.started = 0
        self.language = ""
        self._header_namespaces = 0
        self._nodes = 0
        self._received = 0
        self.boundary = 0
        self.parser.XmlDeclHandler = check_declaration
        self.parser.StartDoctypeDeclHandler = self._on_restricted
        self.parser.ProcessingInstructionHandler = self._on_restricted
        self.parser.CommentHandler = self._on_restricted

    def parse(self, buffer: bytes) -> None:
        if not self._depth and (b"\0" in buffer or buffer[:1] in (b"\xfe", b"\xff")):
            # expat would read UTF-16, even if told that it is UTF-8.
            raise StreamError("unsupported-encoding")
        self._received += len(buffer)
        try:
            self._parse_whole(self._tokens.take(buffer))
        except self.error:
            raise StreamError("not-well-formed") from None
        self._check_size(self._received - _END_TAG_BYTES)

    def silence(self) -> None:
        """Pass nothing on any more, not even what is left of the chunk that is being parsed."""
        for handler in _HANDLERS:
            setattr(self.parser, handler, None)
        self.DocumentStartEvent = self.ElementEvent = self.DocumentEndEvent = None

    def _check_size(self, end: int) -> None:
        if end - self.boundary > self.max_bytes:
            raise StreamError("policy-violation", "stanza too big")

    def _on_restricted(self, *_arguments: object) -> None:
        raise StreamError("restricted-xml")

    def _onStartNamespace(self, prefix: str | None, uri: str | None) -> None:
        if uri is not None and _NOT_IN_NAMESPACES.search(uri):
            raise StreamError("not-well-formed", "a namespace with forbidden characters")
        length = len(uri or "")
        if not self._depth:
            self._header_namespaces = length = self._header_namespaces + length
        if length > MAX_NAMESPACE:
            raise StreamError("policy-violation", "namespace too long")
        # Of prefixes nothing is remembered, as all names are resolved here. Twisted would write
        # them again where they mean something else; without them it chooses its own.
        if prefix is None:
            super()._onStartNamespace(prefix, uri)

    def _onEndNamespace(self, prefix: str | None) -> None:
        if prefix is None:
            super()._onEndNamespace(prefix)

    def _onStartElement(self, name: str, attrs: dict[str, str]) -> None:
        if self._depth == 1:
            self.language = attrs.get(_LANGUAGE, "")
        if self._depth == 2:
            self._check_size(self._index)
            self.started = self.boundary = self._index
            self._nodes = 0
            # Text comes in a piece per line and entity, and domish joins them one by one.
            self.parser.buffer_text = True
        if self._depth > self.max_depth + 1:
            raise StreamError("policy-violation", "stanza too deep")
        self._nodes += 1 + len(attrs)
        if self._nodes > MAX_NODES:
            raise StreamError("policy-violation", "too many elements and attributes")
        super()._onStartElement(name, attrs)

    def _onEndElement(self, name: str) -> None:
        if self._depth == 1:
            self._check_size(self._index)
            self.boundary = self._index
            self.parser.buffer_text = False
        elif not self._depth:
            self.started = self._index
        super()._onEndElement(name)

    def _onCdata(self, data: str) -> None:
        if self._depth == 1:
            if data.strip(" \t\r\n"):
                raise StreamError("bad-format", "text between stanzas")
            self.boundary = self._index
        super()._onCdata(data)


MAX_DEPTH = 32
MAX_ELEMENTS, MAX_EXPECTED_ELEMENTS = 1000, 100_000
"""The most elements of a stanza that anybody sends, and of a response to a request."""
_TEXT_BYTES = 64 * 1024
_STANZA = 2


class RecordingElementStream(BoundedElementStream):
    """Keeps the bytes that it parses, so that they can be handed on as they came.

    Places in the stream are indexes, as `started` is.
    """

    def __init__(self, max_bytes: int, max_depth: int) -> None:
        super().__init__(max_bytes, max_depth)
        self._kept: bytearray | None = bytearray()
        self._forgotten = 0

    def parse(self, buffer: bytes) -> None:
        if self._kept is not None:
            self._kept += buffer
        super().parse(buffer)

    def since(self, index: int) -> bytes:
        """Return the bytes from an index on, as far as they are kept."""
        return bytes((self._kept or b"")[max(0, index - self._forgotten) :])

    def tag_end(self) -> int:
        """Return the index after the tag that is being parsed."""
        start = self._index - self._forgotten
        return self._forgotten + (end_of_token(bytes(self._kept or b""), start) or start)

    def forget(self) -> None:
        """Forget all bytes but those of what is not complete yet."""
        if self._kept is not None:
            del self._kept[: self.boundary - self._forgotten]
            self._forgotten = self.boundary

    def stop_recording(self) -> None:
        """Keep no bytes any more."""
        self._kept = None


class SkippingElementStream(ElementStream):
    """Parse the stream of a component, and drop stanzas that are too big.

    A component reads what strangers write through its server. A stanza that is too big would
    end the connection, with everybody's requests on it, or take seconds to build.

    Attributes:
        is_expected: tells by a stanza's attributes whether it is the response to a request.
    """

    def __init__(self) -> None:
        super().__init__()
        # Text comes in a piece per line and entity otherwise, and domish joins them one by one.
        self.parser.buffer_text = True
        self.parser.buffer_size = _TEXT_BYTES
        self.maxElementCount = MAX_EXPECTED_ELEMENTS + 1  # ours comes first, and ends nothing
        self.is_expected: Callable[[Mapping[str, str]], bool] = lambda _attributes: False
        self._left = 0
        self._skips = False

    def _onStartElement(self, name: str, attrs: dict[str, str]) -> None:
        if self._depth < _STANZA:
            # Nobody asks for it, and Twisted raises an error where it is no JID.
            attrs.pop("from", None)
        elif self._depth == _STANZA:
            self._left = MAX_EXPECTED_ELEMENTS if self.is_expected(attrs) else MAX_ELEMENTS
        self._left -= self._depth >= _STANZA
        if not self._skips and (self._left < 0 or self._depth > MAX_DEPTH):
            self._skips, self.currElem = True, None
        if not self._skips:
            super()._onStartElement(name, attrs)

    def _onEndElement(self, name: str) -> None:
        if not self._skips:
            super()._onEndElement(name)
        elif self._depth < _STANZA:
            self._skips = False
            self.elementCount = self.stanzaSize = 0
            self.localPrefixes = {}

    def _onCdata(self, data: str) -> None:
        if not self._skips:
            super()._onCdata(data)
