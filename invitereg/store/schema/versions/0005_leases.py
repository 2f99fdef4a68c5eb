"""Registrations whose account another server makes, and what else is asked of it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("number", _SEQUENCE, primary_key=True),
        sa.Column("domain", sa.Text, nullable=False),
        sa.Column("username", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("hit", sa.BigInteger),
        sa.Column("held", sa.JSON),
        sa.Column("redemption", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("leases_age", "leases", ["domain", "at"])
    op.create_table(
        "errands",
        sa.Column("number", _SEQUENCE, primary_key=True),
        sa.Column("domain", sa.Text, nullable=False),
        sa.Column("username", sa.Text, nullable=False),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("node", sa.Text),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("due", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("answer", sa.Text),
        sqlite_autoincrement=True,
    )
    op.create_index("errands_due", "errands", ["domain", "due"])
