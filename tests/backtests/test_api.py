from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from backtests.models import Backtest
from tests.clients import JSONClient, read, read_problem
from tests.factories import make_backtest

LIST = "/backtest/list"
KEYS = [
    *("id", "symbol", "interval", "start_date", "end_date", "parameters"),
    *("initial_capital", "final_capital", "total_return", "total_trades"),
    *("winning_trades", "losing_trades", "win_rate", "total_fees", "avg_profit"),
    *("daily_results", "monthly_results", "test_mode", "market_type", "leverage"),
    "created_at",
    *("strategy", "max_drawdown", "sharpe", "sortino", "profit_factor", "cagr"),
    *("metrics", "warnings", "equity_curve", "data_source", "seed"),
    *("engine_version", "filters", "candles", "fingerprint"),
]


def detail(backtest: Backtest) -> str:
    return f"/backtest/detail/{backtest.pk}"


def delete(backtest: Backtest) -> str:
    return f"/backtest/delete/{backtest.pk}"


def test_list_has_own_fifty_newest(
    api: JSONClient,
    user: User,
    stranger: JSONClient,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    now = timezone.now()
    made = [
        make_backtest(user, created_at=now - dt.timedelta(days=days))
        for days in (2, 0, *range(3, 51))
    ]
    make_backtest(user, created_at=now - dt.timedelta(days=99))

    with django_assert_num_queries(3):  # who asks, the list, how many
        content = read(api.send("GET", LIST))

    assert content["status"] == "success"
    ids = [one["id"] for one in content["data"]]
    assert ids[:2] == [made[1].pk, made[0].pk]
    assert len(ids) == 50
    assert set(ids) == {backtest.pk for backtest in made}
    assert read(stranger.send("GET", LIST)) == {"status": "success", "data": []}


def test_list_row_has_documented_fields(api: JSONClient, user: User) -> None:
    backtest = make_backtest(
        user, total_return=12.3456, win_rate=float("inf"), total_trades=7
    )

    (row,) = read(api.send("GET", LIST))["data"]

    assert row == {
        "id": backtest.pk,
        "symbol": "BTCUSDT",
        "interval": "1h",
        "start_date": "2025-01-01",
        "end_date": "2025-02-01",
        "total_return": 12.35,
        "win_rate": None,
        "total_trades": 7,
        "test_mode": "false",
        "created_at": row["created_at"],
    }
    assert row["created_at"].endswith("+00:00")


def test_detail_has_documented_fields(api: JSONClient, user: User) -> None:
    days = [{"date": "2025-01-01", "pnl_pct": 0.1, "trades": 1, "capital": 1000.5}]
    months = {"2025-01": {"pnl_pct": 0.1, "trades": 1}}
    backtest = make_backtest(
        user,
        parameters={"leverage": 20, "own": "kept"},
        daily_results=days,
        monthly_results=months,
        total_return=1.005,
        final_capital=1000.123456,
        market_type="futures",
    )

    content = read(api.send("GET", detail(backtest)))

    assert content["status"] == "success"
    data = content["data"]
    assert list(data) == KEYS
    assert (data["daily_results"], data["monthly_results"]) == (days, months)
    assert (data["total_return"], data["final_capital"]) == (1.0, 1000.123456)
    assert (data["market_type"], data["leverage"]) == ("futures", 20)
    assert data["parameters"] == {"leverage": 20, "own": "kept", "max_daily_trades": 5}
    assert (data["sharpe"], data["metrics"]) == (None, None)


@pytest.mark.parametrize(
    ("market_type", "parameters", "leverage", "max_daily_trades"),
    [
        ("spot", {"leverage": 20, "max_daily_trades": 0}, 1, 1),
        ("futures", {"leverage": "25", "max_daily_trades": "51"}, 25, 50),
        ("futures", {"leverage": 126, "max_daily_trades": 7.9}, 10, 7),
        ("futures", {"leverage": None, "max_daily_trades": None}, 10, 5),
        ("futures", [], 10, 5),
    ],
)
def test_detail_completes_parameters(
    api: JSONClient,
    user: User,
    market_type: str,
    parameters: Any,
    leverage: int,
    max_daily_trades: int,
) -> None:
    backtest = make_backtest(user, market_type=market_type, parameters=parameters)

    data = read(api.send("GET", detail(backtest)))["data"]

    assert data["leverage"] == leverage
    assert data["parameters"] == {
        "leverage": leverage,
        "max_daily_trades": max_daily_trades,
    }


def test_delete_answers_with_a_body(api: JSONClient, user: User) -> None:
    backtest = make_backtest(user)

    content = read(api.send("DELETE", delete(backtest)))

    assert set(content) == {"status", "message"}
    assert content["status"] == "success"
    assert not Backtest.objects.exists()
    read_problem(api.send("DELETE", delete(backtest)), 404)


@pytest.mark.parametrize(("method", "path"), [("GET", detail), ("DELETE", delete)])
def test_someone_elses_backtest_is_missing(
    stranger: JSONClient, user: User, method: str, path: Any
) -> None:
    backtest = make_backtest(user)

    foreign = stranger.send(method, path(backtest))
    backtest.pk = 999_999
    missing = stranger.send(method, path(backtest))

    assert read_problem(foreign, 404) == read_problem(missing, 404)
    assert Backtest.objects.exists()
