"""Figures for Prometheus, and who may read them."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client, override_settings

from accounts.models import User
from tests.clients import JSONClient, read, read_problem
from tests.factories import make_bot
from tests.processes import SECRETS, database_url, serving

TOKEN = "a token of sixteen characters and more"
READER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.mark.alike
@pytest.mark.parametrize("authorization", ["", "Bearer ", f"Bearer {TOKEN}"])
def test_nobody_reads_without_a_token_in_the_settings(authorization: str) -> None:
    answer = Client().get("/metrics", headers={"Authorization": authorization})

    read_problem(answer, 404)  # type: ignore[arg-type]  # the stubs patch the class


@pytest.mark.alike
@pytest.mark.parametrize("authorization", ["", "Bearer ", "Bearer ü", TOKEN])
@override_settings(METRICS_TOKEN=TOKEN)
def test_nobody_reads_with_another_token(authorization: str) -> None:
    answer = Client().get("/metrics", headers={"Authorization": authorization})

    read_problem(answer, 401)  # type: ignore[arg-type]  # the stubs patch the class
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.alike
@override_settings(METRICS_TOKEN=TOKEN)
def test_requests_and_rows_are_counted(api: JSONClient, user: User) -> None:
    make_bot(user, is_active=True)
    make_bot(user)
    read(api.send("GET", "/trades/77"), 404)
    read(api.send("ODD", "/trades/77"), 405)
    api.send("GET", "/no/such/77")

    text = Client().get("/metrics", headers=READER).content.decode()

    route = 'route="api/v1/trades/<id:pk>"'
    assert (
        f'tradebot_request_seconds_count{{method="GET",{route},status="404"}}' in text
    )
    assert f'{{method="other",{route},status="405"}}' in text
    assert '{method="GET",route="",status="404"}' in text
    assert "/77" not in text
    assert 'tradebot_bots{is_active="true"} 1.0' in text
    assert 'tradebot_bots{is_active="false"} 1.0' in text


@pytest.mark.postgresql
def test_figures_of_all_processes_are_added_up(
    tmp_path: Path, migrated_database: BaseDatabaseWrapper
) -> None:
    settings = {
        **SECRETS,
        "DATABASE_URL": database_url(migrated_database),
        "HTTPS_ONLY": "false",
        "METRICS_TOKEN": TOKEN,
        "TMPDIR": str(tmp_path),
        "WEB_CONCURRENCY": "2",
        "BACKTEST_WORKERS": "0",
        "BOT_RUNNERS": "0",
    }
    command = ["gunicorn", "-c", "tradebot/gunicorn_config.py"]
    with serving(tmp_path, command, **settings) as server:
        for _ in range(40):
            assert server.get("/health").status == 200
        address = f"http://127.0.0.1:{server.port}/metrics"
        request = urllib.request.Request(address, headers=READER)
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            text = answer.read().decode()
        assert len(list(tmp_path.glob("tradebot-*/histogram_*.db"))) == 2
        assert server.stop() == 0
    count = 'tradebot_request_seconds_count{method="GET",route="health",status="200"}'
    assert f"{count} 40.0" in text
    assert list(tmp_path.glob("tradebot-*")) == []
