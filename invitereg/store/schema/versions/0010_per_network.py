"""An invite for an event lets more guests in from one network than the limit for all."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("invites", sa.Column("per_network_allowed", sa.Integer))
