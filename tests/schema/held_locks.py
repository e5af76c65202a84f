"""What locks a session holds, as the server shows them."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

from tradebot.schema.locks import LockMode

_MODES = {mode.pg_locks: mode for mode in LockMode}


def read_locks(
    connection: BaseDatabaseWrapper, tables: dict[int, str], *, pid: int | None = None
) -> dict[str, LockMode]:
    """Return the strongest lock on each of ``tables`` (by oid) of a session.

    Of one's own, if ``pid`` is None.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relation::bigint, mode FROM pg_locks WHERE granted "
            "AND locktype = 'relation' AND pid = coalesce(%s, pg_backend_pid())",
            [pid],
        )
        locks: dict[str, LockMode] = {}
        for oid, mode in cursor.fetchall():
            if oid in tables:
                table = tables[oid]
                locks[table] = max(_MODES[mode], locks.get(table, _MODES[mode]))
        return locks
