"""Add leverage column to bot_configs."""

import sqlalchemy as sa
from alembic import op

revision = "107856acfca7"
down_revision = "3742c83cd3b1"


def upgrade() -> None:
    op.add_column("bot_configs", sa.Column("leverage", sa.Integer()))
