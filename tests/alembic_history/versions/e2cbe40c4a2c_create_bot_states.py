"""Create bot state table."""

import sqlalchemy as sa
from alembic import op

revision = "e2cbe40c4a2c"
down_revision = "19adfce0d2a6"


def upgrade() -> None:
    op.create_table(
        "bot_states",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("status", sa.String()),
        sa.Column("in_position", sa.Boolean()),
        sa.Column("entry_price", sa.Numeric()),
        sa.Column("current_position_size_coins", sa.Numeric()),
        sa.Column("trailing_stop_price", sa.Numeric()),
        sa.Column("max_price_since_entry", sa.Numeric()),
        sa.Column("take_profit_price", sa.Numeric()),
        sa.Column("stop_loss_price", sa.Numeric()),
        sa.Column("daily_pnl", sa.Numeric()),
        sa.Column("daily_trades_count", sa.Integer()),
        sa.Column("last_run_at", sa.DateTime()),
        sa.Column("last_error_message", sa.Text()),
        sa.Column(
            "last_updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
        ),
        sa.ForeignKeyConstraint(["id"], ["bot_configs.id"]),
    )
