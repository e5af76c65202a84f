"""Which lock a statement takes on which tables, and what it does while it has them.

Told from the text of the statement, for PostgreSQL 15 to 18, without running it. The
sources are the chapter "Explicit Locking" and the pages "ALTER TABLE" and "CREATE
INDEX" of the PostgreSQL manual, and ``pg_locks`` where these are silent. Meant for the
statements that migrations issue; any other is told as unknown.

Not followed: what triggers and a DO block do, views, inheritance and partitions. A lock
that depends on the rows (on the table that a foreign key refers to) is predicted as if
there were such rows; so is one that a deferred constraint takes only at the end of the
transaction.
"""

from tradebot.schema.locks.effect import UNKNOWN, Effect, LockMode, Work
from tradebot.schema.locks.statements import predict
from tradebot.schema.locks.tables import Constraint, Schema, Table, read_schema

__all__ = [
    "UNKNOWN",
    "Constraint",
    "Effect",
    "LockMode",
    "Schema",
    "Table",
    "Work",
    "predict",
    "read_schema",
]
