"""The README's way from the Alembic version can be walked as it is written.

Without an engine for containers: ``docker`` is a function of the shell that does with a
server of our own, and in this checkout, what compose does in a container.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psycopg
import pytest
import yaml
from psycopg import sql

from tests.migrations import old_program
from tests.migrations.old_program import ADA, HEAD, JUERGEN, PASSWORDS, TABLES
from tests.processes import PATH, ROOT, free_port
from tests.schema.servers import PASSWORD, OwnServer, own_server

SECTION = (
    (ROOT / "README.md")
    .read_text()
    .partition(
        "<!-- tests/test_readme_adoption.py runs the blocks of this section -->"
    )[2]
    .partition("\n## ")[0]
)
DOCKER = r"""
docker() {
    shift  # compose
    local here; here=$(basename "$PWD")
    case "$here $*" in
        "old exec -T postgres pg_dump "*) shift 3; "$BINARIES/$@" ;;
        "old stop backend frontend") ;;
        "old start backend frontend") alembic upgrade head ;;
        "new build") ;;
        "new up -d --wait db") "$BINARIES/createdb" -O tradebot tradebot ;;
        "new exec -T db pg_restore "*) shift 3; "$BINARIES/$@" ;;
        "new down --volumes") stop_web; "$BINARIES/dropdb" tradebot ;;
        "new run --rm --entrypoint python web "*) shift 5; (in_web python "$@") ;;
        "new run --rm --no-deps --entrypoint python web "*)
            grep -q "networks: .default, old." docker-compose.override.yml  # no db
            shift 6; (in_web python "$@") ;;
        "new up -d --wait web stream proxy") start_web ;;
        "new up -d --wait --no-deps web stream proxy") start_web ;;
        "new exec web "*) shift 2; (in_web "$@") ;;
        "new stop web stream worker bots") stop_web ;;
        *) echo "in $here: docker compose $*?" >&2; return 99 ;;
    esac
}
alembic() {  # as the old backend when it starts
    (cd "$ROOT" && DATABASE_URL=$OLD_URL exec python -m alembic \
        -c tests/alembic_history/alembic.ini "$@")
}
in_web() {
    local url=postgres://tradebot:POSTGRES_PASSWORD@db:5432/tradebot
    if [ -e docker-compose.override.yml ]; then
        url=$(sed -n 's/.*DATABASE_URL: //p' docker-compose.override.yml)
    fi
    # The services of both projects are one server here.
    url=$(sed -E "s/@(db|postgres):5432/@$PGHOST:$PGPORT/" <<<"$url")
    url=$(sed "s/\${POSTGRES_PASSWORD}/POSTGRES_PASSWORD/" <<<"$url")
    url=${url/POSTGRES_PASSWORD/$(sed -n 's/^POSTGRES_PASSWORD=//p' .env)}
    cd "$ROOT"
    exec env -i PATH="$PATH" ENV_FILE="$ENV_FILE" DATABASE_URL="$url" \
        BIND="127.0.0.1:${WEB_PORT:-8000}" WEB_CONCURRENCY=1 \
        BACKTEST_WORKERS=0 BOT_RUNNERS=0 "$@"
}
start_web() {
    (in_web tradebot/entrypoint.sh) >web.log 2>&1 &
    echo $! >web.pid
    until (: </dev/tcp/127.0.0.1/"${WEB_PORT:-8000}") 2>/dev/null; do
        kill -0 "$!" || { cat web.log; return 1; }
        sleep 0.1
    done
}
stop_web() {
    kill "$(cat web.pid)"
    while kill -0 "$(cat web.pid)" 2>/dev/null; do sleep 0.1; done
    rm web.pid
}
"""


def block(words: str) -> str:
    """Return the one block in which these words are."""
    blocks = re.findall(r"```bash\n(.*?)```", SECTION, re.DOTALL)
    (found,) = [each for each in blocks if words in each]
    return str(found)


class Installation:
    """The old checkout and the new one side by side, and the server of the database."""

    def __init__(self, folder: Path, server: OwnServer) -> None:
        self.folder = folder / "new"
        self.ports = {"8000": free_port(), "8001": free_port()}
        self._server = server
        self.old_url = (
            f"postgres://tradebot_user:{PASSWORD}@127.0.0.1:{server.port}/tradebot_db"
        )
        for name in ("old", "new"):
            (folder / name).mkdir()

    def run(self, script: str, *, succeeds: bool = True) -> str:
        for written, port in self.ports.items():
            script = script.replace(written, str(port))
        result = subprocess.run(
            ["bash", "-euo", "pipefail"],
            input=DOCKER.replace("8000", str(self.ports["8000"])) + script,
            cwd=self.folder,
            env={
                "PATH": PATH,
                "PYTHONPATH": str(ROOT),
                "ROOT": str(ROOT),
                "BINARIES": str(self._server.binaries),
                "ENV_FILE": str(self.folder / ".env"),
                "OLD_URL": self.old_url,
                "PGHOST": "127.0.0.1",
                "PGPORT": str(self._server.port),
                "PGUSER": "postgres",
                "PGPASSWORD": PASSWORD,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )
        assert (result.returncode == 0) == succeeds, (script, result.stdout)
        return result.stdout

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.old_url, autocommit=True)

    def contents(self) -> str:
        """Return all of the old database, as pg_dump writes it."""
        dump = self.run('PGOPTIONS="-c timezone=UTC" "$BINARIES/pg_dump" tradebot_db')
        return re.sub(r"(?m)^\\(un)?restrict .*\n", "", dump)

    def rows(self) -> dict[str, list[Any]]:
        """Return the rows of the six tables, in the columns that they have."""
        with self.connect() as connection:
            return {
                table: connection.execute(
                    sql.SQL("SELECT to_jsonb(t) FROM {} t ORDER BY id").format(
                        sql.Identifier(table)
                    )
                ).fetchall()
                for table in TABLES
            }

    def edit_settings(self, **values: str) -> None:
        path = self.folder / ".env"
        text = path.read_text()
        for name, value in values.items():
            text, count = re.subn(rf"(?m)^#?{name}=.*$", f"{name}={value}", text)
            assert count == 1, name
        path.write_text(text)

    def ask(
        self, path: str, *, port: str = "8000", token: str = "", body: Any = None
    ) -> Any:
        """Return what the API answers."""
        request = Request(
            f"http://127.0.0.1:{self.ports[port]}/api/v1{path}",
            data=json.dumps(body).encode() if body else None,
            headers={
                "Content-Type": "application/json",
                **({"Authorization": f"Bearer {token}"} if token else {}),
            },
        )
        with urlopen(request, timeout=30) as response:  # noqa: S310
            return json.load(response)

    def log_in(self, email: str, password: str, *, port: str = "8000") -> str:
        body = {"email": email, "password": password}
        return str(self.ask("/auth/login", port=port, body=body)["access_token"])

    def stop(self) -> None:
        pid_file = self.folder / "web.pid"
        if pid_file.exists():
            os.kill(int(pid_file.read_text()), signal.SIGKILL)


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """A running installation of the old program, with rows."""
    with own_server() as server:
        server.start()
        found = Installation(tmp_path, server)
        with psycopg.connect(server.url(), autocommit=True) as connection:
            for role in ("tradebot_user", "tradebot"):
                connection.execute(
                    f"CREATE ROLE {role} SUPERUSER LOGIN PASSWORD '{PASSWORD}'"
                )
            connection.execute("CREATE DATABASE tradebot_db OWNER tradebot_user")
        found.run("cd ../old; docker compose start backend frontend")
        with found.connect() as connection, connection.cursor() as cursor:
            for table in TABLES:
                old_program.insert(cursor, table, HEAD.tables[table])
        try:
            yield found
        finally:
            found.stop()


@pytest.mark.long
@pytest.mark.postgresql
def test_old_installation_goes_over_and_back_and_over_again_as_written(
    installation: Installation,
) -> None:
    run, contents = installation.run, installation.contents
    before, old_rows = contents(), installation.rows()

    # 1. and 2.: nothing of the old database is touched.
    run(block("tradebot.dotenv"))
    installation.edit_settings(
        JWT_SECRET=old_program.SECRET_KEY,
        FERNET_KEYS=old_program.FERNET_KEY,
        POSTGRES_PASSWORD=PASSWORD,
        HTTPS_ONLY="false",
    )
    assert "14 migrations recorded" in run(block("pg_restore"))
    installation.log_in(ADA, PASSWORDS[ADA], port="8001")
    run(block("down --volumes"))
    assert contents() == before

    # 3.
    (override,) = re.findall(r"```yaml\n(.*?)```", SECTION, re.DOTALL)
    (installation.folder / "docker-compose.override.yml").write_text(override)
    plan = run(block("adopt --plan"))
    assert "stands at b7e3f2c1a9d8 and is what that revision makes" in plan
    assert "trading.0006_alter_trade_indexes" in plan
    assert contents() == before

    # 4.: and the old program stays out.
    assert "14 migrations recorded" in run(block("stop backend"))
    assert (installation.folder / "old.dump").stat().st_size > 10_000
    migrated = contents()
    refused = run("alembic upgrade head", succeeds=False)
    assert "Can't locate revision identified by 'taken-over-by-" in refused
    assert contents() == migrated

    # 5.
    checks = run(block("manage.py drift"))
    assert "The schema is the one of this code." in checks
    assert "No drift" in checks
    assert "[X] 0003_merge_documented_heads" in checks
    token = installation.log_in(JUERGEN, PASSWORDS[JUERGEN])
    (key,) = installation.ask("/api-keys/", token=token)
    assert key["api_key_masked"] == "key-****0815"
    with pytest.raises(HTTPError, match="401"):
        installation.log_in(ADA, "Wrong-Horse-7")
    new = {"email": "new@example.com", "password": "Correct-Horse-8"}
    installation.ask("/auth/register", body=new)

    # 6.: with what was written meanwhile.
    given_back = run(block("unadopt"))
    assert "is the old program's again, at b7e3f2c1a9d8" in given_back
    assert "b7e3f2c1a9d8 (head)" in run("alembic current")
    returned = installation.rows()
    assert returned["users"].pop()[0]["email"] == "new@example.com"
    assert returned == old_rows

    # 4. once more, and 7.
    run(block("stop backend"))
    installation.log_in("new@example.com", "Correct-Horse-8")
    assert "is closed" in run(block("--close"))
    closed = contents()
    run("alembic upgrade head", succeeds=False)
    assert contents() == closed


def test_override_file_changes_where_the_database_is_found_only() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    (text,) = re.findall(r"```yaml\n(.*?)```", SECTION, re.DOTALL)
    override = yaml.safe_load(text)

    # All that use the database, but those of Celery.
    assert set(override["services"]) == {"web", "stream", "worker", "bots"}
    for name, service in override["services"].items():
        assert set(service) == {"environment", "networks"}
        known = compose["services"][name]["environment"]
        assert set(service["environment"]) <= set(known)
        assert service["networks"] == ["default", *override["networks"]]
    assert override["networks"]["old"]["external"] is True


def test_every_command_of_the_section_is_in_a_block_that_is_run() -> None:
    tested = Path(__file__).read_text()
    blocks = re.findall(r"```bash\n(.*?)```", SECTION, re.DOTALL)
    asked = re.findall(r'block\("(.+?)"\)', tested)

    assert {block(words) for words in asked} == set(blocks)
