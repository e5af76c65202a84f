"""Merge heads d24f and a1b2."""

revision = "b7e3f2c1a9d8"
down_revision = ("d24f9f7e7532", "a1b2c3d4e5f6")


def upgrade() -> None:
    """Change nothing."""
