"""Add reset token fields to users, where they are missing."""

import sqlalchemy as sa
from alembic import op

revision = "d24f9f7e7532"
down_revision = "8dff47bdfa5f"


def upgrade() -> None:
    there = {each["name"] for each in sa.inspect(op.get_bind()).get_columns("users")}
    for column in (
        sa.Column("reset_token", sa.String()),
        sa.Column("reset_token_expires", sa.DateTime(timezone=True)),
    ):
        if column.name not in there:
            op.add_column("users", column)


def downgrade() -> None:
    op.drop_column("users", "reset_token_expires")
    op.drop_column("users", "reset_token")
