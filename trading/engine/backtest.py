"""A backtest: a strategy and rules on candles, from signals to trades and equity."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, cast

import numpy as np

from trading.engine.candles import Candles
from trading.engine.compiled import column, fast
from trading.engine.kernel import FLAT, Bars, Ledger, Setup, State, Today, simulate
from trading.engine.rules import Rules
from trading.engine.signals import signals
from trading.engine.sizing import SizeBy
from trading.engine.strategies.base import Strategy
from trading.engine.trades import COLUMNS, Trades
from trading.engine.types import EngineError, Floats, Skip

# Raise it with every change that can change a figure of a result.
ENGINE_VERSION = 2

_CHUNK = 1 << 16  # bars between two reports of progress


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BacktestResult:
    """A finished run. ``candles`` are those it traded on, without the warm-up.

    ``equity[i + 1]`` is what the account is worth at the close of bar i, in the quote
    asset, and ``equity[0]`` the capital before the first; bars of ``trades`` count
    from the first of ``candles``. ``skipped`` are signals that were not followed.
    """

    candles: Candles
    rules: Rules
    equity: Floats
    trades: Trades
    skipped: dict[Skip, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decisions:
    """What a strategy decides on the candles of a run; rules are still to come."""

    candles: Candles  # without the warm-up
    bars: Bars


def run_backtest(
    strategy: Strategy,
    rules: Rules,
    candles: Candles,
    *,
    start_ms: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> BacktestResult:
    """Simulate from the bar that opens at ``start_ms``; those before are the warm-up.

    The same arguments give the same result to the bit, compiled or not. ``progress``
    is told now and then how much is done, from 0 to 1; what it raises ends the run.
    Raises EngineError where no candle is left to trade on.
    """
    decisions = decide(strategy, candles, start_ms=start_ms)
    return run_decided(decisions, rules, progress=progress)


def decide(
    strategy: Strategy, candles: Candles, *, start_ms: int | None = None
) -> Decisions:
    """Take the decisions of a run, which can be followed by many rules."""
    first = 0 if start_ms is None else candles.position_of(start_ms)
    if first == len(candles):
        raise EngineError(
            f"start_ms is {start_ms}, after the last candle; "
            f"expected {candles.open_time[-1]} or earlier."
        )
    traded = candles.slice(first, len(candles))
    decided = np.zeros(len(traded), dtype=np.int8)
    # Carried out one bar after it was taken: the first one by the last of the warm-up.
    taken = signals(strategy, candles)[max(first - 1, 0) : -1]
    decided[len(traded) - len(taken) :] = taken
    prices = (traded.open, traded.high, traded.low, traded.close)
    bars = Bars(
        int(traded.open_time[0]),
        traded.interval_ms,
        *map(column, (*prices, decided)),
    )
    return Decisions(candles=traded, bars=bars)


def run_decided(
    decisions: Decisions,
    rules: Rules,
    *,
    progress: Callable[[float], None] | None = None,
) -> BacktestResult:
    """Simulate decisions that were taken; otherwise as ``run_backtest``."""
    equity, trades, skipped = _simulated(decisions, rules, progress)
    return BacktestResult(
        candles=decisions.candles,
        rules=rules,
        equity=equity,
        trades=trades,
        skipped=skipped,
    )


def fingerprint(
    strategy: Strategy,
    rules: Rules,
    candles: Candles,
    *,
    start_ms: int | None = None,
) -> str:
    """Return a SHA-256 in hex: runs that have the same one have the same result."""
    told = {
        "engine": ENGINE_VERSION,
        "strategy": [strategy.name, _plain(asdict(cast(Any, strategy)))],
        "rules": _plain(asdict(rules)),
        "candles": candles.digest(),
        "start_ms": start_ms,
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _simulated(
    decisions: Decisions,
    rules: Rules,
    progress: Callable[[float], None] | None,
) -> tuple[Floats, Trades, dict[Skip, int]]:
    candles, bars = decisions.candles, decisions.bars
    setup = kernel_setup(rules)
    capital = float(rules.initial_capital)
    equity = column(np.full(len(candles) + 1, capital))
    skipped = column(np.zeros(len(Skip), dtype=np.int64))
    state = State(capital, FLAT, 0.0, Today(0, 0), 0)
    ledger = _ledger(2 * min(_CHUNK, len(candles)))
    trades = []
    for begin in range(0, len(candles), _CHUNK):
        end = min(begin + _CHUNK, len(candles))
        state = fast(simulate)(begin, end, bars, setup, state, equity, ledger, skipped)
        trades.append(Trades.of(ledger, state.closed))
        if progress:
            progress(end / len(candles))
    counts = {skip: int(skipped[skip]) for skip in Skip if skip and skipped[skip]}
    return np.asarray(equity), Trades.joined(trades), counts


def _ledger(rows: int) -> Ledger:
    return Ledger(
        **{name: column(np.zeros(rows, dtype)) for name, dtype in COLUMNS.items()}
    )


def kernel_setup(rules: Rules) -> Setup:
    """Return the rules as floats, with infinity for what is off."""
    return Setup(
        size_by=int(SizeBy[rules.size_by.upper()]),
        size=float(rules.size),
        allow_short=rules.allow_short,
        leverage=float(rules.leverage),
        maintenance=float(rules.maintenance),
        stop_loss=_or_off(rules.stop_loss),
        take_profit=_or_off(rules.take_profit),
        trailing_stop=_or_off(rules.trailing_stop),
        maker_fee=float(rules.maker_fee),
        taker_fee=float(rules.taker_fee),
        slippage=float(rules.slippage),
        max_daily_trades=_or_off(rules.max_daily_trades),
        max_daily_loss=_or_off(rules.max_daily_loss),
        daily_target=_or_off(rules.daily_target),
        close_at_day_end=rules.close_at_day_end,
        step=float(rules.step),
        min_units=float(rules.min_units),
        min_notional=float(rules.min_notional),
    )


def _or_off(value: Decimal | int | None) -> float:
    return math.inf if value is None else float(value)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    # 0.5 and 0.50 are one value.
    return {
        name: format(value.normalize(), "f") if isinstance(value, Decimal) else value
        for name, value in values.items()
    }
