"""Add realized_pnl to trade."""

import sqlalchemy as sa
from alembic import op

revision = "92c67f02186c"
down_revision = "59a0e8d02f5a"


def upgrade() -> None:
    op.add_column("trades", sa.Column("realized_pnl", sa.Numeric()))
