"""Create bot config table."""

import sqlalchemy as sa
from alembic import op

revision = "19adfce0d2a6"
down_revision = "4b2e65b4c85b"


def upgrade() -> None:
    op.create_table(
        "bot_configs",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("timeframe", sa.String(), nullable=False),
        sa.Column("is_active", sa.Boolean()),
        sa.Column("initial_capital", sa.Numeric()),
        sa.Column("daily_target_perc", sa.Numeric()),
        sa.Column("max_daily_loss_perc", sa.Numeric()),
        sa.Column("position_size_perc", sa.Numeric()),
        sa.Column("position_size_fixed", sa.Numeric()),
        sa.Column("stop_loss_perc", sa.Numeric(), nullable=False),
        sa.Column("take_profit_perc", sa.Numeric(), nullable=False),
        sa.Column("trailing_stop_perc", sa.Numeric()),
        sa.Column("trailing_stop_active", sa.Boolean()),
        sa.Column("ema_fast", sa.Integer(), nullable=False),
        sa.Column("ema_slow", sa.Integer(), nullable=False),
        sa.Column("rsi_period", sa.Integer(), nullable=False),
        sa.Column("rsi_oversold", sa.Integer(), nullable=False),
        sa.Column("rsi_overbought", sa.Integer(), nullable=False),
        sa.Column("max_daily_trades", sa.Integer()),
        sa.Column("check_interval_seconds", sa.Integer()),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("now()")
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"]),
    )
    op.create_index("ix_bot_configs_id", "bot_configs", ["id"])
    op.create_index("ix_bot_configs_user_id", "bot_configs", ["user_id"])
