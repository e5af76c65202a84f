"""From a request to a result: the candles, the engine, and what is stored of it.

Loads NumPy, which takes a moment: not for a process that never simulates.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
from django.utils import timezone
from django.utils.translation import gettext

from backtests.models import Backtest, BacktestRun
from backtests.parameters import (
    engine_rules,
    engine_strategy,
    filters_now,
    read_parameters,
)
from backtests.runs import RunError
from trading.candles import (
    EPOCH,
    MissingCandlesError,
    Period,
    candles_read,
    series_find,
)
from trading.engine import backtest as engine
from trading.engine.candles import Candles
from trading.engine.metrics import metrics
from trading.engine.periods import daily_results, monthly_results
from trading.engine.trades import TradeRecord
from trading.engine.types import EngineError, Floats, Ints, Reason
from trading.models import CandleSeries, Interval

_CURVE_POINTS = 1000


def simulate(run: BacktestRun, say: Callable[[float], None]) -> Backtest:
    """Return the result of a run, not stored yet; raises RunError where there is none.

    ``say`` is called with the progress, from 0 to 1. A request may have ``filters`` and
    an ``end`` of the candles (an ISO time) of its own: those of a result to have again.
    """
    request = run.request
    market = request["market_type"]
    filters = request.get("filters") or filters_now(market, request["symbol"])
    values = read_parameters(market, request["parameters"])
    say(0.0)
    try:
        strategy = engine_strategy(values)
        rules = engine_rules(market, values, filters)
        series, candles = load_candles(request, warmup=strategy.warmup)
        start_ms = milliseconds(midnight(request["start_date"]))
        result = engine.run_backtest(
            strategy, rules, candles, start_ms=start_ms, progress=say
        )
        fingerprint = engine.fingerprint(strategy, rules, candles, start_ms=start_ms)
    except EngineError as error:
        raise RunError(str(error), code="refused") from error
    figures = metrics(result)
    return Backtest(
        user_id=run.user_id,
        symbol=request["symbol"],
        interval=request["interval"],
        start_date=request["start_date"],
        end_date=request["end_date"],
        market_type=market,
        parameters=request["parameters"],
        initial_capital=figures.initial_capital,
        final_capital=figures.final_capital,
        total_return=figures.total_return,
        total_trades=figures.total_trades,
        winning_trades=figures.winning_trades,
        losing_trades=figures.losing_trades,
        # Documented without null, which the metrics have.
        win_rate=figures.win_rate or 0.0,
        total_fees=figures.total_fees,
        avg_profit=figures.avg_profit or 0.0,
        daily_results=daily_results(result),
        monthly_results=monthly_results(result),
        test_mode=str(series.is_synthetic).lower(),
        strategy=values["strategy"],
        metrics=asdict(figures),
        equity_curve=_curve(result),
        trades=[
            _trade(record, rules.leverage)
            for record in result.trades.records(result.candles)
        ],
        data_source=series.source,
        seed=series.seed,
        engine_version=engine.ENGINE_VERSION,
        filters=filters,
        candles=_ground(candles),
        fingerprint=fingerprint,
    )


def load_candles(
    request: dict[str, Any], *, warmup: int
) -> tuple[CandleSeries, Candles]:
    """Return the series of a request, and its candles with ``warmup`` before them.

    Raises RunError where one is missing that is closed.
    """
    length = Interval(request["interval"]).length
    start, end = midnight(request["start_date"]), midnight(request["end_date"])
    series = series_find(
        market=request["market_type"],
        symbol=request["symbol"],
        interval=request["interval"],
        seed=request.get("seed"),
    )
    until = dt.datetime.fromisoformat(request.get("end") or timezone.now().isoformat())
    closed = EPOCH + (until - EPOCH) // length * length
    period = Period(start - warmup * length, min(end + dt.timedelta(days=1), closed))
    try:
        columns = candles_read(series, period)
    except MissingCandlesError as error:
        told = str(error)
        if error.periods[0].start < start:
            told += " " + gettext(
                "(The strategy needs %(warmup)s candles before %(day)s: a later first "
                "day does too.)"
            ) % {"warmup": warmup, "day": request["start_date"]}
        raise RunError(told, code="missing_candles") from error
    candles = Candles.of(
        interval=request["interval"],
        **{
            name: getattr(columns, name)
            for name in ("open_time", "open", "high", "low", "close", "volume")
        },
    )
    return series, candles


def _ground(candles: Candles) -> dict[str, Any]:
    """Return what tells these candles from any others, as it is stored."""
    first, last = (int(candles.open_time[bar]) for bar in (0, -1))
    return {
        "first": _iso(first),
        "end": _iso(last + candles.interval_ms),
        "count": len(candles),
        "sha256": candles.digest(),
    }


def _iso(milliseconds: int) -> str:
    return (EPOCH + dt.timedelta(milliseconds=milliseconds)).isoformat()


def midnight(day: str) -> dt.datetime:
    """Return when a day of a request begins."""
    return dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC)


def milliseconds(time: dt.datetime) -> int:
    """Return a time as the engine has it."""
    return (time - EPOCH) // dt.timedelta(milliseconds=1)


def _curve(result: engine.BacktestResult) -> list[list[float]]:
    """Return the equity at the closes of bars, as many as a picture can show.

    Of each stretch of bars the lowest and the highest: no drawdown is thinned out.
    """
    equity = result.equity[1:]
    shown = np.arange(len(equity))
    if len(equity) > _CURVE_POINTS:
        stretches = np.array_split(shown, _CURVE_POINTS // 2 - 1)
        ends = [end for bars in stretches for end in _lowest_and_highest(equity, bars)]
        shown = np.unique([0, *ends, len(equity) - 1])
    times = result.candles.open_time[shown].tolist()
    return [
        list(point)
        for point in zip(times, equity[shown].round(8).tolist(), strict=True)
    ]


def _lowest_and_highest(equity: Floats, bars: Ints) -> tuple[int, int]:
    values = equity[bars]
    return int(bars[values.argmin()]), int(bars[values.argmax()])


def _trade(record: TradeRecord, leverage: int) -> dict[str, Any]:
    """Return a trade as it is stored: numbers in JSON, times in milliseconds UTC."""
    paid = record.units * record.entry_price / leverage
    return {
        "side": "LONG" if record.direction > 0 else "SHORT",
        "entry_time": record.entry_time,
        "exit_time": record.exit_time,
        "entry_price": float(record.entry_price),
        "exit_price": float(record.exit_price),
        "units": float(record.units),
        "pnl_usdt": float(record.pnl),
        "pnl_pct": float(record.pnl / paid * 100),
        "fees_entry": float(record.entry_fee),
        "fees_exit": float(record.exit_fee),
        "slippage": float(record.slippage),
        "capital_after": float(record.capital),
        "leverage": leverage,
        "exit_reason": Reason(record.reason).name,
    }
