"""Several hits of one registration: an IPv6 address is counted on nested prefixes."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_LEASES = sa.table(
    "leases", sa.column("number"), sa.column("hit", sa.BigInteger), sa.column("hits", sa.JSON)
)


def upgrade() -> None:
    op.add_column("leases", sa.Column("hits", sa.JSON, nullable=False, server_default="[]"))
    counted = sa.select(_LEASES.c.number, _LEASES.c.hit).where(_LEASES.c.hit.is_not(None))
    for number, hit in op.get_bind().execute(counted).all():
        op.execute(_LEASES.update().where(_LEASES.c.number == number).values(hits=[hit]))
    op.drop_column("leases", "hit")
