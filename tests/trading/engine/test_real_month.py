"""A month of real minutes: to the bit as before, and exactly as Decimal has it."""

from __future__ import annotations

import hashlib
from decimal import Decimal as D
from typing import Any

import pytest

from tests.trading.engine.bars import FLAT_BAR, Bar, real_minutes, run
from trading.engine.backtest import ENGINE_VERSION, run_backtest
from trading.engine.replay import exact_balances
from trading.engine.rules import Rules
from trading.engine.strategies import STRATEGIES
from trading.engine.strategies.ema import Ema
from trading.engine.types import Reason

pytestmark = pytest.mark.sqlite  # no database

# What ``ema`` and ``multi`` make of the month. Where a change to the engine makes it
# another, raise ENGINE_VERSION, so that results from before are not taken for the same.
KNOWN = {2: {"ema": "6547b45daaa7d325", "multi": "2b80a732633fcbc2"}}
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


@pytest.mark.parametrize("name", ["ema", "multi"])
def test_a_run_can_be_repeated_to_the_bit(name: str) -> None:
    rules = Rules(trailing_stop=D("0.003"), max_daily_loss=D("0.01"))
    result = run_backtest(STRATEGIES[name](), rules, real_minutes())
    digest = hashlib.sha256(result.equity.tobytes()).hexdigest()[:16]
    assert digest == KNOWN[ENGINE_VERSION][name]


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
