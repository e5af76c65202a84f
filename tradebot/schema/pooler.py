"""Recognise a connection pooler that would strand the migration lock.

In transaction mode a pooler gives every statement whichever server session is free: the
lock is taken in one, the migrations run in others, and nobody lets the lock go. In
session mode it is as if it were not there.
"""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper

from tradebot.schema.faults import PreflightError

# A pooler whose sessions are all taken lets a newcomer wait; longer than this is an
# answer as well.
_TIMEOUT_S = 0.6
_BACKEND_PID = "SELECT pg_backend_pid()"


class TransactionPoolerError(PreflightError):
    """The database is reached through a pooler in transaction mode, which cannot hold
    the migration lock. Nothing was changed. Set MIGRATION_DATABASE_URL to the database
    server itself, for example postgres://tradebot:secret@db:5432/tradebot; the server
    and the workers may go on through the pooler.
    """

    exit_code = 20


def refuse_transaction_pooler(connection: BaseDatabaseWrapper) -> None:
    """Raise TransactionPoolerError where statements go to changing sessions."""
    connection.ensure_connection()
    raw: Any = connection.connection
    own = _ask_pid(raw)
    if raw.info.backend_pid == own:
        return  # the server itself: it says the same at the start and later
    # While a transaction of another connection holds a session, ask again. An idle
    # pooler would give us the same one every time.
    if asyncio.run(_changes(connection.get_connection_params(), raw, own)):
        raise TransactionPoolerError


def _ask_pid(raw: Any) -> int:
    pid: int = raw.execute(_BACKEND_PID).fetchone()[0]
    return pid


async def _changes(parameters: dict[str, Any], raw: Any, own: int) -> bool:
    kept = {
        name: parameters[name]
        for name in ("host", "port", "user", "password", "dbname", "sslmode")
        if parameters.get(name) is not None
    }
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            other = await psycopg.AsyncConnection.connect(**kept)
            async with other, other.cursor() as cursor:
                # The first statement begins a transaction, which holds the session.
                await cursor.execute(_BACKEND_PID)
                row = await cursor.fetchone()
                return row == (own,) or _ask_pid(raw) != own
    except TimeoutError:
        return False  # our session is the only one, and it is ours alone
