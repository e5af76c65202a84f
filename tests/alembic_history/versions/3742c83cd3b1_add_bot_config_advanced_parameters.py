"""Add advanced bot parameters."""

import sqlalchemy as sa
from alembic import op

revision = "3742c83cd3b1"
down_revision = "92c67f02186c"


def upgrade() -> None:
    op.add_column("bot_configs", sa.Column("custom_ema_fast", sa.Integer()))
    op.add_column("bot_configs", sa.Column("custom_ema_slow", sa.Integer()))
    op.add_column("bot_configs", sa.Column("custom_rsi_period", sa.Integer()))
    op.add_column("bot_configs", sa.Column("custom_rsi_oversold", sa.Integer()))
    op.add_column("bot_configs", sa.Column("custom_rsi_overbought", sa.Integer()))
    op.add_column("bot_configs", sa.Column("custom_stop_loss", sa.Numeric()))
    op.add_column("bot_configs", sa.Column("custom_take_profit", sa.Numeric()))
    op.add_column("bot_configs", sa.Column("custom_trailing_stop", sa.Numeric()))
    op.add_column("bot_configs", sa.Column("position_type", sa.String()))
    op.add_column("bot_configs", sa.Column("transfer_amount", sa.Numeric()))
    op.add_column("bot_configs", sa.Column("auto_transfer_funds", sa.Boolean()))
