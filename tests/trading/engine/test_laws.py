"""Laws that hold for any bars, decisions and rules."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trading.engine.bars import NEW_YEAR_MS, Scripted
from trading.engine.backtest import BacktestResult, run_backtest
from trading.engine.candles import INTERVALS_MS, Candles
from trading.engine.compiled import is_available
from trading.engine.replay import exact_balances
from trading.engine.rules import Rules
from trading.engine.trades import COLUMNS
from trading.engine.types import DAY_MS, Floats, Reason

pytestmark = pytest.mark.sqlite  # no database

TIGHT = 1e-9  # relative


@dataclass(frozen=True)
class Case:
    candles: Candles
    decisions: tuple[int, ...]
    rules: Rules

    def run(self) -> BacktestResult:
        return run_backtest(
            Scripted(decisions=self.decisions), self.rules, self.candles
        )


def walk(seed: int, bars: int, wildness: float, interval: str) -> Candles:
    """Return a random walk with gaps; a bar goes about as far as ``wildness``."""
    random = np.random.default_rng(seed)
    moves = np.exp(wildness * random.standard_normal((bars, 4)))
    # A gap is as wild as a bar, but comes in one of four.
    gaps = np.where(random.random(bars) < 0.25, moves[:, 0], 1)
    closes = 100 * np.cumprod(gaps * moves[:, 1])
    opens = closes / moves[:, 1]
    highs = np.maximum(opens, closes) * np.maximum(moves[:, 2], 1)
    lows = np.minimum(opens, closes) * np.minimum(moves[:, 3], 1)
    return Candles.of(
        interval=interval,
        open_time=NEW_YEAR_MS + INTERVALS_MS[interval] * np.arange(bars),
        open=opens,
        high=highs,
        low=lows,
        close=closes,
        volume=np.ones(bars),
    )


def ratios(low: str, high: str) -> st.SearchStrategy[Decimal]:
    return st.decimals(low, high, places=4)


@st.composite
def rules(draw: Any) -> Rules:
    market = draw(st.sampled_from(["spot", "futures"]))
    size_by = draw(st.sampled_from(["quote", "equity", "risk"]))
    stop = ratios("0.001", "0.2")
    return Rules(
        market=market,
        allow_short=market == "futures" and draw(st.booleans()),
        leverage=draw(st.integers(1, 50)) if market == "futures" else 1,
        size_by=size_by,
        size=draw(ratios("1", "5000") if size_by == "quote" else ratios("0.001", "1")),
        stop_loss=draw(stop if size_by == "risk" else st.none() | stop),
        take_profit=draw(st.none() | ratios("0.001", "0.5")),
        trailing_stop=draw(st.none() | ratios("0.001", "0.2")),
        maker_fee=draw(ratios("0", "0.002")),
        taker_fee=draw(ratios("0", "0.002")),
        slippage=draw(ratios("0", "0.01")),
        max_daily_trades=draw(st.none() | st.integers(1, 5)),
        max_daily_loss=draw(st.none() | ratios("0.001", "0.1")),
        daily_target=draw(st.none() | ratios("0.001", "0.1")),
        close_at_day_end=draw(st.booleans()),
        step=draw(st.sampled_from([Decimal(0), Decimal("0.01"), Decimal("0.00001")])),
    )


@st.composite
def cases(draw: Any) -> Case:
    seed = draw(st.integers(0, 2**32 - 1))
    bars = draw(st.integers(1, 80))
    wildness = draw(st.sampled_from([0.001, 0.01, 0.1]))
    busy = draw(st.floats(0.05, 1))
    random = np.random.default_rng([seed, 1])
    decided = random.choice([-1, 0, 1], bars, p=[busy / 2, 1 - busy, busy / 2])
    interval = draw(st.sampled_from(["1h", "4h", "1d"]))
    return Case(
        walk(seed, bars, wildness, interval), tuple(decided.tolist()), draw(rules())
    )


def later_bars_change_nothing_earlier(case: Case) -> None:
    known = len(case.candles) // 2
    other = walk(7, len(case.candles), 0.05, case.candles.interval)
    mixed = Candles.of(
        interval=other.interval,
        open_time=other.open_time,
        **{
            name: np.append(
                getattr(case.candles, name)[:known], getattr(other, name)[known:]
            )
            for name in ("open", "high", "low", "close", "volume")
        },
    )
    decisions = case.decisions[:known] + tuple(-d for d in case.decisions[known:])
    one, two = case.run(), replace(case, candles=mixed, decisions=decisions).run()
    if known:
        assert np.array_equal(one.equity[: known + 1], two.equity[: known + 1])
    before = one.trades.exit_bar < known, two.trades.exit_bar < known
    for name in COLUMNS:
        assert np.array_equal(
            getattr(one.trades, name)[before[0]], getattr(two.trades, name)[before[1]]
        )


def prices_in_another_unit_give_the_same_result(case: Case) -> None:
    if case.rules.step:  # units are others, and rounded to others
        case = replace(case, rules=replace(case.rules, step=Decimal(0)))
    candles = case.candles
    scaled = Candles.of(
        interval=candles.interval,
        open_time=candles.open_time,
        # By a power of two: not a bit is rounded away.
        open=candles.open * 4,
        high=candles.high * 4,
        low=candles.low * 4,
        close=candles.close * 4,
        volume=candles.volume,
    )
    one, four = case.run(), replace(case, candles=scaled).run()
    assert np.array_equal(one.equity, four.equity)
    assert np.array_equal(one.trades.units, four.trades.units * 4)


def fills_are_inside_their_bars(case: Case) -> None:
    result, trades, bars = case.run(), case.run().trades, case.candles
    slip = float(case.rules.slippage)
    opened = trades.entry_price / (1 + trades.direction * slip)
    assert opened == pytest.approx(bars.open[trades.entry_bar], rel=TIGHT)
    market = (trades.reason != Reason.TP) & (trades.reason != Reason.LIQUIDATION)
    closed = trades.exit_price / (1 - trades.direction * slip * market)
    assert (closed <= bars.high[trades.exit_bar] * (1 + TIGHT)).all()
    assert (closed >= bars.low[trades.exit_bar] * (1 - TIGHT)).all()
    assert (trades.exit_bar >= trades.entry_bar).all()
    assert len(result.equity) == len(bars) + 1


def equity_is_the_start_and_all_that_was_won_or_lost(case: Case) -> None:
    result = case.run()
    expected = result.equity[0] + np.cumsum(result.trades.pnl)
    assert result.trades.capital == pytest.approx(expected, rel=TIGHT, abs=1e-6)
    final = result.trades.capital[-1] if len(result.trades) else result.equity[0]
    assert result.equity[-1] == final


def positions_do_not_overlap(case: Case) -> None:
    trades = case.run().trades
    entered, left = trades.entry_bar[1:], trades.exit_bar[:-1]
    assert (entered >= left).all()
    # In one bar only where a signal turned the position around at its open.
    turned = trades.reason[:-1] == Reason.SIGNAL
    assert (turned | (entered > left)).all()
    if not case.rules.allow_short:
        assert (trades.direction == 1).all()
        assert (entered > left).all()


def limits_hold(case: Case) -> None:
    result, limits = case.run(), case.rules
    days = case.candles.open_time // DAY_MS
    entered = days[result.trades.entry_bar]
    if limits.max_daily_trades is not None:
        assert all(
            np.count_nonzero(entered == day) <= limits.max_daily_trades for day in days
        )
    for bar, capital in zip(
        result.trades.entry_bar, capital_at_entry(result), strict=True
    ):
        began = np.searchsorted(days, days[bar])
        day_return = capital / result.equity[began] - 1
        if limits.max_daily_loss is not None:
            assert day_return > -float(limits.max_daily_loss)
        if limits.daily_target is not None:
            assert day_return < float(limits.daily_target)


def capital_at_entry(result: BacktestResult) -> Floats:
    return np.append(result.equity[0], result.trades.capital)[: len(result.trades)]


def higher_fees_never_raise_equity(case: Case) -> None:
    # A size that neither fees nor losses touch; without limits that look at equity.
    plain = replace(
        case.rules,
        size_by="quote",
        size=Decimal(1),
        max_daily_loss=None,
        daily_target=None,
    )
    dear = replace(
        plain,
        maker_fee=plain.maker_fee + Decimal("0.001"),
        taker_fee=plain.taker_fee + Decimal("0.001"),
    )
    cheap, costly = replace(case, rules=plain).run(), replace(case, rules=dear).run()
    assert (costly.equity <= cheap.equity).all()
    assert len(costly.trades) == len(cheap.trades)


def a_long_position_without_a_loan_is_never_liquidated(case: Case) -> None:
    trades = replace(case, rules=replace(case.rules, leverage=1)).run().trades
    assert (trades.direction[trades.reason == Reason.LIQUIDATION] == -1).all()


def no_more_than_the_margin_is_lost_to_the_market(case: Case) -> None:
    trades = case.run().trades
    margin = trades.units * trades.entry_price / case.rules.leverage
    lost = trades.reason == Reason.LIQUIDATION
    gross = trades.pnl + trades.entry_fee + trades.exit_fee
    assert gross[lost] == pytest.approx(-margin[lost], rel=TIGHT)


def the_exact_replay_agrees(case: Case) -> None:
    result = case.run()
    exact = exact_balances(result)
    assert len(exact) == len(result.trades)
    for computed, balance in zip(result.trades.capital.tolist(), exact, strict=True):
        # Relative to the capital: a balance near 0 is the difference of larger sums.
        scale = max(abs(balance), case.rules.initial_capital)
        assert abs(Decimal(computed) - balance) <= scale * Decimal("1e-9")


def compiled_and_plain_agree_to_the_bit(case: Case) -> None:
    assert is_available()
    compiled = case.run()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "numba", None)
        plain = case.run()
    assert compiled.equity.tobytes() == plain.equity.tobytes()
    assert compiled.skipped == plain.skipped
    for name in COLUMNS:
        one, two = getattr(compiled.trades, name), getattr(plain.trades, name)
        assert one.tobytes() == two.tobytes()


LAWS: list[Callable[[Case], None]] = [
    later_bars_change_nothing_earlier,
    prices_in_another_unit_give_the_same_result,
    fills_are_inside_their_bars,
    equity_is_the_start_and_all_that_was_won_or_lost,
    positions_do_not_overlap,
    limits_hold,
    higher_fees_never_raise_equity,
    a_long_position_without_a_loan_is_never_liquidated,
    no_more_than_the_margin_is_lost_to_the_market,
    the_exact_replay_agrees,
    compiled_and_plain_agree_to_the_bit,
]


def hold(law: Callable[[Case], None], examples: int) -> None:
    settings(max_examples=examples, deadline=None)(given(cases())(law))()


@pytest.mark.parametrize("law", LAWS)
def test_law(law: Callable[[Case], None]) -> None:
    hold(law, 40)


@pytest.mark.long
@pytest.mark.parametrize("law", LAWS)
def test_law_on_many_examples(law: Callable[[Case], None]) -> None:
    hold(law, 1000)
