"""Find the invites in a Prosody's data folder, in files and in its SQLite database.

https://prosody.im/doc/storage

A file of its internal storage is a Lua program, ``return {…};``, that Prosody runs to load it.
Here it is only read: a value in Lua's syntax, and no more.
"""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import NoReturn, TypeAlias
from urllib.parse import unquote

from invitereg.config.messages import why_unreadable
from invitereg.errors import InvalidRequest, NotFound
from invitereg.model.names import is_domain
from invitereg.transfer.prosody import FoundInvite, NotAnInvite, account_invite, contact_invite

DATABASE = "prosody.sqlite"
_STORE = "invite_token"
_ROWS = (
    'SELECT "user", "key", "type", "value" FROM "prosody" WHERE "host" = ? AND "store" = ? '
    'ORDER BY "user", "key"'
)
_HOSTS = 'SELECT DISTINCT "host" FROM "prosody"'


def find_invites(folder: Path, domain: str, now: datetime) -> list[FoundInvite]:
    """Return all invites of a domain, also those that are over; each token once.

    Raises:
        InvalidRequest: something cannot be read; the text says where, and what is wrong.
        NotFound: there is nothing of that domain; the text says what there is.
    """
    try:
        hosts = {unquote(path.name): path for path in folder.iterdir() if path.is_dir()}
        stored = _from_database(folder / DATABASE, domain, hosts)
        if not any(is_domain(host, domain) for host in hosts):
            there = ", ".join(sorted(set(hosts) - {"_global"}))
            hint = f"only of {there}" if there else "is it Prosody's data_path?"
            raise NotFound(f"{folder} has nothing of {domain}: {hint}")
        for host, path in hosts.items():
            if is_domain(host, domain) and path.is_dir():
                stored = [*_from_files(path), *stored]
    except OSError as error:
        raise InvalidRequest(f"{error.filename or folder}: {why_unreadable(error)}") from None
    found: dict[bytes, FoundInvite] = {}
    for one in _understood(stored, domain, now):
        found.setdefault(one.digest, one)
    return list(found.values())


# Whose invites, and where they are stored: the host's own come first.
_Stored = tuple[str, str, dict[str, object]]


def _from_files(folder: Path) -> Iterator[_Stored]:
    own = folder / f"{_STORE}.dat"
    if own.exists():
        yield "", str(own), _table(own)
    users = folder / _STORE
    # Not by a pattern: that would pass over a folder which may not be read.
    for path in sorted(users.iterdir()) if users.exists() else ():
        if path.suffix == ".dat":
            yield unquote(path.stem), str(path), _table(path)


def _table(path: Path) -> dict[str, object]:
    try:
        value = read_value(path.read_bytes())
    except NotData as error:
        raise InvalidRequest(f"{path}: {error}") from None
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise InvalidRequest(f"{path}: line 1: this should be a table of tokens")
    return {str(key): stored for key, stored in value.items()}


def _from_database(path: Path, domain: str, hosts: dict[str, Path]) -> list[_Stored]:
    """Return the invites in a database; add the hosts that it has to ``hosts``."""
    if not path.exists():
        return []
    tables: dict[str, dict[str, object]] = {}
    try:
        with closing(
            sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        ) as database:
            known = [str(host) for (host,) in database.execute(_HOSTS)]
            hosts.update({host: path for host in known if host not in hosts})
            own = [host for host in known if is_domain(host, domain)]
            rows = (database.execute(_ROWS, (host, _STORE)) for host in own)
            for user, key, kind, value in chain.from_iterable(rows):
                where = f"{path}: user {user!r}" if user else str(path)
                tables.setdefault(str(user or ""), {}).update(_row(where, key, kind, value))
    except sqlite3.Error as error:
        raise InvalidRequest(f"{path}: {error}") from None
    return [(user, str(path), tables[user]) for user in sorted(tables)]


def _row(where: str, key: str, kind: str, value: str) -> dict[str, object]:
    """Return the invites in a row: one, or, if the row has no key, several."""
    try:
        read: object = json.loads(value)
    except (ValueError, TypeError, RecursionError):
        raise InvalidRequest(f"{where}: a row of type {kind} cannot be read") from None
    if key:
        return {key: read}
    return dict(read) if isinstance(read, dict) else {}


def _understood(stored: list[_Stored], domain: str, now: datetime) -> Iterator[FoundInvite]:
    for user, where, table in sorted(stored, key=lambda one: one[0] != ""):
        for token, entry in table.items():
            try:
                if user:
                    yield contact_invite(domain, user, token, entry, now)
                else:
                    yield account_invite(domain, token, entry)
            except NotAnInvite as error:
                raise InvalidRequest(f"{where}: {_hidden(token)}: {error}") from None


def _hidden(token: str) -> str:
    """Return as much of a token as tells which it is, and opens nothing."""
    return f"the invite {re.sub(r'[^A-Za-z0-9_-]', '?', token[:4])}…"


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
    """Return the value that a file returns; a list is a dict with the keys 1, 2 and so on.

    Raises:
        NotData: it is no such file.
    """
    return _LuaReader(source).read()


class _LuaReader:
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
