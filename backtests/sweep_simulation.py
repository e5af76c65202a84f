"""What a worker does with the pieces of sweeps.

Loads NumPy, as ``backtests.simulation`` does: not for a process that never simulates.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
from django.utils.translation import gettext

from backtests.grids import (
    Combination,
    Days,
    Window,
    combinations_of,
    days_of,
    windows_of,
)
from backtests.models import Sweep, SweepPiece, SweepResult
from backtests.parameters import engine_rules, engine_strategy
from backtests.runs import RunError
from backtests.simulation import load_candles, midnight, milliseconds
from backtests.sweeps import Found
from trading.engine.backtest import (
    ENGINE_VERSION,
    BacktestResult,
    Decisions,
    decide,
    run_decided,
)
from trading.engine.candles import Candles
from trading.engine.luck import (
    daily_sharpe,
    luckiest_sharpe,
    sharpe_confidence,
    sharpe_interval,
)
from trading.engine.metrics import DAYS_A_YEAR, Metrics, daily_returns, metrics
from trading.engine.rules import Rules
from trading.engine.strategies.base import Strategy
from trading.engine.types import EngineError, Floats

Say = Callable[[], None]

_ANNUAL = math.sqrt(DAYS_A_YEAR)


class SweepWorker:
    """Works on pieces; keeps the candles of a sweep for the next piece of it."""

    def __init__(self) -> None:
        self._ground: _Ground | None = None

    def work(self, piece: SweepPiece, say: Say) -> Found:
        """Return the results of a piece, or the summary; raises RunError."""
        say()
        if self._ground is None or self._ground.sweep_id != piece.sweep_id:
            self._ground = None  # before there are two
            self._ground = _Ground.of(piece.sweep)
            say()
        try:
            if piece.is_summary:
                return _summary(self._ground, say)
            return self._ground.results(piece, say)
        except EngineError as error:
            raise RunError(str(error), code="refused") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What all pieces of a sweep stand on."""

    sweep_id: int
    request: dict[str, Any]
    combinations: list[Combination]
    candles: Candles
    days: Days
    windows: list[Window]
    last_slice: dict[tuple[int, ...], Candles] = field(default_factory=dict)

    @classmethod
    def of(cls, sweep: Sweep) -> _Ground:
        request = sweep.request
        found = combinations_of(request)
        warmup = max(engine_strategy(one.values).warmup for one in found)
        _, candles = load_candles(request, warmup=warmup)
        _check_fingerprint(sweep, candles)
        return cls(
            sweep_id=sweep.pk,
            request=request,
            combinations=found,
            candles=candles,
            days=days_of(request),
            windows=windows_of(request),
        )

    def setup(self, number: int) -> tuple[Strategy, Rules]:
        """Return what the engine is told of a combination."""
        values = self.combinations[number].values
        rules = engine_rules(
            self.request["market_type"], values, self.request["filters"]
        )
        return engine_strategy(values), rules

    def decisions(self, strategy: Strategy, days: Days) -> Decisions:
        """Return those of a run over these days, to the bit."""
        start = milliseconds(midnight(days.first.isoformat()))
        end = milliseconds(midnight((days.last + dt.timedelta(days=1)).isoformat()))
        first = start - strategy.warmup * self.candles.interval_ms
        candles = self._sliced(*map(self.candles.position_of, (first, end)))
        return decide(strategy, candles, start_ms=start)

    def _sliced(self, *bars: int) -> Candles:
        """Return the same object for the same bars, which shares their indicators."""
        if bars not in self.last_slice:
            self.last_slice.clear()
            self.last_slice[bars] = self.candles.slice(*bars)
        return self.last_slice[bars]

    def results(self, piece: SweepPiece, say: Say) -> list[SweepResult]:
        """Try the combinations of a piece."""
        setups = {n: self.setup(n) for n in range(piece.start, piece.stop)}
        whole = self._tried(setups, self.days, say)
        trained = [self._tried(setups, window.train, say) for window in self.windows]
        return [
            SweepResult(
                sweep_id=self.sweep_id,
                number=number,
                parameters=self.combinations[number].swept,
                score=self.score(whole[number]),
                metrics=asdict(whole[number]),
                train_scores=[self.score(one[number]) for one in trained]
                if self.windows
                else None,
            )
            for number in setups
        ]

    def score(self, figures: Metrics) -> float | None:
        """Return what the sweep ranks by; None without a trade."""
        value: float | None = getattr(figures, self.request["rank_by"])
        return value if figures.total_trades else None

    def _tried(
        self, setups: dict[int, tuple[Strategy, Rules]], days: Days, say: Say
    ) -> dict[int, Metrics]:
        """Run all over the same days; those of one strategy decide once."""
        found = {}
        for strategy, group in groupby(setups.items(), key=lambda item: item[1][0]):
            decisions = self.decisions(strategy, days)
            for number, (_, rules) in group:
                result = run_decided(decisions, rules, progress=lambda _: say())
                found[number] = metrics(result)
        return found


def _check_fingerprint(sweep: Sweep, candles: Candles) -> None:
    """Let the first worker say what the sweep is tried on; refuse anything else."""
    told = f"{ENGINE_VERSION} {candles.digest()}".encode()
    ours = hashlib.sha256(told).hexdigest()
    Sweep.objects.filter(pk=sweep.pk, fingerprint=None).update(fingerprint=ours)
    sweep.refresh_from_db(fields=["fingerprint"])
    if sweep.fingerprint != ours:
        raise RunError(
            gettext(
                "The candles are not those that this sweep was begun with, or the "
                "engine is not: its results would not be of one kind. Ask for it anew."
            ),
            code="refused",
        )


# --- Summing up -------------------------------------------------------------------


def _summary(ground: _Ground, say: Say) -> dict[str, Any]:
    rows = SweepResult.objects.filter(sweep_id=ground.sweep_id).order_by("number")
    scores = list(rows.values_list("score", flat=True))
    found = rows.values_list("metrics__sharpe", flat=True)
    ratios = np.array([ratio for ratio in found if ratio is not None])
    best = _best(scores)
    return {
        "best": None
        if best is None
        else {
            "number": best,
            "parameters": ground.combinations[best].swept,
            "score": scores[best],
        },
        "luck": None if best is None else _luck(ground, best, ratios, say),
        "walk_forward": _walked(
            ground, list(rows.values_list("train_scores", flat=True)), say
        )
        if ground.windows
        else None,
    }


def _best(scores: list[float | None]) -> int | None:
    """Return the number with the highest score, the first of equal ones."""
    found = [(-score, at) for at, score in enumerate(scores) if score is not None]
    return min(found)[1] if found else None


def _luck(
    ground: _Ground, best: int, ratios: Floats, say: Say
) -> dict[str, Any] | None:
    """Return what the best is worth; Sharpe ratios are those of a year."""
    returns = _returns(_run(ground, best, ground.days, say))
    ratio = daily_sharpe(returns)
    if ratio is None:
        return None
    spread = float(ratios.std(ddof=1)) / _ANNUAL if len(ratios) > 1 else 0.0
    lucky = luckiest_sharpe(spread, len(ratios))
    interval = sharpe_interval(returns)
    return {
        "tries": len(ratios),
        "days": len(returns),
        "sharpe": ratio * _ANNUAL,
        "luckiest_sharpe": lucky * _ANNUAL,
        "deflated_sharpe": sharpe_confidence(returns, lucky),
        "sharpe_interval": interval and [end * _ANNUAL for end in interval],
    }


def _walked(ground: _Ground, trained: list[Any], say: Say) -> dict[str, Any]:
    """Try the best of each period on the days behind it."""
    windows, returns = [], []
    growth = 1.0
    for at, window in enumerate(ground.windows):
        best = _best([scores[at] for scores in trained])
        told: dict[str, Any] = {
            "train": [day.isoformat() for day in window.train],
            "test": [day.isoformat() for day in window.test],
            "best": best,
            "parameters": None,
            "train_score": None,
            "test_score": None,
            "test_return": 0.0,
            "test_trades": 0,
        }
        if best is None:
            returns.append(np.zeros((window.test.last - window.test.first).days + 1))
        else:
            result = _run(ground, best, window.test, say)
            figures = metrics(result)
            growth *= 1 + figures.total_return / 100
            returns.append(_returns(result))
            told |= {
                "parameters": ground.combinations[best].swept,
                "train_score": trained[best][at],
                "test_score": ground.score(figures),
                "test_return": figures.total_return,
                "test_trades": figures.total_trades,
            }
        windows.append(told)
    ratio = daily_sharpe(np.concatenate(returns))
    return {
        "windows": windows,
        "total_return": (growth - 1) * 100,
        "sharpe": ratio and ratio * _ANNUAL,
    }


def _run(ground: _Ground, number: int, days: Days, say: Say) -> BacktestResult:
    strategy, rules = ground.setup(number)
    return run_decided(
        ground.decisions(strategy, days), rules, progress=lambda _: say()
    )


def _returns(result: BacktestResult) -> Floats:
    """Return daily returns; what is lost and more has none."""
    return daily_returns(result) if result.equity.min() > 0 else np.empty(0)
