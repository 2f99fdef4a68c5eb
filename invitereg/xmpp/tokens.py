"""Find where the tokens of XML end, in bytes that arrive in pieces.

expat is given whole tokens only. From 2.6 on, and in the older version of Debian 12 too, it
does not look at a token that came in pieces until much more has arrived: a client that sends
a stanza in two pieces would never get an answer. Before that, it read such a token again from
its start at every piece, which takes quadratic time.

Source: XML 1.0 §2.4 (markup), §2.5 to §2.7 (comments, instructions, CDATA), §4.1 (references).
"""

import re

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
    """Keeps the last token of an XML text in UTF-8 back until all of it has arrived.

    Text is handed on in pieces as it comes, as nobody waits for text before the tag that
    follows it. From a mistake on everything is handed on, for the parser to refuse it.

    Attributes:
        kept: how many bytes are kept back. Who reads from others bounds them.
        mistaken: what has arrived cannot be well-formed, so tokens are found no more.
    """

    def __init__(self) -> None:
        self._kept = bytearray()
        # What ends the token that is kept, and where the search for that goes on; None where
        # no token was begun, or too little of it is there to tell its kind.
        self._ending: re.Pattern[bytes] | None = None
        self._place = 0
        self.mistaken = False

    @property
    def kept(self) -> int:  # noqa: D102 - described above
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
        """Return what is kept back, as whoever asks wants no whole tokens any more."""
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
        """Go on to the end of the token; return whether it has arrived."""
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
    """Return where the token that begins at ``start`` ends, in what `WholeTokens` returned.

    Text with its references counts as one token. None is for what cannot be well-formed.
    """
    found = _TOKEN.match(data, start)
    return None if found is None else found.end()


def _end_of_whole(data: bytes | bytearray, start: int) -> int:
    """Return where the whole tokens of the usual kinds end that begin at ``start``."""
    found = _WHOLE.match(data, start)
    return found.end() if found is not None else start
