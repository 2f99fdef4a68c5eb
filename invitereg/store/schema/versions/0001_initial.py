"""The first tables, and the server's key."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.BigInteger()


def upgrade() -> None:
    _create_invites()
    _create_names_and_accounts()
    _create_uses()
    _create_hits()
    op.create_table(
        "session_ends",
        sa.Column("number", _SEQUENCE, primary_key=True),
        sa.Column("domain", sa.Text, nullable=False),
        sa.Column("username", sa.Text, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sqlite_autoincrement=True,
    )
    settings = op.create_table(
        "settings",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
    )
    op.bulk_insert(settings, [{"name": "server_key", "value": secrets.token_bytes(32)}])


def _create_invites() -> None:
    op.create_table(
        "invites",
        sa.Column("seq", _SEQUENCE, primary_key=True),
        sa.Column("domain", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("inviter", sa.Text),
        sa.Column("username", sa.Text),
        sa.Column("roles", sa.JSON, nullable=False),
        sa.Column("groups", sa.JSON, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("uses_allowed", sa.Integer),
        sa.Column("uses", sa.Integer, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME),
        sa.Column("revoked_at", _TIME),
        sa.Column("used_at", _TIME),
        sa.UniqueConstraint("domain", "id", name="invites_id"),
        sa.UniqueConstraint("domain", "digest", name="invites_digest"),
        sa.CheckConstraint("uses_allowed IS NULL OR uses <= uses_allowed", name="invites_uses"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "invites_status",
        "invites",
        ["domain", "seq", "revoked_at", "uses_allowed", "uses", "expires_at"],
    )
    _index("invites_username", "invites", "username", "username IS NOT NULL")
    _index("invites_expiry", "invites", "expires_at", "expires_at IS NOT NULL")
    _index("invites_revocation", "invites", "revoked_at", "revoked_at IS NOT NULL")
    _index("invites_used_up", "invites", "used_at", "uses >= uses_allowed")


def _index(name: str, table: str, column: str, only: str) -> None:
    """Create a partial index on the domain and one column."""
    where = sa.text(only)
    op.create_index(name, table, ["domain", column], sqlite_where=where, postgresql_where=where)


def _create_names_and_accounts() -> None:
    op.create_table(
        "names",
        sa.Column("domain", sa.Text, primary_key=True),
        sa.Column("username", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("invite_id", sa.Text),
        sa.Column("until", _TIME),
    )
    _index("names_until", "names", "until", "until IS NOT NULL")
    op.create_table(
        "accounts",
        sa.Column("domain", sa.Text, primary_key=True),
        sa.Column("username", sa.Text, primary_key=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("credentials", sa.Text),
        sa.Column("changed_at", _TIME),
        sa.Column("roles", sa.JSON, nullable=False),
        sa.Column("groups", sa.JSON, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["domain", "username"], ["names.domain", "names.username"], name="accounts_name"
        ),
    )


def _create_uses() -> None:
    op.create_table(
        "uses",
        sa.Column("seq", _SEQUENCE, primary_key=True),
        sa.Column("domain", sa.Text, nullable=False),
        sa.Column("username", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("door", sa.Text, nullable=False),
        sa.Column("invite_id", sa.Text),
        sa.Column("address", sa.Text),
        sqlite_autoincrement=True,
    )
    op.create_index("uses_invite", "uses", ["domain", "invite_id"])
    op.create_index("uses_username", "uses", ["domain", "username"])
    _index("uses_with_address", "uses", "at", "address IS NOT NULL")


def _create_hits() -> None:
    op.create_table(
        "hits",
        sa.Column("seq", _SEQUENCE, primary_key=True),
        sa.Column("domain", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("hits_key", "hits", ["domain", "name", "key", "at"])
    op.create_index("hits_age", "hits", ["domain", "name", "at"])
