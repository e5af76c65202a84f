"""How much of the best of many is luck: published figures, and made-up worlds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trading.engine.luck import (
    daily_sharpe,
    deflated,
    luckiest_sharpe,
    sharpe_confidence,
    sharpe_interval,
)

pytestmark = pytest.mark.sqlite  # no database


def test_deflated_sharpe_ratio_is_that_of_the_article() -> None:
    # Bailey and López de Prado (2014), "A numerical example": 100 tries whose yearly
    # Sharpe ratios vary by 1/2; the best has 2.5 over 1250 days of 250 a year.
    threshold = luckiest_sharpe(math.sqrt(0.5 / 250), 100)
    sharpe = 2.5 / math.sqrt(250)

    assert threshold == pytest.approx(0.1132, abs=5e-5)
    found = deflated(sharpe, threshold=threshold, days=1250, skew=-3, kurtosis=10)
    assert found == pytest.approx(0.9004, abs=5e-5)
    # With 46 tries, as the article goes on, it is just significant.
    threshold = luckiest_sharpe(math.sqrt(0.5 / 250), 46)
    found = deflated(sharpe, threshold=threshold, days=1250, skew=-3, kurtosis=10)
    assert found == pytest.approx(0.9505, abs=5e-4)


def test_best_of_many_worthless_tries_is_as_good_as_expected() -> None:
    random = np.random.default_rng(1)
    worlds = random.normal(size=(400, 100, 250))
    ratios = worlds.mean(axis=2) / worlds.std(axis=2, ddof=1)

    expected = luckiest_sharpe(float(ratios.std()), 100)

    assert ratios.max(axis=1).mean() == pytest.approx(expected, rel=0.02)


def test_luck_is_told_from_skill() -> None:
    random = np.random.default_rng(2)
    days = random.normal(size=500) / 100
    lucky, skilled = days - days.mean() + 0.0005, days - days.mean() + 0.003
    threshold = luckiest_sharpe(1 / math.sqrt(500), 100)

    assert (sharpe_confidence(lucky, threshold) or 0) < 0.1
    assert (sharpe_confidence(skilled, threshold) or 0) > 0.99


def test_interval_holds_the_true_ratio_as_often_as_it_says() -> None:
    random = np.random.default_rng(3)
    hits = 0
    for _ in range(100):
        found = sharpe_interval(random.normal(0.05, 1, size=300), confidence=0.8)
        assert found
        hits += found[0] <= 0.05 <= found[1]

    assert 68 <= hits <= 92  # 80 ± 3 · √(100 · 0.8 · 0.2)


def test_interval_is_wider_where_days_hang_together() -> None:
    random = np.random.default_rng(4)
    apart = random.normal(size=900)
    together = np.repeat(apart[:180], 5)  # the same return for five days

    def width(returns: np.ndarray) -> float:
        found = sharpe_interval(returns)
        assert found
        return found[1] - found[0]

    assert width(together) > 1.5 * width(apart)


@pytest.mark.parametrize("returns", [[], [0.01], [0.01, 0.01, 0.01], [0.0, 0.0]])
def test_days_that_are_alike_have_no_ratio(returns: list[float]) -> None:
    days = np.array(returns)

    assert daily_sharpe(days) is None
    assert sharpe_confidence(days, 0.0) is None
    assert sharpe_interval(days) is None


def test_same_days_have_the_same_interval() -> None:
    days = np.random.default_rng(5).normal(size=50)

    assert sharpe_interval(days) == sharpe_interval(days.copy())
    assert luckiest_sharpe(0.1, 1) == 0
