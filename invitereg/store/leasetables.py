"""The tables about what is under way at the servers behind."""

from sqlalchemy import JSON, Column, Index, Integer, Table, Text

from invitereg.store.tables import Sequence, Time, metadata

# What registrations have taken whose account another server makes, until that is decided.
leases = Table(
    "leases",
    metadata,
    Column("number", Sequence, primary_key=True),
    Column("domain", Text, nullable=False),
    Column("username", Text, nullable=False),
    Column("at", Time, nullable=False),
    Column("held", JSON),  # what held the name before
    Column("redemption", JSON, nullable=False),
    Column("hits", JSON, nullable=False, server_default="[]"),
    Index("leases_age", "domain", "at"),
    sqlite_autoincrement=True,
)

# What is to be done at a server that keeps the accounts.
errands = Table(
    "errands",
    metadata,
    Column("number", Sequence, primary_key=True),
    Column("domain", Text, nullable=False),
    Column("username", Text, nullable=False),
    Column("task", Text, nullable=False),
    Column("details", JSON, nullable=False),
    Column("node", Text),
    Column("at", Time, nullable=False),
    Column("due", Time, nullable=False),
    Column("expires", Time),
    Column("tries", Integer, nullable=False),
    Column("answer", Text),
    Index("errands_due", "domain", "due"),
    sqlite_autoincrement=True,
)
