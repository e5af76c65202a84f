"""A real PgBouncer in between: refused in transaction mode, not in session mode."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.processes import SECRETS, database_url, free_port, manage
from tradebot.postgresql.base import DatabaseWrapper
from tradebot.schema.pooler import TransactionPoolerError

PGBOUNCER = shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin:/usr/bin")
pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed"),
]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def pooling(connection: BaseDatabaseWrapper, mode: str, size: int) -> Iterator[str]:
    """Run a PgBouncer before the database; yield the URL through it."""
    assert PGBOUNCER is not None
    parameters = connection.get_connection_params()
    if parameters.get("host", "/").startswith("/"):
        pytest.skip("PgBouncer runs as a user who cannot reach the server's socket")
    target = {
        name: parameters[name]
        for name in ("host", "port", "user", "password", "dbname")
        if parameters.get(name)
    }
    port = free_port()
    line = " ".join(f"{name}={value}" for name, value in target.items())
    # For root it runs as another user, who cannot read the folders of the tests.
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    config = folder / "pgbouncer.ini"
    config.write_text(
        f"[databases]\npooled = {line}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
        f"unix_socket_dir =\nauth_type = any\npool_mode = {mode}\n"
        f"default_pool_size = {size}\nlogfile = {folder}/log\n"
        "ignore_startup_parameters = extra_float_digits,options\n"
    )
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    process = subprocess.Popen(
        [PGBOUNCER, *user, str(config)], stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + 10
        while not _listens(port):
            assert time.monotonic() < until, (folder / "log").read_text()
            time.sleep(0.05)
        yield f"postgres://anyone@127.0.0.1:{port}/pooled"
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


@pytest.mark.parametrize("size", [1, 5])
def test_migrate_through_a_transaction_pooler_is_refused(
    size: int, empty_database: BaseDatabaseWrapper
) -> None:
    with pooling(empty_database, "transaction", size) as url:
        result = manage("migrate", **SECRETS, DATABASE_URL=url)

    assert result.returncode == TransactionPoolerError.exit_code
    assert "Set MIGRATION_DATABASE_URL to the database server itself" in result.stderr
    assert result.stderr.count("\n") == 1
    with empty_database.cursor() as cursor:
        assert empty_database.introspection.table_names(cursor) == []


def test_migrate_goes_around_the_pooler_where_it_is_told_how(
    empty_database: BaseDatabaseWrapper,
) -> None:
    with pooling(empty_database, "transaction", 5) as url:
        result = manage(
            "migrate",
            **SECRETS,
            DATABASE_URL=url,
            MIGRATION_DATABASE_URL=database_url(empty_database),
        )

    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("size", [1, 5])
def test_migrate_through_a_session_pooler_works(
    size: int, empty_database: BaseDatabaseWrapper
) -> None:
    with pooling(empty_database, "session", size) as url:
        result = manage("migrate", **SECRETS, DATABASE_URL=url)

    assert result.returncode == 0, result.stderr


def test_prepared_statement_that_the_pooler_has_left_behind_is_done_without(
    migrated_database: BaseDatabaseWrapper,
) -> None:
    with pooling(migrated_database, "transaction", 2) as url:
        pooled = {
            **migrated_database.settings_dict,
            "HOST": "127.0.0.1",
            "PORT": str(urlsplit(url).port),
            "NAME": "pooled",
            "USER": "anyone",
            "PASSWORD": "",
        }
        ours, other = (DatabaseWrapper(pooled, alias) for alias in ("ours", "other"))

        def ask() -> int:
            with ours.prepared_cursor() as cursor:
                cursor.execute("SELECT %s + 1", [1])
                return int(cursor.fetchone()[0])

        assert ask() == 2
        with other.cursor() as cursor:
            cursor.execute("BEGIN")  # on the server that ours was on
            assert ask() == 2
            assert ours.connection.prepare_threshold is None
            assert ask() == 2
        ours.close()
        other.close()
