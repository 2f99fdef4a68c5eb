"""An XML parser for a component's stream, which passes over what strangers write too big.

What a server lets through would end the connection, with everybody's requests on it, or take
seconds to build: whoever may write to the component could keep it from working.
"""

from collections.abc import Callable, Mapping

from invitereg.xmpp.parser import ElementStream

MAX_DEPTH = 32
MAX_ELEMENTS, MAX_EXPECTED_ELEMENTS = 1000, 100_000
"""How many elements a stanza may have: anybody's, and an answer to what was asked."""
_TEXT_BYTES = 64 * 1024
_STANZA = 2


class SkippingElementStream(ElementStream):
    """Parses a stream header and its stanzas; one that is too big is as if it had not come.

    Attributes:
        is_expected: tells by a stanza's attributes whether it is an answer that is waited for.
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
            self._skip()
        if not self._skips:
            super()._onStartElement(name, attrs)

    def _skip(self) -> None:
        self._skips = True
        self.currElem = None

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
