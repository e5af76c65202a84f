"""Figures and periods of runs that can be computed by hand."""

from __future__ import annotations

from decimal import Decimal as D

import numpy as np
import pytest

from tests.trading.engine.bars import FLAT_BAR, NEW_YEAR_MS, Bar, candles, run
from trading.engine.backtest import BacktestResult
from trading.engine.metrics import (
    max_drawdown,
    metrics,
    sharpe,
    sortino,
)
from trading.engine.periods import daily_results, day_ends, monthly_results
from trading.engine.types import DAY_MS, Reason

pytestmark = pytest.mark.sqlite  # no database

RETURNS = np.array([0.01, -0.005, 0.007, -0.002, 0])
WIN: Bar = (100, 102, 100, 100)  # target 101.5
LOSS: Bar = (100, 100, 99, 100)  # stop 99.5
IDLE = FLAT_BAR


def year(bars: dict[int, Bar], *, days: int) -> BacktestResult:
    """Return a run of daily bars that trades on those that are given, flat between."""
    return run(
        [bars.get(day, IDLE) for day in range(days)],
        [1 if day + 1 in bars else 0 for day in range(days)],
        interval="1d",
        size_by="quote",
        size=D(100),
        taker_fee=D("0.001"),
        maker_fee=D("0.0005"),
    )


def test_ratios_of_the_vector() -> None:
    assert sharpe(RETURNS, days_a_year=252) == pytest.approx(5.0516, abs=5e-5)
    assert sortino(RETURNS, days_a_year=252) == pytest.approx(13.1831, abs=5e-5)
    assert sharpe(RETURNS) == pytest.approx(6.0796, abs=5e-5)
    assert sortino(RETURNS) == pytest.approx(15.8658, abs=5e-5)
    equity = np.append(1, np.cumprod(1 + RETURNS))
    assert max_drawdown(equity) == pytest.approx(-0.5)


def test_ratios_that_cannot_be_told_are_none() -> None:
    assert sharpe(np.array([0.01])) is None
    assert sharpe(np.array([0.0, 0.0])) is None
    assert sortino(np.array([0.01, 0.0])) is None


def test_drawdown_of_a_first_day_that_loses() -> None:
    assert max_drawdown(np.array([1000.0, 900, 950])) == pytest.approx(-10)


def test_figures_of_three_trades() -> None:
    # One unit each. +1.50 less 0.10 and 0.05075; twice -0.50 less 0.10 and 0.0995.
    found = metrics(year({2: WIN, 4: LOSS, 5: LOSS}, days=40))
    won, lost = 1.5 - 0.15075, -0.5 - 0.1995
    final = 1000 + won + 2 * lost
    assert found.final_capital == pytest.approx(final)
    assert found.total_return == pytest.approx((final / 1000 - 1) * 100)
    counts = (found.total_trades, found.winning_trades, found.losing_trades)
    assert (*counts, found.break_even_trades) == (3, 1, 2, 0)
    assert found.win_rate == pytest.approx(100 / 3)
    assert found.total_fees == pytest.approx(0.15075 + 2 * 0.1995)
    assert found.total_slippage == 0
    assert found.avg_profit == pytest.approx((won + 2 * lost) / 3)
    assert (found.avg_win, found.avg_loss) == pytest.approx((won, lost))
    assert (found.best_trade, found.worst_trade) == pytest.approx((won, lost))
    assert found.max_consecutive_losses == 2
    assert found.profit_factor == pytest.approx(won / -(2 * lost))
    peak = 1000 + won
    assert found.max_drawdown == pytest.approx((final / peak - 1) * 100)
    assert found.exposure == pytest.approx(3 / 40 * 100)
    assert found.exits == {"SL": 2, "TP": 1}
    assert found.cagr == pytest.approx(((final / 1000) ** (365 / 40) - 1) * 100)
    assert found.sharpe is not None
    assert found.sortino is not None


def test_figures_without_a_trade_are_none_and_not_zero() -> None:
    found = metrics(year({}, days=10))
    assert (found.total_trades, found.total_return, found.max_drawdown) == (0, 0, 0)
    unknown = (
        found.win_rate, found.avg_profit, found.avg_win, found.avg_loss,
        found.best_trade, found.worst_trade, found.profit_factor, found.sharpe,
        found.sortino, found.cagr,
    )  # fmt: skip
    assert set(unknown) == {None}
    assert (found.exits, found.max_consecutive_losses) == ({}, 0)


def test_profit_factor_without_a_loss_is_none() -> None:
    assert metrics(year({2: WIN}, days=10)).profit_factor is None


def test_trade_that_ends_where_it_began_is_neither_won_nor_lost() -> None:
    found = metrics(run([IDLE] * 5, [0, 1, -1]))
    counts = (found.winning_trades, found.losing_trades, found.break_even_trades)
    assert (*counts, found.win_rate) == (0, 0, 1, 0)


def test_growth_of_less_than_a_month_is_none() -> None:
    assert metrics(year({2: WIN}, days=29)).cagr is None
    assert metrics(year({2: WIN}, days=30)).cagr is not None


def test_effective_risk_is_less_where_the_capital_buys_less() -> None:
    # 2 % of risk ask for 40 units, 95 % of 1,000 buy 9.5; each loses 0.5 at its stop.
    assert metrics(run([IDLE] * 4, [0, 1])).effective_risk == pytest.approx(0.475)
    futures = run([IDLE] * 4, [0, 1], market="futures", leverage=10)
    assert metrics(futures).effective_risk == pytest.approx(2)
    assert metrics(run([IDLE] * 4, [])).effective_risk is None


def test_account_that_is_lost_has_no_ratios() -> None:
    # 125 times the margin: two commissions of 5 % are more than there is.
    ruin = run(
        [IDLE] * 4,
        [0, 1, -1],
        interval="1d",
        market="futures",
        leverage=125,
        size_by="quote",
        size=D(12_000),
        taker_fee=D("0.05"),
    )
    found = metrics(ruin)
    assert found.final_capital == pytest.approx(1000 - 600 - 600)
    assert (found.sharpe, found.sortino, found.cagr) == (None, None, None)
    assert found.max_drawdown == pytest.approx(-120)


def test_bar_of_two_positions_is_held_once() -> None:
    result = run(
        [IDLE] * 10, [0, 1, 0, 0, -1, 0, 1], market="futures", allow_short=True
    )
    assert metrics(result).exposure == pytest.approx(80)


def test_days_and_months_are_those_in_which_trades_end_in_the_documented_shape() -> (
    None
):
    result = year({2: WIN, 31: LOSS}, days=33)  # the 3rd of January and 1st of February
    assert daily_results(result) == [
        {"date": "2022-01-03", "pnl_pct": 0.134925, "trades": 1, "capital": 1001.34925},
        {
            "date": "2022-02-01",
            "pnl_pct": pytest.approx(-0.6995 / 1001.34925 * 100),
            "trades": 1,
            "capital": pytest.approx(1001.34925 - 0.6995),
        },
    ]
    assert monthly_results(result) == {
        "2022-01": {"pnl_pct": 0.134925, "trades": 1},
        "2022-02": {"pnl_pct": daily_results(result)[1]["pnl_pct"], "trades": 1},
    }


def test_trades_count_on_the_day_on_which_they_end() -> None:
    result = run([IDLE] * 30, [0] * 20 + [1, 0, 0, 0, 0, -1, 1], interval="1h")
    assert result.trades.entry_bar.tolist() == [21, 27]  # on the 1st and on the 2nd
    assert result.trades.exit_bar.tolist() == [26, 29]
    (day,) = daily_results(result)
    assert (day["date"], day["trades"]) == ("2022-01-02", 2)
    assert day["capital"] == pytest.approx(result.equity[-1])


def test_days_and_months_add_up_to_the_run() -> None:
    result = run(
        [WIN, IDLE, LOSS] * 40, [1, 0, -1, 0, 1] * 24, interval="8h", take_profit=None
    )
    days, months = daily_results(result), monthly_results(result)
    for periods in (days, list(months.values())):
        grown = np.prod([1 + one["pnl_pct"] / 100 for one in periods])
        assert grown == pytest.approx(result.equity[-1] / 1000)
        assert sum(one["trades"] for one in periods) == len(result.trades)
    assert days[-1]["capital"] == pytest.approx(result.equity[-1])
    assert {day["date"][:7] for day in days} == set(months) > {"2022-01"}


def test_run_without_a_trade_has_no_days() -> None:
    result = run([IDLE] * 4, [])
    assert (daily_results(result), monthly_results(result)) == ([], {})


@pytest.mark.parametrize("interval", ["1h", "8h", "1d"])
@pytest.mark.parametrize("bars", [1, 2, 60])
@pytest.mark.parametrize("late_ms", [0, 1, 5 * 3_600_000, DAY_MS - 1])
def test_days_end_where_the_date_changes(
    interval: str, bars: int, late_ms: int
) -> None:
    made = candles(*[IDLE] * bars, interval=interval, start_ms=NEW_YEAR_MS + late_ms)
    changes = np.flatnonzero(np.diff(made.open_time // DAY_MS)) + 1
    assert day_ends(made).tolist() == [*changes.tolist(), bars]


def test_records_are_rounded_once_and_have_their_times() -> None:
    result = year({2: WIN}, days=4)
    (record,) = result.trades.records(result.candles)
    assert record.pnl == D("1.34925")
    assert (record.entry_price, record.exit_price) == (D(100), D("101.5"))
    assert record.units == 1
    assert (record.entry_fee, record.exit_fee) == (D("0.1"), D("0.05075"))
    assert record.capital == D("1001.34925")
    assert record.reason is Reason.TP
    assert record.entry_time == record.exit_time == result.candles.open_time[2]
