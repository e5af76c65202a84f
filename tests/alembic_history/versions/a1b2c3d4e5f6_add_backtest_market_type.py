"""Add market_type to backtests."""

import sqlalchemy as sa
from alembic import op

revision = "a1b2c3d4e5f6"
down_revision = "8dff47bdfa5f"


def upgrade() -> None:
    op.add_column(
        "backtests",
        sa.Column("market_type", sa.String(), nullable=False, server_default="spot"),
    )
