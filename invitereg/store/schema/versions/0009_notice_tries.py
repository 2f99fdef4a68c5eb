"""A notice that nobody confirms is sent a few times, and not for ever."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column(
        "notices", sa.Column("tries", sa.BigInteger, nullable=False, server_default="0")
    )
