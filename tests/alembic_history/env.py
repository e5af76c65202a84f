"""What Alembic executes to reach the database of DATABASE_URL."""

import os

import sqlalchemy as sa
from alembic import context

scheme, _, rest = os.environ["DATABASE_URL"].partition("://")
engine = sa.create_engine(f"postgresql+psycopg://{rest}", poolclass=sa.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
