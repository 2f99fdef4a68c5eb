"""Reads the files that Prosody's internal storage writes: a value in Lua's syntax, and no more.

Such a file is a Lua program, ``return {…};``, that Prosody runs to load it. Here it is only
parsed: tables of constants, as its ``util.serialization`` writes them; all else is an error.
https://www.lua.org/manual/5.4/manual.html#3.1
"""

import re
from typing import NoReturn, TypeAlias

Key: TypeAlias = str | int | float | bool
Value: TypeAlias = "str | int | float | bool | dict[Key, Value] | None"

MAX_DEPTH = 50
_TOKEN = re.compile(
    rb"""[ \t\r\n\f\v]*(?:--(?!\[)[^\n]*(?:\n[ \t\r\n\f\v]*|\Z))*(?:
        (?P<text>"(?:[^"\\\n\r]|\\(?:\r\n|.|\n))*")
      | (?P<number>-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?(?![0-9A-Za-z_.]))
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<mark>[][{}=;,])
      | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(rb"\\(?:([0-9]{1,3})|(\r\n|.))", re.DOTALL)
_LETTERS = {
    **{bytes([code]): bytes([code]) for code in b"\"'\\\n"},
    **dict(zip(map(bytes, zip(b"abfnrtv")), map(bytes, zip(b"\a\b\f\n\r\t\v")), strict=True)),
}
_CONSTANTS: dict[bytes, bool | None] = {b"true": True, b"false": False, b"nil": None}


class NotData(Exception):
    """The file is not what Prosody writes; the text says why, after ``line``, from 1."""

    def __init__(self, line: int, text: str) -> None:
        self.line = line
        super().__init__(f"line {line}: {text}")


def read_value(source: bytes) -> Value:
    """The value that a file returns; a list is a table with the keys 1, 2 and so on.

    Raises:
        NotData: it is no such file.
    """
    return _Reader(source).read()


class _Reader:
    def __init__(self, source: bytes) -> None:
        self._source = source
        self._place = 0
        self._start = 0
        self._kind, self._text = "", b""
        self._next()

    def read(self) -> Value:
        if (self._kind, self._text) != ("name", b"return"):
            self._wrong("this should begin with return")
        self._next()
        value = self._value(0)
        self._take(b";")
        if self._kind != "end":
            self._wrong("there is more after the value")
        return value

    def _value(self, depth: int) -> Value:
        kind, text = self._kind, self._text
        if text == b"{" and kind == "mark":
            return self._table(depth + 1)
        value: Value = None
        if kind == "text":
            value = self._string(text[1:-1])
        elif kind == "number":
            value = _number(text)
        elif kind == "name" and text in _CONSTANTS:
            value = _CONSTANTS[text]
        else:
            self._wrong("here should be a value")
        self._next()
        return value

    def _table(self, depth: int) -> dict[Key, Value]:
        if depth > MAX_DEPTH:
            self._wrong("tables are nested too deep")
        self._next()
        table: dict[Key, Value] = {}
        number = 1
        while not self._take(b"}"):
            key: Value = number
            if self._take(b"["):
                key = self._value(depth)
                self._need(b"]")
                self._need(b"=")
            elif self._kind == "name" and self._text not in _CONSTANTS:
                key = self._text.decode()
                self._next()
                self._need(b"=")
            else:
                number += 1
            if isinstance(key, dict) or key is None:
                self._wrong("that can be no key")
            if key in table:
                self._wrong("that key is there twice")
            table[key] = self._value(depth)
            if not (self._take(b";") or self._take(b",") or self._text == b"}"):
                self._wrong("here should be ; or }")
        return table

    def _string(self, text: bytes) -> str:
        def plain(match: re.Match[bytes]) -> bytes:
            code, letter = match.groups()
            if code is not None and int(code) < 256:
                return bytes([int(code)])
            if letter not in _LETTERS:
                self._wrong("that escape is unknown")
            return _LETTERS[letter]

        try:
            return _ESCAPE.sub(plain, text).decode()
        except UnicodeDecodeError:
            self._wrong("the text is not UTF-8")

    def _take(self, mark: bytes) -> bool:
        """Go on if this is the mark."""
        if self._kind != "mark" or self._text != mark:
            return False
        self._next()
        return True

    def _need(self, mark: bytes) -> None:
        if not self._take(mark):
            self._wrong(f"here should be {mark.decode()}")

    def _next(self) -> None:
        match = _TOKEN.match(self._source, self._place)
        if match is None:
            rest = self._source[self._place :]
            self._start = len(self._source) - len(rest.lstrip())
            self._wrong("this is no data")
        self._kind = match.lastgroup or ""
        self._start, self._place = match.span(self._kind)
        self._text = match[self._kind]

    def _wrong(self, text: str) -> NoReturn:
        raise NotData(self._source.count(b"\n", 0, self._start) + 1, text)


def _number(text: bytes) -> int | float:
    return int(text) if re.fullmatch(rb"-?[0-9]{1,18}", text) else float(text)
