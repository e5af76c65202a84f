"""Create api key table."""

import sqlalchemy as sa
from alembic import op

revision = "4b2e65b4c85b"
down_revision = "30d6391a9fcf"


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("encrypted_api_key", sa.String(), nullable=False),
        sa.Column("encrypted_secret_key", sa.String(), nullable=False),
        sa.Column("label", sa.String()),
        sa.Column("is_valid", sa.Boolean()),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("now()")
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"]),
    )
    op.create_index("ix_api_keys_id", "api_keys", ["id"])
    op.create_index("ix_api_keys_user_id", "api_keys", ["user_id"])
