"""Dockerfile and docker-compose.yml, as far as they tell without an engine."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.test import override_settings

from backtests.tasks import QUEUE
from tests.processes import ROOT


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def instructions() -> list[str]:
    """Return the Dockerfile's instructions, each in one line."""
    text = re.sub(r"(?m)^#.*\n", "", (ROOT / "Dockerfile").read_text())
    return [line for line in text.replace("\\\n", " ").splitlines() if line]


@pytest.mark.sqlite
def test_compose_waits_for_the_database(compose: Any) -> None:
    db = compose["services"]["db"]
    for name in ("web", "stream", "worker", "bots"):
        depends_on = compose["services"][name]["depends_on"]
        assert depends_on == {"db": {"condition": "service_healthy"}}
    assert db["healthcheck"]["test"][1] == "pg_isready"
    assert db["volumes"] == ["db:/var/lib/postgresql/data"]
    assert compose["volumes"] == {"db": None}


@pytest.mark.sqlite
def test_compose_publishes_the_proxy_only(compose: Any) -> None:
    published = {
        name: service["ports"]
        for name, service in compose["services"].items()
        if "ports" in service
    }
    assert published == {"proxy": ["${WEB_ADDRESS:-127.0.0.1}:${WEB_PORT:-8000}:8080"]}


@pytest.mark.sqlite
def test_compose_serves_streams_where_they_hold_no_thread(compose: Any) -> None:
    web, stream = compose["services"]["web"], compose["services"]["stream"]
    assert web["environment"]["WEB_WORKER"] == "wsgi"
    assert "command" not in web  # so it migrates
    assert stream["environment"]["WEB_WORKER"] == "asgi"
    assert stream["command"] == ["gunicorn", "-c", "tradebot/gunicorn_config.py"]


@pytest.mark.sqlite
def test_compose_runs_backtests_and_bots_in_containers_of_their_own(
    compose: Any,
) -> None:
    services = compose["services"]
    for name in ("web", "stream"):
        assert services[name]["environment"]["BACKTEST_WORKERS"] == 0
        assert services[name]["environment"]["BOT_RUNNERS"] == 0
    assert services["worker"]["command"] == ["python", "manage.py", "runworker"]
    assert services["bots"]["command"] == ["python", "manage.py", "runbots"]


@pytest.mark.sqlite
def test_compose_keeps_bots_and_backtests_of_celery_apart(compose: Any) -> None:
    celery, beside, beat = (
        compose["services"][name] for name in ("celery", "celery-backtests", "beat")
    )
    assert "-Q" not in celery["command"]
    assert beside["command"][3:6] == ["worker", "-Q", QUEUE]
    assert beat["command"][3] == "beat"
    assert celery["profiles"] == beside["profiles"] == beat["profiles"] == ["celery"]
    assert beside["environment"] == celery["environment"] == beat["environment"]
    assert beside["depends_on"] == celery["depends_on"]


@pytest.mark.sqlite
def test_compose_trusts_its_own_network_only(compose: Any) -> None:
    (network,) = compose["networks"]["default"]["ipam"]["config"]
    for name in ("web", "stream"):
        trusted = compose["services"][name]["environment"]["TRUSTED_PROXIES"]
        assert trusted.partition("$")[0] == network["subnet"]


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "name",
    [
        *("web", "stream", "worker", "bots", "proxy"),
        *("redis", "celery", "celery-backtests", "beat"),
    ],
)
def test_compose_confines_the_servers(compose: Any, name: str) -> None:
    service = compose["services"][name]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]  # noqa: S108 -- a path in the container
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True


@pytest.mark.sqlite
def test_compose_takes_its_password_from_env_and_refuses_none(compose: Any) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert text.count("POSTGRES_PASSWORD") == 1 + text.count("${POSTGRES_PASSWORD:?")
    for name in ("web", "stream", "worker", "bots"):
        service = compose["services"][name]
        assert service["env_file"] == ".env"
        # Over what .env may say for a server outside of the container.
        assert {"BIND", "DATABASE_URL"} <= set(service["environment"])


@pytest.mark.sqlite
def test_compose_waits_longer_than_the_server(compose: Any) -> None:
    config = (ROOT / "tradebot" / "gunicorn_config.py").read_text()
    graceful = re.search(r"^graceful_timeout = (\d+)$", config, re.MULTILINE)
    assert graceful is not None
    for name in ("web", "stream"):
        period = compose["services"][name]["stop_grace_period"]
        assert int(period.removesuffix("s")) > int(graceful[1])


@pytest.mark.sqlite
def test_image_runs_as_a_user_of_its_own() -> None:
    lines = instructions()
    last = lines[max(i for i, line in enumerate(lines) if line.startswith("FROM")) :]
    assert "USER 10001:10001" in last
    assert last[-1] == 'ENTRYPOINT ["/app/tradebot/entrypoint.sh"]'
    assert not [line for line in last if "pip" in line or "apt" in line]
    assert not [
        line
        for line in lines
        if line.startswith(("ARG", "ENV")) and re.search("SECRET|KEY|PASSWORD", line)
    ]
    assert (ROOT / "tradebot" / "entrypoint.sh").stat().st_mode & 0o111 == 0o111


@pytest.mark.sqlite
def test_image_has_what_the_server_needs_and_no_more() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert allowed == {*packages, ".env.example", "manage.py", "requirements.txt"}


@pytest.mark.sqlite
def test_static_files_can_be_hashed_as_the_image_does(tmp_path: Path) -> None:
    storage = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
    with override_settings(
        STATIC_ROOT=str(tmp_path), STORAGES={"staticfiles": {"BACKEND": storage}}
    ):
        call_command("collectstatic", interactive=False, stdout=StringIO())
    assert (tmp_path / "staticfiles.json").exists()
