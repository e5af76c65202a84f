"""Results as CSV, and the symbols of a market in the envelope of backtests."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.http import HttpResponse
from django.utils import timezone

from accounts.models import User
from tests.clients import JSONClient, read, read_problem
from tests.factories import make_backtest
from trading.models import Symbol, SymbolList

pytestmark = pytest.mark.alike


def lines(response: HttpResponse) -> list[str]:
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    text = response.content.decode()
    assert text.endswith("\r\n")
    return text[:-2].split("\r\n")


def test_days_have_what_each_brought(api: JSONClient, user: User) -> None:
    backtest = make_backtest(
        user,
        symbol="BTC/USDT",
        initial_capital=1000,
        daily_results=[
            {
                "date": "2025-01-01",
                "pnl_pct": 1.5,
                "trades": 2,
                "capital": 1015.1234567,
            },
            {"date": "2025-01-03", "trades": 1, "capital": 985},
            {"date": "2025-01-04", "trades": 1, "capital": 985.0000001},
        ],
    )

    response = api.send("GET", f"/backtest/download/{backtest.pk}/daily.csv")

    # 1015.1234567 − 1000, 985 − 1015.1234567, 985.0000001 − 985
    assert lines(response) == [
        "date,pnl_usdt,trades,capital",
        "2025-01-01,15.123457,2,1015.123457",
        "2025-01-03,-30.123457,1,985",
        "2025-01-04,0,1,985",
    ]
    assert response.headers["Content-Disposition"] == (
        f"attachment; filename=backtest_{backtest.pk}_BTC_USDT_daily.csv"
    )


def test_months_are_in_order_with_all_digits(api: JSONClient, user: User) -> None:
    backtest = make_backtest(
        user,
        symbol="币安\r\nX: y",
        monthly_results={
            "2025-02": {"pnl_pct": -0.1234567890123, "trades": 3},
            "2024-12": {"pnl_pct": 1e-07, "trades": 10},
        },
    )

    response = api.send("GET", f"/backtest/download/{backtest.pk}/monthly.csv")

    assert lines(response) == [
        "month,pnl_pct,trades",
        "2024-12,0.0000001,10",
        "2025-02,-0.1234567890123,3",
    ]
    assert response.headers["Content-Disposition"] == (
        f"attachment; filename=backtest_{backtest.pk}_____X__y_monthly.csv"
    )


@pytest.mark.parametrize("kind", ["daily", "monthly"])
@pytest.mark.parametrize("results", [None, [], {}, "text", 5, [None], {"a": None}])
def test_file_without_results_is_its_header(
    api: JSONClient, user: User, kind: str, results: Any
) -> None:
    backtest = make_backtest(user, daily_results=results, monthly_results=results)

    response = api.send("GET", f"/backtest/download/{backtest.pk}/{kind}.csv")

    assert len(lines(response)) == 1


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "_1_1"),
        ("+1", "_1"),
        ("-1", "_1"),
        ("@SUM(A1)", "_SUM_A1_"),
        ("\t=1", "__1"),
        ('a,"b"\r\n', "a__b___"),
        ("2025-01-01 10:00", "2025-01-01 10:00"),
    ],
)
def test_text_is_no_formula_and_needs_no_quotes(
    api: JSONClient, user: User, text: str, cell: str
) -> None:
    backtest = make_backtest(
        user, daily_results=[{"date": text}], monthly_results={text: {}}
    )
    path = f"/backtest/download/{backtest.pk}"

    assert lines(api.send("GET", f"{path}/daily.csv"))[1:] == [f"{cell},,,"]
    assert lines(api.send("GET", f"{path}/monthly.csv"))[1:] == [f"{cell},,"]


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        (True, ""),
        ("1", ""),
        ("=1", ""),
        ([], ""),
        (1e308, "1" + "0" * 308),
        (-0.0, "0"),
        (-2, "-2"),
    ],
)
def test_number_is_one_or_is_left_out(
    api: JSONClient, user: User, value: Any, cell: str
) -> None:
    backtest = make_backtest(
        user, daily_results=[{"date": "d", "trades": value, "capital": value}]
    )

    response = api.send("GET", f"/backtest/download/{backtest.pk}/daily.csv")

    assert lines(response)[1] == f"d,{cell},{cell},{cell}"


def test_trades_of_the_old_program_were_not_stored(api: JSONClient, user: User) -> None:
    backtest = make_backtest(user)

    response = api.send("GET", f"/backtest/download/{backtest.pk}/trades.csv")

    assert "Run it again" in read_problem(response, 409)["detail"]


@pytest.mark.parametrize("kind", ["daily", "monthly", "trades"])
def test_backtest_of_another_is_missing(
    user: User, stranger: JSONClient, kind: str
) -> None:
    backtest = make_backtest(user)

    response = stranger.send("GET", f"/backtest/download/{backtest.pk}/{kind}.csv")

    read_problem(response, 404)


def test_symbols_are_the_first_hundred(api: JSONClient) -> None:
    fetched = timezone.now() - dt.timedelta(seconds=10)
    SymbolList.objects.create(market="spot", fetched_at=fetched, tried_at=fetched)
    Symbol.objects.bulk_create(
        Symbol(
            market="spot",
            symbol=f"{base}USDT",
            base_asset=base,
            quote_asset="USDT",
            status="TRADING",
        )
        for base in ["BTC", *(f"A{number:03}" for number in range(120))]
    )

    response = api.send("GET", "/backtest/symbols/SPOT")

    content = read(response)
    assert content["status"] == "success"
    data = content["data"]
    assert (data["market_type"], data["count"], len(data["symbols"])) == (
        ("spot", 100, 100)
    )
    assert data["symbols"][0] == {
        "symbol": "BTCUSDT",
        "baseAsset": "BTC",
        "quoteAsset": "USDT",
        "status": "TRADING",
        "market_type": "spot",
    }
    assert response.headers["Age"] in {"10", "11"}


def test_symbols_of_a_market_that_is_none_are_a_bad_request(api: JSONClient) -> None:
    response = api.send("GET", "/backtest/symbols/margin")

    assert "spot or futures" in read_problem(response, 400)["detail"]
