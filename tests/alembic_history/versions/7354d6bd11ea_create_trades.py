"""Create trade table."""

import sqlalchemy as sa
from alembic import op

revision = "7354d6bd11ea"
down_revision = "e2cbe40c4a2c"


def upgrade() -> None:
    op.create_table(
        "trades",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("bot_config_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("binance_order_id", sa.String()),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("order_type", sa.String(), nullable=False),
        sa.Column("price", sa.Numeric(), nullable=False),
        sa.Column("quantity_filled", sa.Numeric(), nullable=False),
        sa.Column("quote_quantity_filled", sa.Numeric(), nullable=False),
        sa.Column("commission_amount", sa.Numeric()),
        sa.Column("commission_asset", sa.String()),
        sa.Column("pnl", sa.Numeric()),
        sa.Column("timestamp", sa.DateTime(), server_default=sa.text("now()")),
        sa.ForeignKeyConstraint(["bot_config_id"], ["bot_configs.id"]),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"]),
        sa.UniqueConstraint("binance_order_id"),
    )
    op.create_index("ix_trades_bot_config_id", "trades", ["bot_config_id"])
    op.create_index("ix_trades_id", "trades", ["id"])
    op.create_index("ix_trades_user_id", "trades", ["user_id"])
