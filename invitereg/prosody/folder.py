"""Finds the invites in a Prosody's data folder, in files and in its SQLite database.

https://prosody.im/doc/storage
"""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from invitereg.config.reading import why_unreadable
from invitereg.errors import InvalidRequest, NotFound
from invitereg.model.names import is_domain
from invitereg.prosody.invites import Found, NotAnInvite, account_invite, contact_invite
from invitereg.prosody.lua import NotData, read_value

DATABASE = "prosody.sqlite"
_STORE = "invite_token"
_ROWS = (
    'SELECT "user", "key", "type", "value" FROM "prosody" WHERE "host" = ? AND "store" = ? '
    'ORDER BY "user", "key"'
)
_HOSTS = 'SELECT DISTINCT "host" FROM "prosody"'


def find_invites(folder: Path, domain: str, now: datetime) -> list[Found]:
    """All invites of a domain, also those that are over; each token once.

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
    found: dict[bytes, Found] = {}
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
    """The invites in a database; adds the hosts that it knows."""
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
            for user, key, kind, value in _rows(database, own):
                where = f"{path}: user {user!r}" if user else str(path)
                tables.setdefault(str(user or ""), {}).update(_row(where, key, kind, value))
    except sqlite3.Error as error:
        raise InvalidRequest(f"{path}: {error}") from None
    return [(user, str(path), tables[user]) for user in sorted(tables)]


def _rows(database: sqlite3.Connection, hosts: list[str]) -> Iterator[tuple[Any, ...]]:
    for host in hosts:
        yield from database.execute(_ROWS, (host, _STORE))


def _row(where: str, key: str, kind: str, value: str) -> dict[str, object]:
    """A row: one token, or, without a key, all that are not like the others."""
    try:
        read: object = json.loads(value)
    except (ValueError, TypeError, RecursionError):
        raise InvalidRequest(f"{where}: a row of type {kind} cannot be read") from None
    if key:
        return {key: read}
    return dict(read) if isinstance(read, dict) else {}


def _understood(stored: list[_Stored], domain: str, now: datetime) -> Iterator[Found]:
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
    """So much of a token as shows which it is, and opens nothing."""
    return f"the invite {re.sub(r'[^A-Za-z0-9_-]', '?', token[:4])}…"
