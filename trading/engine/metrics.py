"""What a run was worth, in figures. What cannot be told is None, never a made-up 0."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from trading.engine.backtest import BacktestResult
from trading.engine.luck import daily_sharpe
from trading.engine.periods import day_ends
from trading.engine.sizing import loss_at_stop
from trading.engine.trades import Trades
from trading.engine.types import DAY_MS, Floats, Mask, Reason

DAYS_A_YEAR = 365  # there is trading on every day
_SHORTEST_CAGR = 30  # days; a lucky day is no rate of growth


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Money is in the quote asset and after all costs, rates and returns in percent.

    A trade that neither won nor lost is neither a winning nor a losing one.
    """

    initial_capital: float
    final_capital: float
    total_return: float
    total_trades: int
    winning_trades: int
    losing_trades: int
    break_even_trades: int
    win_rate: float | None
    total_fees: float  # commissions
    total_slippage: float  # what slippage has cost, in the prices already
    avg_profit: float | None  # of a trade; also called expectancy
    avg_win: float | None
    avg_loss: float | None
    best_trade: float | None
    worst_trade: float | None
    max_consecutive_losses: int
    profit_factor: float | None  # None without a loss
    max_drawdown: float  # 0 or below, of equity at the closes of all bars
    sharpe: float | None
    sortino: float | None
    cagr: float | None
    exposure: float  # how many of the bars saw a position
    # What a stop loses of equity, on average, with all costs: less than the rules ask
    # for where 95 % of equity buy less.
    effective_risk: float | None
    exits: dict[str, int]  # by reason
    skipped: dict[str, int]  # signals that were not followed, by the cause


def metrics(backtest: BacktestResult) -> Metrics:
    """Return the figures of a run."""
    trades, equity = backtest.trades, backtest.equity
    wins, losses = trades.pnl[trades.pnl > 0], trades.pnl[trades.pnl < 0]
    count, initial, final = len(trades), float(equity[0]), float(equity[-1])
    # What is lost and more has no rate of return.
    returns = daily_returns(backtest) if equity.min() > 0 else np.empty(0)
    return Metrics(
        initial_capital=initial,
        final_capital=final,
        total_return=(final / initial - 1) * 100,
        total_trades=count,
        winning_trades=len(wins),
        losing_trades=len(losses),
        break_even_trades=count - len(wins) - len(losses),
        win_rate=len(wins) / count * 100 if count else None,
        total_fees=float(trades.entry_fee.sum() + trades.exit_fee.sum()),
        total_slippage=float(trades.slippage.sum()),
        avg_profit=_mean(trades.pnl),
        avg_win=_mean(wins),
        avg_loss=_mean(losses),
        best_trade=float(trades.pnl.max()) if count else None,
        worst_trade=float(trades.pnl.min()) if count else None,
        max_consecutive_losses=_longest_run(trades.pnl < 0),
        profit_factor=float(wins.sum() / -losses.sum()) if len(losses) else None,
        max_drawdown=max_drawdown(equity),
        sharpe=sharpe(returns),
        sortino=sortino(returns),
        cagr=_cagr(
            initial, final, len(backtest.candles) * backtest.candles.interval_ms
        ),
        exposure=_bars_held(trades) / len(backtest.candles) * 100,
        effective_risk=_effective_risk(backtest),
        exits={
            reason.name: int(number)
            for reason in Reason
            if (number := np.count_nonzero(trades.reason == reason))
        },
        skipped={why.name: number for why, number in backtest.skipped.items()},
    )


def daily_returns(backtest: BacktestResult) -> Floats:
    """Return what each UTC day made of the equity before it, as ratios; idle ones 0."""
    ends = np.concatenate([[0], day_ends(backtest.candles)])
    equity = backtest.equity[ends]
    returns: Floats = equity[1:] / equity[:-1] - 1
    return returns


def max_drawdown(equity: Floats) -> float:
    """Return the deepest fall from a peak before it, in percent: 0 or below."""
    left = np.maximum.accumulate(equity)
    np.divide(equity, left, out=left)
    return float(left.min() - 1) * 100


def sharpe(returns: Floats, *, days_a_year: int = DAYS_A_YEAR) -> float | None:
    """Return mean through sample deviation of daily returns, annualised.

    None for less than two days, or where all are alike.
    """
    ratio = daily_sharpe(returns)
    return None if ratio is None else ratio * math.sqrt(days_a_year)


def sortino(returns: Floats, *, days_a_year: int = DAYS_A_YEAR) -> float | None:
    """Return mean through downside deviation of daily returns, annualised.

    The latter is √mean(min(r, 0)²) over all days. None where no day lost.
    """
    if not (returns < 0).any():
        return None
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0) ** 2)))
    return float(returns.mean()) / downside * math.sqrt(days_a_year)


def _cagr(initial: float, final: float, length_ms: int) -> float | None:
    days = length_ms / DAY_MS
    if days < _SHORTEST_CAGR or final <= 0:
        return None
    return float((final / initial) ** (DAYS_A_YEAR / days) - 1) * 100


def _effective_risk(backtest: BacktestResult) -> float | None:
    rules, trades = backtest.rules, backtest.trades
    if rules.stop_loss is None or not len(trades):
        return None
    costs = float(rules.stop_loss), float(rules.taker_fee), float(rules.slippage)
    price: Any = trades.entry_price  # the arithmetic is the same for columns
    direction: Any = trades.direction
    losses = trades.units * loss_at_stop(price, direction, *costs)
    capital = np.append(backtest.equity[0], trades.capital[:-1])
    return float(np.mean(losses / capital)) * 100


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None


def _longest_run(hits: Mask) -> int:
    if not hits.any():
        return 0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], hits, [False]])))
    return int((edges[1::2] - edges[::2]).max())


def _bars_held(trades: Trades) -> int:
    # A bar in which one position follows on another counts once.
    shared = np.count_nonzero(trades.entry_bar[1:] == trades.exit_bar[:-1])
    return int((trades.exit_bar - trades.entry_bar + 1).sum() - shared)
