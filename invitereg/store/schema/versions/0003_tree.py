"""Keep the tree of inviters when invites are purged; store pending notices."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_HAS_INVITER = sa.text("inviter IS NOT NULL")


def upgrade() -> None:
    op.add_column("uses", sa.Column("inviter", sa.Text))
    op.execute(
        "UPDATE uses SET inviter = (SELECT invites.inviter FROM invites"
        " WHERE invites.domain = uses.domain AND invites.id = uses.invite_id)"
        " WHERE invite_id IS NOT NULL"
    )
    op.create_index(
        "invites_inviter",
        "invites",
        ["domain", "inviter", "seq"],
        sqlite_where=_HAS_INVITER,
        postgresql_where=_HAS_INVITER,
    )
    op.create_table(
        "notices",
        sa.Column("number", _SEQUENCE, primary_key=True),
        sa.Column("domain", sa.Text, nullable=False),
        sa.Column("username", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("use_seq", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("domain", "username", "kind", "use_seq", name="notices_once"),
        sqlite_autoincrement=True,
    )
    op.create_index("notices_age", "notices", ["at"])
