"""``docs/operations.md`` says what became of every setting of the old program."""

from __future__ import annotations

import re

import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.processes import ROOT
from tradebot import dotenv
from tradebot.env import Environment

OLD_SETTINGS = {
    "ACCESS_TOKEN_EXPIRE_MINUTES",
    "ALGORITHM",
    "BINANCE_RETRY_BACKOFF_BASE",
    "BINANCE_RETRY_MAX_ATTEMPTS",
    "BINANCE_WEIGHT_THRESHOLD",
    "CELERY_BROKER_URL",
    "CELERY_RESULT_BACKEND",
    "CELERY_TASK_SOFT_TIME_LIMIT",
    "CELERY_TASK_TIME_LIMIT",
    "DATABASE_URL",
    "ENABLE_FUTURES_WARMUP_ON_STARTUP",
    "ENABLE_SPOT_WARMUP_ON_STARTUP",
    "ENVIRONMENT",
    "FERNET_KEY",
    "FROM_EMAIL",
    "FRONTEND_URL",
    "FUTURES_SYMBOLS_CACHE_TTL_SECONDS",
    "FUTURES_SYMBOLS_WARMUP_INTERVAL_SECONDS",
    "LIVE_TRADING_ENABLED",
    "LOG_LEVEL",
    "REDIS_URL",
    "REMEMBER_ME_EXPIRE_MINUTES",
    "SECRET_KEY",
    "SMTP_PASSWORD",
    "SMTP_PORT",
    "SMTP_SERVER",
    "SMTP_USERNAME",
    "SPOT_SYMBOLS_CACHE_TTL_SECONDS",
    "SPOT_SYMBOLS_WARMUP_INTERVAL_SECONDS",
    "SQLALCHEMY_ECHO",
    "SYNC_DATABASE_URL",
    "TESTNET_URL",
    "TRADE_WEBHOOK_URL",
    "VALIDATE_API_ON_TESTNET",
}
_, _, SECTION = (
    (ROOT / "docs" / "operations.md")
    .read_text()
    .partition("\n## Settings of the old program\n")
)
ROWS = [
    tuple(cell.strip() for cell in row.strip("|").split("|"))
    for row in re.findall(r"^\| `.*\|$", SECTION.partition("\n## ")[0], re.MULTILINE)
]


def _names(cell: str) -> list[str]:
    return re.findall(r"`([A-Z_]+)(?:=\w+)?`", cell)


@pytest.mark.sqlite
def test_every_old_setting_has_a_row() -> None:
    assert sorted(name for old, *_ in ROWS for name in _names(old)) == sorted(
        OLD_SETTINGS
    )


@pytest.mark.sqlite
def test_every_row_names_a_setting_that_exists_or_says_why_there_is_none() -> None:
    existing = re.findall(r"^#?([A-Z_]+)=", dotenv.EXAMPLE.read_text(), re.MULTILINE)

    for old, here, explanation in ROWS:
        assert here == "–" or set(_names(here)) <= set(existing), old
        assert here == "–" or len(_names(here)) == 1, old
        assert explanation, old
        # What the explanation recommends exists as well.
        assert set(_names(explanation)) <= {*existing, *OLD_SETTINGS}, old


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("postgresql://tradebot:s%40cret@db:5432/tradebot", True),
        ("postgres://tradebot:s%40cret@db:5432/tradebot", True),
        ("postgresql+asyncpg://tradebot:s%40cret@db:5432/tradebot", False),
    ],
)
def test_old_database_url_is_taken_without_its_driver(
    url: str, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    env = Environment(ROOT / "no such file", frozenset())

    if taken:
        assert env.database("DATABASE_URL", default="", base=ROOT)["PASSWORD"] == (
            "s@cret"
        )
    else:
        with pytest.raises(ImproperlyConfigured, match="postgres://"):
            env.database("DATABASE_URL", default="", base=ROOT)
