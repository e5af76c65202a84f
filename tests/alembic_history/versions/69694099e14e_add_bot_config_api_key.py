"""Add api_key_id to bot config."""

import sqlalchemy as sa
from alembic import op

revision = "69694099e14e"
down_revision = "7354d6bd11ea"


def upgrade() -> None:
    op.add_column("bot_configs", sa.Column("api_key_id", sa.Integer()))
    op.create_foreign_key(None, "bot_configs", "api_keys", ["api_key_id"], ["id"])
