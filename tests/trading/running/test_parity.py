"""A bot that runs on the simulated exchange trades like the backtester."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest

from bots.models import BotState
from tests.trading.engine.bars import real_minutes
from tests.trading.running.replay import Replay, make_running_bot, replay
from trading.engine.backtest import run_backtest
from trading.engine.types import Reason
from trading.models import Order, Position
from trading.running.services import plan_of

pytestmark = [pytest.mark.alike, pytest.mark.django_db]

WARMUP = 201
BARS, MANY_BARS = 300, 5000


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, marks=pytest.mark.long),
        {"trailing_stop_active": True, "trailing_stop_perc": D("0.2")},
        pytest.param(
            {"position_size_fixed": D(300), "position_size_perc": None},
            marks=pytest.mark.long,
        ),
        pytest.param(
            {"max_daily_trades": 3, "max_daily_loss_perc": D("0.5")},
            marks=pytest.mark.long,
        ),
        {"position_type": "futures", "leverage": 5, "allow_short": True},
        pytest.param(
            {"strategy": "multi", "take_profit_perc": D("0.4")}, marks=pytest.mark.long
        ),
    ],
    ids=["plain", "trailing", "fixed", "limits", "futures", "multi"],
)
def test_the_bot_fills_as_the_backtester_does(
    settings: dict[str, Any], pytestconfig: pytest.Config
) -> None:
    bars = MANY_BARS if pytestconfig.getoption("long") else BARS
    candles = real_minutes().slice(0, WARMUP + bars)
    bot = make_running_bot(
        **{"stop_loss_perc": D("0.3"), "take_profit_perc": D("0.6"), **settings}
    )
    plan = plan_of(bot)
    market = Replay(candles, WARMUP)
    replay(bot, market, len(candles))

    result = run_backtest(
        plan.strategy,
        plan.rules,
        candles,
        start_ms=int(candles.open_time[WARMUP]),
    )
    wanted = [
        record
        for record in result.trades.records(result.candles)
        if record.reason != Reason.END
    ]
    assert len(wanted) >= 2
    closed = Position.objects.filter(closed_at__isnull=False).order_by("pk")
    assert len(closed) == len(wanted)
    for position, record in zip(closed, wanted, strict=True):
        assert position.sign == record.direction
        assert position.reason == record.reason.name
        assert int(position.opened_at.timestamp() * 1000) == record.entry_time
        for found, expected in (
            (position.entry_quantity, record.units),
            (position.entry_price, record.entry_price),
            (position.exit_quote / position.exit_quantity, record.exit_price),
            (position.entry_fees, record.entry_fee),
            (position.exit_fees, record.exit_fee),
            (position.realized_pnl, record.pnl),
        ):
            assert abs(found - expected) <= D("1e-9") * max(abs(expected), D(1))
    sizes = [position.entry_quantity for position in closed]
    assert all(size.as_tuple().exponent == -8 for size in sizes)  # it has no step
    state = BotState.objects.get(pk=bot.pk)
    assert state.last_error_message is None
    assert not Order.objects.filter(status__in=["REJECTED", "LOST"]).exists()
