"""What a key, or a user, has made is found without reading all invites."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_index("invites_source", "invites", ["source", "domain"])
