"""Define the tables for SQLAlchemy Core; `schema` brings a database to this state."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from invitereg.interfaces.apikeys import Scope
from invitereg.interfaces.leases import Task
from invitereg.model.invites import Kind
from invitereg.model.roster import Subscription
from invitereg.policy.notices import NoticeKind

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Time(TypeDecorator[datetime]):
    """A time, stored as whole microseconds since 1970 in UTC."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class Enumeration(TypeDecorator[StrEnum]):
    """A member of an enumeration, stored as its value.

    Attributes:
        of: the enumeration.
    """

    impl = Text
    cache_ok = True

    def __init__(self, of: type[StrEnum]) -> None:
        super().__init__()
        self.of = of
        self._members = {str(member): member for member in of}  # many rows have one

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:  # noqa: ARG002
        return None if value is None else self._members[value]


class TextList(TypeDecorator[tuple[str, ...]]):
    """Several strings in order, stored as a JSON array.

    Attributes:
        of: their type: ``str``, or an enumeration.
    """

    impl = JSON
    cache_ok = True

    def __init__(self, of: type[str] = str) -> None:
        super().__init__()
        self.of = of

    def process_bind_param(
        self,
        value: tuple[str, ...] | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> list[str] | None:
        return None if value is None else list(value)

    def process_result_value(
        self,
        value: list[str] | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> tuple[str, ...] | None:
        return None if value is None else tuple(map(self.of, value))


# SQLite makes only an INTEGER PRIMARY KEY its row number.
Sequence = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData()


def _columns(
    kind: TypeEngine[Any] | type[TypeEngine[Any]], *names: str, **options: Any
) -> list[Column[Any]]:
    return [Column(name, kind, **options) for name in names]


def _only(condition: str) -> dict[str, Any]:
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


invites = Table(
    "invites",
    metadata,
    Column("seq", Sequence, primary_key=True),
    *_columns(Text, "domain", "id", nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("kind", Enumeration(Kind), nullable=False),
    Column("source", Text, nullable=False),
    *_columns(Text, "inviter", "username"),
    *_columns(TextList, "roles", "groups", nullable=False),
    Column("note", Text, nullable=False),
    Column("uses_allowed", Integer),
    Column("uses", Integer, nullable=False),
    Column("created_at", Time, nullable=False),
    *_columns(Time, "expires_at", "revoked_at", "used_at"),
    Column("per_network_allowed", Integer),
    UniqueConstraint("domain", "id", name="invites_id"),
    UniqueConstraint("domain", "digest", name="invites_digest"),
    CheckConstraint("uses_allowed IS NULL OR uses <= uses_allowed", name="invites_uses"),
    # A list filtered by status reads this index alone until it has found enough.
    Index(
        "invites_status",
        *("domain", "seq", "revoked_at", "uses_allowed", "uses", "expires_at"),
    ),
    Index("invites_username", "domain", "username", **_only("username IS NOT NULL")),
    # What is over, by when: a purge finds the oldest without reading the rest.
    Index("invites_expiry", "domain", "expires_at", **_only("expires_at IS NOT NULL")),
    Index("invites_revocation", "domain", "revoked_at", **_only("revoked_at IS NOT NULL")),
    Index("invites_used_up", "domain", "used_at", **_only("uses >= uses_allowed")),
    # What somebody has made: for their list, and to revoke it with their account.
    Index("invites_inviter", "domain", "inviter", "seq", **_only("inviter IS NOT NULL")),
    # What somebody has made by a key or their account, which may have no inviter, as resets.
    Index("invites_source", "source", "domain"),
    sqlite_autoincrement=True,
)

# Holders of names: one row for each name, so that "is it free?" is one conditional statement.
names = Table(
    "names",
    metadata,
    *_columns(Text, "domain", "username", primary_key=True),
    Column("state", Text, nullable=False),
    Column("invite_id", Text),
    Column("until", Time),
    Index("names_until", "domain", "until", **_only("until IS NOT NULL")),
)

accounts = Table(
    "accounts",
    metadata,
    *_columns(Text, "domain", "username", primary_key=True),
    Column("created_at", Time, nullable=False),
    Column("credentials", Text),
    Column("changed_at", Time),
    *_columns(TextList, "roles", "groups", nullable=False),
    Column("details", JSON, nullable=False),
    ForeignKeyConstraint(
        ["domain", "username"], ["names.domain", "names.username"], name="accounts_name"
    ),
)

# History: refers to invites and accounts by name only, as it outlives them.
uses = Table(
    "uses",
    metadata,
    Column("seq", Sequence, primary_key=True),
    *_columns(Text, "domain", "username", nullable=False),
    Column("kind", Enumeration(Kind), nullable=False),
    Column("at", Time, nullable=False),
    Column("door", Text, nullable=False),
    *_columns(Text, "invite_id", "address", "inviter"),
    Index("uses_invite", "domain", "invite_id"),
    Index("uses_username", "domain", "username"),
    Index("uses_with_address", "domain", "at", **_only("address IS NOT NULL")),
    sqlite_autoincrement=True,
)

# Notices about registrations, until they are delivered.
notices = Table(
    "notices",
    metadata,
    Column("number", Sequence, primary_key=True),
    *_columns(Text, "domain", "username", nullable=False),
    Column("kind", Enumeration(NoticeKind), nullable=False),
    Column("use_seq", BigInteger, nullable=False),
    Column("at", Time, nullable=False),
    Column("tries", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("domain", "username", "kind", "use_seq", name="notices_once"),
    Index("notices_age", "at"),
    sqlite_autoincrement=True,
)

hits = Table(
    "hits",
    metadata,
    Column("seq", Sequence, primary_key=True),
    *_columns(Text, "domain", "name", "key", nullable=False),
    Column("at", Time, nullable=False),
    Index("hits_key", "domain", "name", "key", "at"),
    Index("hits_age", "domain", "name", "at"),
    sqlite_autoincrement=True,
)

# Roster items: the contacts of each account.
roster_items = Table(
    "roster_items",
    metadata,
    *_columns(Text, "domain", "username", "jid", primary_key=True),
    Column("name", Text, nullable=False),
    Column("groups", TextList, nullable=False),
    Column("subscription", Enumeration(Subscription), nullable=False),
    *_columns(Boolean, "ask", "approved", nullable=False),
    Column("request", Text),
    Column("listed", Boolean, nullable=False),
    ForeignKeyConstraint(
        ["domain", "username"],
        ["accounts.domain", "accounts.username"],
        name="roster_items_account",
    ),
    Index("roster_items_jid", "jid"),
)

roster_changes = Table(
    "roster_changes",
    metadata,
    Column("number", Sequence, primary_key=True),
    *_columns(Text, "domain", "username", "jid", nullable=False),
    Column("at", Time, nullable=False),
    Index("roster_changes_age", "at"),
    sqlite_autoincrement=True,
)

session_ends = Table(
    "session_ends",
    metadata,
    Column("number", Sequence, primary_key=True),
    *_columns(Text, "domain", "username", nullable=False),
    Column("at", Time, nullable=False),
    sqlite_autoincrement=True,
)

# From which networks an account has been logged in to, of each a keyed hash.
used_networks = Table(
    "used_networks",
    metadata,
    *_columns(Text, "domain", "username", primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("at", Time, nullable=False),
    Index("used_networks_age", "domain", "at"),
)

settings = Table(
    "settings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("seq", Sequence, primary_key=True),
    Column("id", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("name", Text, nullable=False),
    Column("scopes", TextList(Scope), nullable=False),
    Column("domain", Text),
    Column("created_at", Time, nullable=False),
    *_columns(Time, "expires_at", "revoked_at"),
    UniqueConstraint("id", name="api_keys_id"),
    UniqueConstraint("digest", name="api_keys_digest"),
    sqlite_autoincrement=True,
)

# Idempotency keys, and the invite that the first request made; forgotten after a day.
api_requests = Table(
    "api_requests",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("name", LargeBinary, primary_key=True),
    Column("request", LargeBinary, nullable=False),
    *_columns(Text, "domain", "invite_id", nullable=False),
    Column("at", Time, nullable=False),
    Index("api_requests_at", "at"),
)


# Registrations and resets under way at another server: what each has taken.
leases = Table(
    "leases",
    metadata,
    Column("number", Sequence, primary_key=True),
    *_columns(Text, "domain", "username", nullable=False),
    Column("at", Time, nullable=False),
    Column("held", JSON),  # what held the name before
    Column("redemption", JSON, nullable=False),
    Column("hits", JSON, nullable=False, server_default="[]"),
    Index("leases_age", "domain", "at"),
    sqlite_autoincrement=True,
)

# Jobs to be done at a server that keeps the accounts.
jobs = Table(
    "errands",
    metadata,
    Column("number", Sequence, primary_key=True),
    *_columns(Text, "domain", "username", nullable=False),
    Column("task", Enumeration(Task), nullable=False),
    Column("details", JSON, nullable=False),
    Column("node", Text),
    *_columns(Time, "at", "due", nullable=False),
    Column("expires", Time),
    Column("tries", Integer, nullable=False),
    Column("answer", Text),
    Index("errands_due", "domain", "due"),
    sqlite_autoincrement=True,
)
