"""The database backend: ``"ENGINE": "tradebot.postgresql"``."""

from __future__ import annotations

import select
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from django.db.backends.utils import CursorWrapper
from psycopg.errors import (
    DuplicatePreparedStatement,
    FeatureNotSupported,
    InvalidSqlStatementName,
)
from psycopg.pq import TransactionStatus

_NOT_THERE = (
    # A pooler of which the settings do not know has changed the server.
    *(InvalidSqlStatementName, DuplicatePreparedStatement),
    FeatureNotSupported,  # a migration has changed the type of a column
)


class _PreparedCursor(psycopg.Cursor[Any]):
    def execute(self, *arguments: Any, **options: Any) -> _PreparedCursor:
        try:
            return super().execute(*arguments, **options, prepare=True)
        except _NOT_THERE:
            self.connection.prepare_threshold = None
            if self.connection.info.transaction_status != TransactionStatus.IDLE:
                raise
            return super().execute(*arguments, **options)


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's own, with a look at the socket for a health check.

    Django's asks the server in each request anew, which takes as long as reading the
    caller. A connection that waits for nothing has something to read only where the
    server has ended it or says so. One that a network has lost without a word is found
    by neither, but by the TCP keepalive.
    """

    def is_usable(self) -> bool:
        if self.connection is None or self.connection.closed:
            return False
        poll = select.poll()  # takes file descriptors that select() does not
        poll.register(self.connection.fileno(), select.POLLIN)
        return not poll.poll(0)

    def prepared_cursor(self) -> CursorWrapper:
        """Return a cursor whose statements the server parses and plans but once.

        For statements that are asked for often. Behind a pooler, whose servers do not
        keep statements, it is a cursor like others: from the start where the settings
        name the server behind it, else from the first that is not there. So it is for
        a connection that has met the migration of a column to another type. Where it
        finds out in a transaction, that fails, and the next one does not.
        """
        self.close_if_health_check_failed()
        self.ensure_connection()
        with self.wrap_database_errors:
            cursor: CursorWrapper = self._prepare_cursor(  # type: ignore[attr-defined]  # there is one
                _PreparedCursor(self.connection)
            )
            return cursor
