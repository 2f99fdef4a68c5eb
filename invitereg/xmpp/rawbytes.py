"""The bytes of a stream beside what they were parsed to, for handing them on as they came."""

_QUOTES = (0x22, 0x27)
_END = 0x3E


class RawBytes:
    """Bytes of one stream, by their place in it; those not needed any more are forgotten."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._first = 0  # place of the first byte kept

    def append(self, data: bytes) -> None:
        """Keep what has arrived."""
        self._kept += data

    def forget(self, before: int) -> None:
        """Keep nothing that came before a place."""
        if before > self._first:
            del self._kept[: before - self._first]
            self._first = before

    def since(self, place: int) -> bytes:
        """Everything from a place on."""
        return bytes(self._kept[max(0, place - self._first) :])

    def start_tag_end(self, start: int) -> int:
        """The place after the start tag that begins at ``start``; it is complete."""
        quote = None
        for place in range(start - self._first, len(self._kept)):
            byte = self._kept[place]
            if quote is not None:
                quote = None if byte == quote else quote
            elif byte in _QUOTES:
                quote = byte
            elif byte == _END:
                return self._first + place + 1
        raise ValueError("the tag is not complete")
