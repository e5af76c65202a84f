"""How much of the best of many tries is luck.

Whoever tries a hundred configurations finds a good one among them, whether or not any
is worth something. Returns are ratios of one day, as are Sharpe ratios here: not
annualised.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from trading.engine.types import Floats

_EULER = 0.5772156649015329
_RESAMPLES = 2_000
_SEED = 0  # of the resamples: the same returns have the same interval
_NORMAL = NormalDist()


def daily_sharpe(returns: Floats) -> float | None:
    """Return mean through sample deviation; None where all returns are alike."""
    if len(returns) < 2 or not (deviation := float(returns.std(ddof=1))):
        return None
    return float(returns.mean()) / deviation


def luckiest_sharpe(deviation: float, tries: int) -> float:
    """Return the Sharpe ratio to expect of the best of ``tries`` without any skill.

    ``deviation`` is that of the Sharpe ratios of all tries, which are taken for
    independent: of tries that are alike it is too high. Bailey and López de Prado, The
    Deflated Sharpe Ratio (2014), equation 1.
    """
    if tries < 2:
        return 0.0
    quantile = _NORMAL.inv_cdf
    return deviation * (
        (1 - _EULER) * quantile(1 - 1 / tries)
        + _EULER * quantile(1 - 1 / (tries * math.e))
    )


def sharpe_confidence(returns: Floats, threshold: float) -> float | None:
    """Return how probable it is that the true Sharpe ratio is above ``threshold``.

    With ``luckiest_sharpe`` for it this is the deflated Sharpe ratio: equation 2 of the
    same article, which counts in that returns are skewed and have heavy tails. None
    where there is no Sharpe ratio.
    """
    sharpe = daily_sharpe(returns)
    if sharpe is None:
        return None
    standard = (returns - returns.mean()) / returns.std()
    skew, kurtosis = float(np.mean(standard**3)), float(np.mean(standard**4))
    return deflated(
        sharpe, threshold=threshold, days=len(returns), skew=skew, kurtosis=kurtosis
    )


def deflated(
    sharpe: float, *, threshold: float, days: int, skew: float, kurtosis: float
) -> float:
    """Return ``sharpe_confidence`` of these moments; ``kurtosis`` is 3 for a normal."""
    # Not below zero, as Pearson's inequality has it: kurtosis >= 1 + skew².
    spread = 1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2
    if spread <= 0:
        return float(sharpe > threshold)
    return _NORMAL.cdf((sharpe - threshold) * math.sqrt((days - 1) / spread))


def sharpe_interval(
    returns: Floats, *, confidence: float = 0.95
) -> tuple[float, float] | None:
    """Return between which Sharpe ratios the true one is, by a stationary bootstrap.

    Days are drawn in blocks of ∛days on average, so that they keep what they have to do
    with each other: Politis and Romano (1994). None where there is no Sharpe ratio.
    """
    if daily_sharpe(returns) is None:
        return None
    days = len(returns)
    random = np.random.default_rng(_SEED)
    starts = random.integers(days, size=(days, _RESAMPLES))
    jumps = random.random((days, _RESAMPLES)) < days ** (-1 / 3)
    drawn = np.empty((days, _RESAMPLES))
    at = starts[0]
    for day in range(days):
        at = np.where(jumps[day], starts[day], (at + 1) % days)
        drawn[day] = returns[at]
    deviations = drawn.std(axis=0, ddof=1)
    ratios = drawn.mean(axis=0)[deviations > 0] / deviations[deviations > 0]
    if not len(ratios):
        return None
    tail = (1 - confidence) / 2
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return float(low), float(high)
