"""The simulation on bars that can be checked by hand."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest

from tests.trading.engine.bars import (
    FLAT_BAR,
    FREE,
    NEW_YEAR_MS,
    Bar,
    Scripted,
    candles,
    run,
)
from trading.engine.backtest import BacktestResult, fingerprint, run_backtest
from trading.engine.rules import Rules
from trading.engine.strategies import STRATEGIES
from trading.engine.types import EngineError, Reason, Skip

pytestmark = pytest.mark.sqlite  # no database

DAY_MINUTES = 1440
FUTURES: dict[str, Any] = {"market": "futures", "allow_short": True}
BARE: dict[str, Any] = {"stop_loss": None, "take_profit": None, "size_by": "equity"}
BARE["size"] = D("0.5")
# Stop 0.5 %, target 1.5 %, trailing 0.3 %, risk 2 % of 1,000: capped at 9.5 units.
USUAL: dict[str, Any] = {"trailing_stop": D("0.003")}


def trades(backtest: BacktestResult) -> list[tuple[int, int, float, float, Reason]]:
    """Return entry bar, exit bar, entry price, exit price and reason of each trade."""
    t = backtest.trades
    return [
        (*row, Reason(reason))
        for *row, reason in zip(
            t.entry_bar.tolist(),
            t.exit_bar.tolist(),
            t.entry_price.tolist(),
            [round(price, 8) for price in t.exit_price.tolist()],
            t.reason.tolist(),
            strict=True,
        )
    ]


# Two flat bars with a signal at the second, then these; what follows is a long trade
# that begins in bar 2 at 100: its last bar, the price there, and why.
CASES: dict[str, tuple[list[Bar], tuple[int, float, Reason]]] = {
    # 101.2 · 0.997 = 100.8964, from the bar after the peak.
    "A trailing": (
        [(100, 101.2, 100, 101.2), (101.2, 101.2, 99.8, 99.8), (99.8,) * 4],
        (3, 100.8964, Reason.TRAIL),
    ),
    "B trailing, not the stop": (
        [(100, 101.2, 100, 101.2), (101.2, 101.2, 99.4, 99.4)],
        (3, 100.8964, Reason.TRAIL),
    ),
    "C drop": ([(100, 100, 99.4, 99.4)], (2, 99.7, Reason.TRAIL)),
    "C2 gap": ([FLAT_BAR, (90, 90, 89, 89)], (3, 90, Reason.TRAIL)),
    "D both": ([(100, 102, 98, 99)], (2, 99.7, Reason.TRAIL)),
    "target": ([(100, 101.5, 99.8, 101)], (2, 101.5, Reason.TP)),
    "target beyond a gap": (
        [(100, 101, 100, 101), (103, 104, 102, 103)],
        (3, 103, Reason.TP),
    ),
    "end": ([(100, 100.2, 99.9, 100.1)], (2, 100.1, Reason.END)),
}


@pytest.mark.parametrize("name", CASES)
def test_exit_of_a_long_trade(name: str) -> None:
    bars, (exit_bar, price, reason) = CASES[name]
    result = run([FLAT_BAR, FLAT_BAR, *bars], [0, 1], **USUAL)
    assert trades(result) == [(2, exit_bar, 100, price, reason)]
    assert result.trades.units.tolist() == [9.5]
    assert result.equity[-1] == pytest.approx(1000 + 9.5 * (price - 100), rel=1e-12)


def test_trailing_stop_gains_what_the_arithmetic_says() -> None:
    bars, *_ = CASES["B trailing, not the stop"]
    result = run([FLAT_BAR, FLAT_BAR, *bars], [0, 1], **USUAL)
    assert result.trades.pnl[0] == pytest.approx(8.5158)  # 9.5 · 0.8964


def test_stop_without_trailing_is_the_stop_loss() -> None:
    result = run([FLAT_BAR, FLAT_BAR, (100, 102, 98, 99)], [0, 1])
    assert trades(result) == [(2, 2, 100, 99.5, Reason.SL)]


def test_signals_while_in_a_position_open_no_other() -> None:
    bars = [FLAT_BAR] * 6 + [(100, 101.5, 100, 101.5)]
    result = run(bars, [0, 1, 1, 1, 1, 1], **USUAL)
    assert trades(result) == [(2, 6, 100, 101.5, Reason.TP)]
    assert result.equity[-1] == pytest.approx(1014.25)


def test_signal_on_the_last_bar_has_no_next_one() -> None:
    result = run([FLAT_BAR] * 3, [0, 0, 1], taker_fee=D("0.001"))
    assert len(result.trades) == 0
    assert result.equity.tolist() == [1000] * 4


def test_liquidation_loses_the_margin_and_no_more() -> None:
    # 22.2222 units at 100, ten times the margin of 222.222; 100 · (1 - 1/10 + 0.004).
    sizes = {"size_by": "quote", "size": D("2222.22"), "leverage": 10}
    result = run(
        [FLAT_BAR, FLAT_BAR, FLAT_BAR, (95, 95, 60, 60)],
        [0, 1],
        **{**BARE, **FUTURES, **sizes},
    )
    assert trades(result) == [(2, 3, 100, 90.4, Reason.LIQUIDATION)]
    assert result.equity[-1] == pytest.approx(1000 - 222.222)


def test_short_is_liquidated_above_its_entry() -> None:
    sizes = {"size_by": "quote", "size": D(2000), "leverage": 10}
    result = run(
        [FLAT_BAR, FLAT_BAR, (100, 110, 100, 110)],
        [0, -1],
        **{**BARE, **FUTURES, **sizes},
    )
    assert trades(result) == [(2, 2, 100, 109.6, Reason.LIQUIDATION)]
    assert result.equity[-1] == pytest.approx(800)


def test_gap_beyond_liquidation_loses_no_more_than_the_margin() -> None:
    sizes = {"size_by": "quote", "size": D(2000), "leverage": 10}
    result = run(
        [FLAT_BAR, FLAT_BAR, FLAT_BAR, (50, 50, 40, 40)],
        [0, 1, -1],  # the signal to leave comes too late
        **{**BARE, **FUTURES, **sizes},
    )
    assert trades(result) == [(2, 3, 100, 50, Reason.LIQUIDATION)]
    assert result.equity[-1] == pytest.approx(800)


def test_daily_bars_trade() -> None:
    bars = [FLAT_BAR, FLAT_BAR, FLAT_BAR, (100, 102, 100, 102)]
    result = run(bars, [0, 1], interval="1d")
    assert trades(result) == [(2, 3, 100, 101.5, Reason.TP)]


def test_entry_is_at_the_next_open_worse_by_slippage() -> None:
    bars: list[Bar] = [FLAT_BAR, (100, 120, 100, 120), (110, 115, 105, 112)]
    result = run(bars, [0, 1], slippage=D("0.01"), **BARE)
    assert trades(result) == [(2, 2, 110 * 1.01, round(112 * 0.99, 8), Reason.END)]
    # 500 are 4.5004… units; 1.10 a unit when bought, 1.12 when sold.
    assert result.trades.slippage[0] == pytest.approx(500 / 111.1 * (1.1 + 1.12))


def test_signal_against_a_position_closes_it_at_the_next_open() -> None:
    bars: list[Bar] = [FLAT_BAR] * 4 + [(102, 103, 101, 103), FLAT_BAR]
    result = run(bars, [0, 1, 0, -1], **BARE)
    assert trades(result) == [(2, 4, 100, 102, Reason.SIGNAL)]


def test_signal_turns_a_position_around_where_shorts_are_allowed() -> None:
    bars: list[Bar] = [FLAT_BAR] * 4 + [(102, 103, 101, 103), FLAT_BAR]
    result = run(bars, [0, 1, 0, -1], **BARE, **FUTURES)
    assert trades(result) == [
        (2, 4, 100, 102, Reason.SIGNAL),
        (4, 5, 102, 100, Reason.END),
    ]
    assert result.trades.direction.tolist() == [1, -1]
    # 5 units gain 2 each; half of 1,010 are sold at 102 and gain 2 of that.
    assert result.equity[-1] == pytest.approx(1010 + 505 / 102 * 2)


def test_futures_without_shorts_are_long_only() -> None:
    result = run([FLAT_BAR] * 4, [0, -1, -1], market="futures")
    assert len(result.trades) == 0


def test_decision_taken_in_a_position_is_void_after_its_stop() -> None:
    # The stop is hit at the open of bar 3, where the signal of bar 2 would enter.
    bars: list[Bar] = [FLAT_BAR] * 3 + [(99, 99, 99, 99)] * 3
    result = run(bars, [0, 1, 1, 0, 1])
    assert trades(result)[0] == (2, 3, 100, 99, Reason.SL)
    assert [row[0] for row in trades(result)] == [2, 5]


def test_stop_in_a_bar_lets_its_close_decide_anew() -> None:
    bars: list[Bar] = [FLAT_BAR] * 3 + [(100, 100, 99, 99), (99, 99, 99, 99)]
    result = run(bars, [0, 1, 0, 1])
    assert [row[0] for row in trades(result)] == [2, 4]


def test_commissions_are_takers_but_for_the_target() -> None:
    fees: dict[str, Any] = {"taker_fee": D("0.001"), "maker_fee": D("0.0005")}
    bars = [FLAT_BAR, FLAT_BAR, (100, 102, 100, 102)]
    result = run(bars, [0, 1], size_by="quote", size=D(500), **fees)
    assert result.trades.entry_fee[0] == pytest.approx(0.5)
    assert result.trades.exit_fee[0] == pytest.approx(5 * 101.5 * 0.0005)
    assert result.trades.pnl[0] == pytest.approx(7.5 - 0.5 - 0.25375)
    assert result.equity[-1] == pytest.approx(1006.74625)


def test_a_loss_at_the_stop_is_the_risk_with_all_costs() -> None:
    costs: dict[str, Any] = {"taker_fee": D("0.0004"), "slippage": D("0.0005")}
    bars: list[Bar] = [FLAT_BAR, FLAT_BAR, (100, 100, 98, 98)]
    result = run(bars, [0, 1], leverage=10, market="futures", **costs)
    assert result.equity[-1] == pytest.approx(980)


def test_positions_close_with_the_day_where_rules_say_so() -> None:
    bars = [FLAT_BAR] * (DAY_MINUTES + 10)
    result = run(bars, [0, 1], close_at_day_end=True)
    assert trades(result) == [(2, DAY_MINUTES - 1, 100, 100, Reason.EOD)]
    assert trades(run(bars, [0, 1])) == [(2, DAY_MINUTES + 9, 100, 100, Reason.END)]


# Hours: 24 a day. Each entry loses 0.5 % of about 95 % of equity at once.
LOSING: Bar = (100, 100, 99, 100)


def test_max_daily_trades_counts_entries_of_the_utc_day() -> None:
    result = run([LOSING] * 60, [1] * 60, interval="1h", max_daily_trades=3)
    assert result.trades.entry_bar.tolist() == [2, 3, 4, 24, 25, 26, 48, 49, 50]
    assert result.skipped == {Skip.MAX_DAILY_TRADES: 19 + 21 + 9}


def test_max_daily_loss_stops_entries_until_midnight() -> None:
    # 0.475 % each: after three it is more than 1 %.
    result = run(
        [LOSING] * 30,
        [1] * 30,
        interval="1h",
        max_daily_trades=None,
        max_daily_loss=D("0.01"),
    )
    assert result.trades.entry_bar.tolist() == [2, 3, 4, 24, 25, 26]


def test_daily_target_stops_entries_until_midnight() -> None:
    winning: Bar = (100, 102, 100, 100)
    result = run(
        [winning] * 26,
        [1] * 26,
        interval="1h",
        max_daily_trades=None,
        daily_target=D("0.02"),
    )
    assert result.trades.entry_bar.tolist() == [2, 3, 24, 25]


def test_limits_do_not_hold_back_exits() -> None:
    bars: list[Bar] = [FLAT_BAR] * 3 + [(99.8, 99.8, 99.8, 99.8), (99, 99, 99, 99)]
    result = run(bars, [0, 1, 1], max_daily_trades=1, max_daily_loss=D("0.001"))
    assert trades(result) == [(2, 4, 100, 99, Reason.SL)]


def test_a_position_over_midnight_counts_from_where_the_day_found_it() -> None:
    # Bought at 100, it is worth 90 at midnight and 91 when it is sold: the day has won,
    # so a loss limit lets the next entry through.
    bars: list[Bar] = [FLAT_BAR] * 23 + [(90, 90, 90, 90)] + [(91, 91, 91, 91)] * 6
    decisions = [0] * 20 + [1, 0, 0, 0, -1, 1]
    result = run(bars, decisions, interval="1h", max_daily_loss=D("0.001"), **BARE)
    assert [row[0] for row in trades(result)] == [21, 26]


def test_orders_below_the_minimum_are_skipped_and_counted() -> None:
    result = run([FLAT_BAR] * 4, [0, 1], min_notional=D(951))
    assert (len(result.trades), result.skipped) == (0, {Skip.BELOW_MINIMUM: 1})
    result = run([FLAT_BAR] * 4, [0, 1], min_notional=D(900), step=D(2))
    assert (len(result.trades), result.skipped) == (0, {Skip.BELOW_MINIMUM: 1})
    result = run([FLAT_BAR] * 4, [0, 1], min_notional=D(900), step=D("0.5"))
    assert result.trades.units.tolist() == [9.5]


def test_entry_that_the_commission_makes_too_dear_is_skipped() -> None:
    # Margin 950, commission 0.1 % of the hundredfold.
    sizes = {"market": "futures", "leverage": 100, "size_by": "quote", "size": D(10**6)}
    bars = [FLAT_BAR] * 4
    result = run(bars, [0, 1], taker_fee=D("0.001"), **{**BARE, **sizes})
    assert (len(result.trades), result.skipped) == (0, {Skip.FUNDS: 1})


def test_equity_is_marked_at_every_close() -> None:
    bars: list[Bar] = [
        *([FLAT_BAR] * 2),
        (100, 110, 100, 110),
        (110, 110, 90, 95),
        FLAT_BAR,
    ]
    equity = run(bars, [0, 1], **BARE).equity.tolist()
    assert equity == [1000, 1000, 1000, 1050, 975, 1000]


def test_start_keeps_the_bars_before_for_the_warm_up_alone() -> None:
    bars: list[Bar] = [FLAT_BAR] * 6
    result = run_backtest(
        Scripted(decisions=(1, 1, 1)),
        Rules(**FREE),
        candles(*bars),
        start_ms=NEW_YEAR_MS + 3 * 60_000,
    )
    # The decision at the close of the last bar of the warm-up is carried out.
    assert trades(result) == [(0, 2, 100, 100, Reason.END)]
    assert int(result.candles.open_time[0]) == NEW_YEAR_MS + 3 * 60_000
    assert len(result.equity) == 4


def test_start_behind_the_candles_is_refused() -> None:
    with pytest.raises(EngineError, match="after the last candle; expected"):
        run_backtest(
            Scripted(decisions=()),
            Rules(),
            candles(FLAT_BAR),
            start_ms=NEW_YEAR_MS + 60_000,
        )


def test_progress_is_told_and_can_end_the_run() -> None:
    class CancelledError(Exception):
        pass

    def cancel(done: float) -> None:
        told.append(done)
        if done > 0.5:
            raise CancelledError

    told: list[float] = []
    bars = candles(*[FLAT_BAR] * 200_000)
    with pytest.raises(CancelledError):
        run_backtest(Scripted(decisions=()), Rules(), bars, progress=cancel)
    assert 0 < told[0] < 0.5 < told[-1] < 1


def test_chunks_do_not_show_in_the_result() -> None:
    # A position is open where one chunk ends and the next begins.
    bars = [FLAT_BAR] * 70_000
    result = run(bars, [0] * 60_000 + [1], max_daily_trades=1)
    assert trades(result) == [(60_001, 69_999, 100, 100, Reason.END)]


def test_fingerprint_is_that_of_what_decides_the_result() -> None:
    def of(
        strategy: str = "ema", bars: tuple[Bar, ...] = (FLAT_BAR,), **rules: Any
    ) -> str:
        return fingerprint(STRATEGIES[strategy](), Rules(**rules), candles(*bars))

    assert of() == of(taker_fee=D("0.00040"))  # the default, in other digits
    others = [
        of("multi"),
        of(taker_fee=D("0.0005")),
        of(stop_loss=None, size_by="equity"),
        of(bars=(FLAT_BAR, FLAT_BAR)),
    ]
    assert len({of(), *others}) == 5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"initial_capital": D(0)}, "initial_capital is 0; expected above 0 up to"),
        ({"stop_loss": D("0.51")}, "stop_loss is 0.51; expected above 0 up to 0.5."),
        ({"take_profit": D(0)}, "take_profit is 0; expected above 0 up to 5."),
        ({"taker_fee": D("0.06")}, "taker_fee is 0.06; expected from 0 up to 0.05."),
        ({"size": 1000}, "size is 1000; expected a Decimal."),
        ({"size": None}, "size is None; expected a Decimal."),
        ({"size": D("NaN")}, "size is NaN; expected"),
        ({"size": D(2)}, "size is 2; by risk it is a ratio, 1 at most."),
        ({"leverage": 2}, "leverage is 2; on spot it must be 1."),
        ({"leverage": 126, "market": "futures"}, "leverage is 126; expected from 1 up"),
        ({"leverage": True}, "leverage is True; expected a whole number."),
        ({"allow_short": True}, "what one does not own cannot be sold on spot"),
        ({"stop_loss": None}, "stop_loss is off, so the risk of an entry is not known"),
        ({"market": "moon"}, "market is 'moon'; expected spot or futures."),
        ({"size_by": "luck"}, "size_by is 'luck'; expected quote, equity or risk."),
        (
            {"market": "futures", "leverage": 125, "maintenance": D("0.008")},
            "maintenance is 0.008; with leverage 125 it must be below 0.008",
        ),
    ],
)
def test_rules_refuse_what_does_not_go_together(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(EngineError) as caught:
        Rules(**values)
    assert message in str(caught.value)
