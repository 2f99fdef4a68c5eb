"""Index invites by their source: an API key, or a user."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_index("invites_source", "invites", ["source", "domain"])
