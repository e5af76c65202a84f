"""Whether this process can serve: the database answers and has a schema that fits."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from django.db import Error, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone
from django.utils.module_loading import import_string

from tradebot.schema.faults import PreflightError
from tradebot.schema.version import read_version

logger = logging.getLogger(__name__)

KEPT_S = 3.0
WAIT_S = 2.0

# By the exit code of SchemaVersion.
_MIGRATIONS = {0: "ok", 1: "behind", 3: "ahead", 4: "other version"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """What there is, in words that tell a stranger nothing."""

    database: str
    """``ok`` or ``unreachable``."""
    migrations: str
    """``ok``, ``behind``, ``ahead``, ``other version`` or ``unknown``."""
    queue: str = "unknown"
    """``ok``, ``behind`` or ``unknown``."""
    workers: str = "unknown"
    """``ok``, ``missing`` or ``unknown``."""
    bots: str = "unknown"
    """``ok``, ``behind`` where nobody looks at those that are on, or ``unknown``."""

    @property
    def ready(self) -> bool:
        """Say whether a server would start, which it does on a schema ahead of it.

        One whose queue waits for workers answers all the same.
        """
        return self.database == "ok" and self.migrations in {"ok", "ahead"}


_UNREACHABLE = Readiness(database="unreachable", migrations="unknown")


def look(connection: BaseDatabaseWrapper) -> Readiness:
    """Ask a database how it stands to the code."""
    try:
        with _limited(connection) as limited:
            version = read_version(limited)
            migrations = _MIGRATIONS[version.exit_code]
            found = Readiness(database="ok", migrations=migrations)
            if not found.ready:
                return found
            # By name, as in urls.py: tradebot imports no app.
            queue_state = import_string("backtests.runs.queue_state")
            queue, workers = queue_state(now=timezone.now())
            bots = import_string("bots.leases.bots_state")(now=timezone.now())
            return replace(found, queue=queue, workers=workers, bots=bots)
    except PreflightError as error:
        logger.warning("Not ready: %s", error)
        return Readiness(database="ok", migrations="unknown")
    except Error as error:
        logger.warning("Not ready: %s", str(error).partition("\n")[0])
        return _UNREACHABLE


@contextmanager
def _limited(connection: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    """Take a connection of one's own that waits for nothing longer than two seconds.

    One of the pool, or an open one, would be waited for as long as the system tries. A
    file cannot be away.
    """
    if connection.vendor != "postgresql":
        yield connection
        return
    own = connection.copy()
    own.settings_dict["OPTIONS"].pop("pool", None)
    own.settings_dict["OPTIONS"]["connect_timeout"] = int(WAIT_S)
    kept = connections[connection.alias]
    connections[connection.alias] = own  # for this thread; queries go by the alias
    try:
        # In a transaction: a pooler would give the setting to the next one.
        own.set_autocommit(False)
        with own.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = '{WAIT_S:g}s'")
        yield own
    finally:
        own.close()
        connections[connection.alias] = kept


class Probe:
    """Looks for all who ask, at most once in three seconds.

    While a look takes longer than two seconds, the database does not answer.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found = _UNREACHABLE
        self._looked_at = float("-inf")

    def read(self) -> Readiness:
        if not self._lock.acquire(timeout=WAIT_S):
            return _UNREACHABLE
        try:
            if time.monotonic() - self._looked_at > KEPT_S:
                self._found = look(connection)
                self._looked_at = time.monotonic()
            return self._found
        finally:
            self._lock.release()


probe = Probe()
"""The one of this process."""
