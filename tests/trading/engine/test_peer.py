"""The same trades as backtesting.py makes on a month of real minutes.

It is an oracle here and nothing else: the product never imports it.
"""

from __future__ import annotations

import warnings
from decimal import Decimal as D
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.trading.engine.bars import real_minutes
from trading.engine.backtest import BacktestResult, run_backtest
from trading.engine.rules import Rules
from trading.engine.signals import signals
from trading.engine.strategies import STRATEGIES
from trading.engine.strategies.base import Strategy
from trading.engine.types import Reason

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its imports are not ours to mend
    import backtesting

pytestmark = pytest.mark.sqlite  # no database

# Whole units, so many that rounding them is no matter: the peer knows no fractions.
CASH, NOTIONAL = 10**9, 10**6
FEE = 0.0004


def peer_trades(
    strategy: Strategy, *, stop: float | None, target: float | None, shorts: bool
) -> pd.DataFrame:
    """Return the trades of the peer: it is told our signals, and decides by its rules.

    Stops and targets are wanted relative to the fill, so it is told the next open too.
    """
    bars = real_minutes()
    decided = signals(strategy, bars)
    next_open = np.append(bars.open[1:], np.nan)

    class Told(backtesting.Strategy):  # type: ignore[misc]
        def init(self) -> None:
            pass

        def next(self) -> None:
            bar = len(self.data) - 1
            side = int(decided[bar])
            if not side or bar + 1 == len(bars) or self.position.size * side > 0:
                return
            if self.position:
                self.position.close()
            if side < 0 and not shorts:
                return
            price = next_open[bar]
            (self.buy if side > 0 else self.sell)(
                size=NOTIONAL // price,
                sl=price * (1 - side * stop) if stop else None,
                tp=price * (1 + side * target) if target else None,
            )

    frame = pd.DataFrame(
        {name.title(): getattr(bars, name) for name in ("open", "high", "low", "close")}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = backtesting.Backtest(frame, Told, cash=CASH, commission=FEE)
        return peer.run()._trades.sort_values("ExitBar", kind="stable")


def our_trades(
    strategy: Strategy, *, stop: float | None, target: float | None, shorts: bool
) -> BacktestResult:
    return run_backtest(
        strategy,
        Rules(
            initial_capital=D(CASH),
            market="futures" if shorts else "spot",
            allow_short=shorts,
            size_by="quote",
            size=D(NOTIONAL),
            step=D(1),
            stop_loss=None if stop is None else D(str(stop)),
            take_profit=None if target is None else D(str(target)),
            maker_fee=D(str(FEE)),
            taker_fee=D(str(FEE)),
            slippage=D(0),
            max_daily_trades=None,
        ),
        real_minutes(),
    )


@pytest.mark.parametrize(
    ("strategy", "exits", "at_least"),
    [
        # Stops and targets alone: what decides enters, and never leaves.
        ("multi", {"stop": 0.002, "target": 0.003, "shorts": False}, 500),
        # Signals alone, long and short, turned around at one open.
        ("ema", {"stop": None, "target": None, "shorts": True}, 500),
        # All of them.
        ("ema", {"stop": 0.002, "target": 0.002, "shorts": True}, 500),
    ],
)
def test_trades_are_those_of_the_peer(
    strategy: str, exits: dict[str, Any], at_least: int
) -> None:
    assert len(real_minutes()) >= 40_000
    ours = our_trades(STRATEGIES[strategy](), **exits).trades
    theirs = peer_trades(STRATEGIES[strategy](), **exits)
    # It leaves a position open at the end; we close it there.
    count = len(ours) - int((ours.reason == Reason.END).sum())
    assert len(theirs) == count >= at_least

    assert ours.entry_bar[:count].tolist() == theirs.EntryBar.tolist()
    assert ours.exit_bar[:count].tolist() == theirs.ExitBar.tolist()
    size = ours.direction[:count] * ours.units[:count]
    assert size.tolist() == theirs.Size.tolist()
    assert ours.entry_price[:count] == pytest.approx(theirs.EntryPrice, rel=1e-12)
    assert ours.exit_price[:count] == pytest.approx(theirs.ExitPrice, rel=1e-12)
    assert ours.pnl[:count] == pytest.approx(theirs.PnL.to_numpy(), abs=1e-6, rel=0)
