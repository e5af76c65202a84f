"""The exact replay of a month of real minutes."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest

from tests.trading.engine.bars import FLAT_BAR, Bar, real_minutes, run
from trading.engine.backtest import run_backtest
from trading.engine.replay import exact_balances
from trading.engine.rules import Rules
from trading.engine.strategies.ema import Ema
from trading.engine.types import Reason

pytestmark = pytest.mark.sqlite  # no database

LEVERAGED = {"market": "futures", "allow_short": True, "leverage": 20}


@pytest.mark.parametrize(
    ("rules", "reasons"),
    [
        ({}, {Reason.SL, Reason.TP, Reason.SIGNAL}),
        (
            {"trailing_stop": D("0.002"), "step": D("0.00001")},
            {Reason.TRAIL, Reason.TP, Reason.SIGNAL},
        ),
        (
            {**LEVERAGED, "trailing_stop": D("0.006"), "take_profit": D("0.006")},
            {Reason.SL, Reason.TRAIL, Reason.TP, Reason.SIGNAL},
        ),
    ],
)
def test_floats_stay_within_a_billionth_of_the_exact_balance(
    rules: dict[str, Any], reasons: set[Reason]
) -> None:
    result = run_backtest(Ema(), Rules(max_daily_trades=None, **rules), real_minutes())
    assert reasons <= set(result.trades.reason)
    assert len(result.trades) > 400
    exact = exact_balances(result)
    for balance, computed in zip(exact, result.trades.capital.tolist(), strict=True):
        assert abs(D(computed) - balance) <= D("1e-9") * balance


def test_replay_is_exact_where_floats_are_not() -> None:
    # 0.3 units from 100.1 to 100.3, 0.1 % of both sides: 0.06 - 0.03003 - 0.03009.
    bars: list[Bar] = [FLAT_BAR, FLAT_BAR, (100.1,) * 4, (100.3,) * 4]
    result = run(
        bars,
        [0, 1],
        size_by="quote",
        size=D("30.05"),
        step=D("0.1"),
        taker_fee=D("0.001"),
    )
    assert exact_balances(result) == [D("999.99988")]
