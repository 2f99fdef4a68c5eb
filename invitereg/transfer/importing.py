"""Read what `invitereg.transfer.exporting` wrote: all of it or nothing, and nothing twice."""

from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Insert, Select, Table, bindparam, exists, func, insert, select, update
from sqlalchemy.engine import Connection

from invitereg.errors import InvalidRequest, Refused, UsernameReserved, UsernameTaken
from invitereg.model.accounts import Account
from invitereg.model.invites import Invite, Kind
from invitereg.store import accounts, names
from invitereg.store.schema import REVISIONS
from invitereg.store.statements import insert_new
from invitereg.store.tables import accounts as accounts_table
from invitereg.store.tables import api_keys, invites, notices, roster_items, settings, uses
from invitereg.store.tables import names as names_table
from invitereg.transfer.format import (
    COUNTED,
    FORMAT,
    AccountLine,
    DeletedLine,
    End,
    InviteLine,
    KeyLine,
    Malformed,
    NoticeLine,
    RosterItemLine,
    ServerKey,
    UseLine,
    read_header,
    read_line,
)

_ADD_INVITE = insert_new(invites)
_ADD_ACCOUNT = insert(accounts_table).inline()
_ADD_ITEM = insert(roster_items).inline()
_ADD_USE = insert(uses).inline()
_ADD_KEY = insert_new(api_keys)
_SET_SERVER_KEY = (
    update(settings).where(settings.c.name == "server_key").values(value=bindparam("key"))
)

_ADD_NOTICE = insert_new(notices)
_INVITER = select(invites.c.inviter).where(
    invites.c.domain == bindparam("domain"), invites.c.id == bindparam("invite_id")
)

_StoredLine = (
    AccountLine | DeletedLine | RosterItemLine | InviteLine | UseLine | NoticeLine | KeyLine
)


def _get(table: Table, *key: str) -> Select[Any]:
    """Return the query for rows that equal a given row in some columns."""
    return select(table).where(*(table.c[name] == bindparam(name) for name in key))


_GET = {
    "accounts": _get(accounts_table, "domain", "username"),
    "roster_items": _get(roster_items, "domain", "username", "jid"),
    "invites": _get(invites, "domain", "id"),
    "api_keys": _get(api_keys, "id"),
}
_USES = _get(uses, "domain", "username", "at")
_LAST_USE = select(func.coalesce(func.max(uses.c.seq), 0))


def import_all(
    connection: Connection,
    source: Iterable[bytes],
    now: datetime,
    domains: Container[str] | None = None,
) -> Mapping[str, int]:
    """Add what is in an export, within a transaction.

    What is there already and is the same stays as it is. A store that has anything in it
    keeps its own server key.

    Args:
        connection: the transaction.
        source: the lines.
        now: the time.
        domains: for which ones something may be added; None is for any.

    Returns:
        How many were added, by type, and how many were ``unchanged``.

    Raises:
        InvalidRequest: the source is no export, or was cut off, or differs from what is there
            already; the text begins with the line's number. Or it is for other domains.
    """
    counts = dict.fromkeys((*COUNTED.values(), "unchanged"), 0)
    reader = _ExportReader(source)
    adding = _Importer(connection, now)
    others: dict[str, None] = {}
    try:
        for line in reader.lines():
            domain = None if isinstance(line, ServerKey) else line.domain
            if domain and domains is not None and domain not in domains:
                others[domain] = None
            if not isinstance(line, ServerKey):
                counts[COUNTED[line.type] if adding.add(line) else "unchanged"] += 1
            elif adding.into_empty:
                connection.execute(_SET_SERVER_KEY, {"key": line.key})
    except (Malformed, Refused) as error:
        raise InvalidRequest(f"line {reader.number}: {error}") from None
    if others:
        raise InvalidRequest(f"it is for domains that are not served: {', '.join(others)}")
    return counts


class _ExportReader:
    """Read the lines of an export.

    Attributes:
        number: of the line that was read last, from 1.
    """

    def __init__(self, source: Iterable[bytes]) -> None:
        self._source = source
        self.number = 0

    def lines(self) -> Iterator[ServerKey | _StoredLine]:
        """Yield the lines between the first and the last; raise Malformed."""
        ended = False
        for text in self._source:
            self.number += 1
            if ended:
                raise Malformed("there is more after the end")
            if self.number == 1:
                _check_header(text)
                continue
            line = read_line(text)
            if not isinstance(line, End):
                yield line
                continue
            ended = True
            if line.lines != self.number - 2:
                raise Malformed(f"here should be {line.lines} lines between first and last")
        if not ended:
            self.number += 1
            raise Malformed("the end is missing: the file was cut off, or is no export")


def _check_header(text: bytes) -> None:
    header = read_header(text)
    if header.format > FORMAT:
        raise Malformed(
            f"written by a newer invitereg ({header.version}, format {header.format}): "
            f"this one reads formats up to {FORMAT}"
        )
    if header.table_schema not in REVISIONS:
        raise Malformed(
            f"written by an invitereg ({header.version}) whose schema, "
            f"{header.table_schema[:20]!a}, this one does not know: install that version"
        )


class _Importer:
    """Add one line after the other.

    Attributes:
        into_empty: there was nothing before the first was added.
    """

    def __init__(self, connection: Connection, now: datetime) -> None:
        self._connection = connection
        self._now = now
        self.into_empty = not any(
            connection.scalar(select(exists().select_from(table)))
            for table in (names_table, invites, uses)
        )
        self._last_use: int = connection.scalars(_LAST_USE).one()

    def add(self, line: _StoredLine) -> bool:
        """Add the content of a line; return False if it is there already. Raises Refused."""
        row = line.model_dump(exclude={"type"})
        try:
            match line:
                case AccountLine():
                    return self._add_account(line, row)
                case DeletedLine():
                    return names.mark_deleted(self._connection, now=self._now, **row)
                case RosterItemLine():
                    return self._add_item(line, row)
                case InviteLine():
                    return self._add_invite(row)
                case UseLine():
                    return self._add_use(line, row)
                case NoticeLine():
                    return self._add_notice(line)
                case KeyLine():
                    return self._add_if_new(api_keys, row, _ADD_KEY, "key with this secret")
        except (UsernameTaken, UsernameReserved) as refusal:
            raise InvalidRequest(f"{row['username']}@{line.domain}: {refusal}") from None

    def _add_account(self, line: AccountLine, row: dict[str, Any]) -> bool:
        if line.credentials is not None:
            row["credentials"] = "\n".join(line.credentials)
        if self._is_there(accounts_table, row, "username"):
            return False
        account = Account(
            domain=line.domain, username=line.username, created_at=line.created_at
        )
        names.take(self._connection, account, None, self._now, even_deleted=False)
        self._connection.execute(_ADD_ACCOUNT, row)
        return True

    def _add_item(self, line: RosterItemLine, row: dict[str, Any]) -> bool:
        if self._is_there(roster_items, row, "jid"):
            return False
        self._require_account(line.domain, line.username)
        self._connection.execute(_ADD_ITEM, row)
        return True

    def _add_invite(self, row: dict[str, Any]) -> bool:
        """Add an invite; reserve its name if it can be used, or check a reset's account."""
        if not self._add_if_new(invites, row, _ADD_INVITE, "invite with this token"):
            return False
        invite = Invite(**{key: row[key] for key in row.keys() - {"digest", "used_at"}})
        if invite.revoked_at is not None or invite.used_up:
            return True
        if invite.kind is Kind.RESET:
            # Or it would open the account that somebody else makes of that name.
            self._require_account(invite.domain, invite.username or "")
        elif not invite.expired(self._now):
            names.reserve(self._connection, invite, self._now)
        return True

    def _require_account(self, domain: str, username: str) -> None:
        if accounts.get(self._connection, domain, username) is None:
            raise InvalidRequest(f"there is no account {username}@{domain}")

    def _add_use(self, line: UseLine, row: dict[str, Any]) -> bool:
        """Add a use. Its address is not compared: one that was forgotten must not come back."""
        for found in self._connection.execute(_USES, row):
            if all(getattr(found, key) == row[key] for key in ("kind", "door", "invite_id")):
                return False
        if "inviter" not in line.model_fields_set:
            row["inviter"] = self._connection.scalar(_INVITER, row)
        self._connection.execute(_ADD_USE, row)
        return True

    def _add_notice(self, line: NoticeLine) -> bool:
        """Add a notice if its registration is new: an older one was delivered, or given up."""
        domain, username = line.about_domain, line.about_username
        about = {"domain": domain, "username": username, "at": line.at}
        use = self._connection.execute(_USES, about).first()
        if use is None:
            raise InvalidRequest(
                f"there is no registration of {username}@{domain} at that time"
            )
        if use.seq <= self._last_use:
            return False
        row = line.model_dump(include={"domain", "username", "kind", "at"})
        return self._connection.execute(_ADD_NOTICE, {**row, "use_seq": use.seq}).rowcount == 1

    def _add_if_new(self, table: Table, row: dict[str, Any], add: Insert, what: str) -> bool:
        """Add a row, unless it is there; raise InvalidRequest if another has its secret."""
        if self._is_there(table, row, "id"):
            return False
        if self._connection.execute(add, row).rowcount != 1:
            raise InvalidRequest(f"there is another {what}")
        return True

    def _is_there(self, table: Table, row: dict[str, Any], key: str) -> bool:
        """Return whether the row is stored already; raise InvalidRequest if it differs."""
        found = self._connection.execute(_GET[table.name], row).mappings().first()
        if found is None:
            return False
        differing = [name for name in row if found[name] != row[name]]
        if differing:
            where = f" at {row['domain']}" if row["domain"] else ""
            what = f"{table.name.removesuffix('s').replace('_', ' ')} {row[key]}{where}"
            raise InvalidRequest(
                f"there is another {what} already: it differs in {', '.join(differing)}"
            )
        return True
