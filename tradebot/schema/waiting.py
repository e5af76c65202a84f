"""Wait, within bounds, for what other processes bring: the database, its schema."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import DatabaseError, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

from tradebot.schema.faults import connection_fault
from tradebot.schema.version import SchemaVersion, read_version

Say = Callable[[str], None]

_ATTEMPT_S = 2  # to connect in: the shortest time limit that the driver takes
_PAUSE_S = (0.05, 0.25)  # the first and the longest between two attempts
_POLL_S = 0.5  # between two looks at the schema
_REPEAT_S = 5.0  # between two messages about the same


def wait_for_database(
    connection: BaseDatabaseWrapper, say: Say, timeout_s: float
) -> None:
    """Open the connection; wait for a server that may be about to come.

    Raises the PreflightError that tells why there is no connection: at once where
    waiting does not help, else after ``timeout_s`` seconds. ``say`` gets a message
    every few seconds.
    """
    until = time.monotonic() + timeout_s
    say_at = 0.0
    pause_s, longest_s = _PAUSE_S
    while True:
        left_s = until - time.monotonic()
        try:
            # The last attempt gets the time of the settings: a slow server may need it.
            with _connect_timeout(connection, _ATTEMPT_S if left_s > 0 else None):
                connection.ensure_connection()
            return
        except DatabaseError as error:
            fault = connection_fault(connection, error)
            if not fault.may_pass or left_s <= 0:
                raise fault from error
        now = time.monotonic()
        if now >= say_at:
            say(f"{fault} Trying again for {max(until - now, 0):.0f} s.")
            say_at = now + _REPEAT_S
        jitter = random.uniform(0.8, 1)  # noqa: S311 -- not a secret
        time.sleep(min(jitter * pause_s, max(until - now, 0)))
        pause_s = min(pause_s * 2, longest_s)


@contextmanager
def _connect_timeout(
    connection: BaseDatabaseWrapper, seconds: int | None
) -> Iterator[None]:
    options = connection.settings_dict["OPTIONS"]
    if connection.vendor == "postgresql" and seconds is not None:
        connection.settings_dict["OPTIONS"] = {**options, "connect_timeout": seconds}
    try:
        yield
    finally:
        connection.settings_dict["OPTIONS"] = options


def wait_for_schema(
    connection: BaseDatabaseWrapper, say: Say, timeout_s: float
) -> SchemaVersion:
    """Wait until nothing is missing, for ``timeout_s`` seconds at most.

    Returns the version as it is then. ``say`` gets what is missing, every few seconds
    or when it changes. Raises PreflightError where the database cannot be used.
    """
    until = time.monotonic() + timeout_s
    said: tuple[str, float] | None = None
    while True:
        left_s = until - time.monotonic()
        try:
            wait_for_database(connection, say, max(left_s, 0))
            version = read_version(connection)
        except OperationalError:
            if left_s <= 0:
                raise
            connection.close()  # the server went away meanwhile: wait for it again
            time.sleep(_POLL_S)
            continue
        if not version.missing or left_s <= 0:
            return version
        now = time.monotonic()
        if said is None or str(version) != said[0] or now - said[1] >= _REPEAT_S:
            say(f"{version} Waiting for that for {max(until - now, 0):.0f} s.")
            said = str(version), now
        time.sleep(min(_POLL_S, max(until - now, 0)))
