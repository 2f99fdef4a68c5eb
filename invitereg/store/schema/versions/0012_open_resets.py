"""Index open resets: each stream looks for one where registration is closed."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_OPEN_RESET = sa.text(
    "kind = 'reset' AND revoked_at IS NULL AND (uses_allowed IS NULL OR uses < uses_allowed)"
)


def upgrade() -> None:
    op.create_index(
        "invites_open_resets",
        "invites",
        ["domain", "expires_at"],
        sqlite_where=_OPEN_RESET,
        postgresql_where=_OPEN_RESET,
    )
