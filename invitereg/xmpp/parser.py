"""An XML parser for streams from strangers: bounded, restricted, and it can be silenced.

Source: RFC 6120 §4.9.3 (stream errors), §11.1 (prohibited XML), §11.6 (encoding).
"""

import re
from typing import Any

from twisted.words.protocols.jabber.error import StreamError
from twisted.words.xish import domish

from invitereg.xmpp.tokens import WholeTokens

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
_LANGUAGE = "http://www.w3.org/XML/1998/namespace lang"  # as expat writes xml:lang


class ElementStream(domish.ExpatElementStream):
    """Parses a stream header and its stanzas as they arrive, each as soon as it is complete.

    Raises (from `parse`):
        domish.ParserError: it is not well-formed, or a stanza is too big.
    """

    def __init__(self) -> None:
        super().__init__()
        self._tokens = WholeTokens()

    def parse(self, buffer: bytes) -> None:
        """Take the next bytes of the stream."""
        super().parse(self._tokens.take(buffer))
        if self._tokens.kept > self.maxStanzaSize:
            raise domish.ParserError("Maximum stanza size exceeded")


class BoundedElementStream(ElementStream):
    """Parses a stream header and its stanzas as they arrive.

    Twisted's own parser bounds what is between two chunks only; this one bounds every stanza
    exactly, wherever the chunks end.

    Attributes:
        max_bytes: how long a stanza up to its end tag, or the stream header, may be.
        max_depth: how many levels of elements a stanza may have; the stanza is the first.
        started: index of the first byte of the last stanza that began, or of the end tag of
            the stream.
        boundary: index that no byte before it, of whatever is not complete yet, has.
        language: the ``xml:lang`` of the stream header, or "" (RFC 6120 §4.7.4).

    Raises (from `parse`):
        StreamError: with the condition that describes what is wrong.
    """

    def __init__(self, max_bytes: int, max_depth: int) -> None:
        super().__init__()
        self.max_bytes = max_bytes
        self.max_depth = max_depth
        self.started = 0
        self.language = ""
        self._depth = 0
        self._header_namespaces = 0
        self._nodes = 0
        self._received = 0
        self.boundary = 0
        self.parser.XmlDeclHandler = self._on_declaration
        self.parser.StartDoctypeDeclHandler = self._on_restricted
        self.parser.ProcessingInstructionHandler = self._on_restricted
        self.parser.CommentHandler = self._on_restricted

    def parse(self, buffer: bytes) -> None:
        """Take the next bytes of the stream."""
        if not self._depth and (b"\0" in buffer or buffer[:1] in (b"\xfe", b"\xff")):
            # expat would read UTF-16, even if told that it is UTF-8.
            raise StreamError("unsupported-encoding")
        self._received += len(buffer)
        try:
            self.parser.Parse(self._tokens.take(buffer))
        except self.error:
            raise StreamError("not-well-formed") from None
        self._check_size(self._received - _END_TAG_BYTES)

    def silence(self) -> None:
        """Act on nothing that is parsed from now on, not even later in the same chunk."""
        for handler in (
            "XmlDeclHandler",
            "StartDoctypeDeclHandler",
            "ProcessingInstructionHandler",
            "CommentHandler",
            "StartElementHandler",
            "EndElementHandler",
            "CharacterDataHandler",
            "StartNamespaceDeclHandler",
            "EndNamespaceDeclHandler",
        ):
            setattr(self.parser, handler, None)
        self.DocumentStartEvent = self.ElementEvent = self.DocumentEndEvent = None

    def _check_size(self, end: int) -> None:
        if end - self.boundary > self.max_bytes:
            raise StreamError("policy-violation", "stanza too big")

    def _on_declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() != "utf-8":
            raise StreamError("unsupported-encoding")

    def _on_restricted(self, *_arguments: Any) -> None:
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
        self._depth += 1
        if self._depth == 1:
            self.language = attrs.get(_LANGUAGE, "")
        if self._depth == 2:
            self._check_size(self.parser.CurrentByteIndex)
            self.started = self.boundary = self.parser.CurrentByteIndex
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
        self._depth -= 1
        if self._depth == 1:
            self._check_size(self.parser.CurrentByteIndex)
            self.boundary = self.parser.CurrentByteIndex
            self.parser.buffer_text = False
        elif not self._depth:
            self.started = self.parser.CurrentByteIndex
        super()._onEndElement(name)

    def _onCdata(self, data: str) -> None:
        if self._depth == 1:
            if data.strip(" \t\r\n"):
                raise StreamError("bad-format", "text between stanzas")
            self.boundary = self.parser.CurrentByteIndex
        super()._onCdata(data)
