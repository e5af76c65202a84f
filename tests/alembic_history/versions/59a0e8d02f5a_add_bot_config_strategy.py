"""Add strategy and ema_period to bot config.

Fails where a bot exists, as it did.
"""

import sqlalchemy as sa
from alembic import op

revision = "59a0e8d02f5a"
down_revision = "69694099e14e"


def upgrade() -> None:
    op.add_column("bot_configs", sa.Column("strategy", sa.String(), nullable=False))
    op.add_column("bot_configs", sa.Column("ema_period", sa.Integer()))
