"""Rosters, and what changed in them for other processes to tell their sessions."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "roster_items",
        sa.Column("domain", sa.Text, primary_key=True),
        sa.Column("username", sa.Text, primary_key=True),
        sa.Column("jid", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("groups", sa.JSON, nullable=False),
        sa.Column("subscription", sa.Text, nullable=False),
        sa.Column("ask", sa.Boolean, nullable=False),
        sa.Column("approved", sa.Boolean, nullable=False),
        sa.Column("request", sa.Text),
        sa.Column("listed", sa.Boolean, nullable=False),
        sa.ForeignKeyConstraint(
            ["domain", "username"],
            ["accounts.domain", "accounts.username"],
            name="roster_items_account",
        ),
    )
    op.create_index("roster_items_jid", "roster_items", ["jid"])
    op.create_table(
        "roster_changes",
        sa.Column("number", _SEQUENCE, primary_key=True),
        sa.Column("domain", sa.Text, nullable=False),
        sa.Column("username", sa.Text, nullable=False),
        sa.Column("jid", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("roster_changes_age", "roster_changes", ["at"])
