"""Indicators: what a strategy sees of candles.

Each function takes and returns columns of the same length. Values are NaN until they
are defined, and depend on their own bar and those before it, never on later ones.
"""

from __future__ import annotations

import numpy as np

from trading.engine.compiled import column, fast
from trading.engine.kernel import FloatColumn
from trading.engine.types import Floats


def ema(values: Floats, period: int) -> Floats:
    """Return the exponential moving average, k = 2 / (period + 1).

    It begins with the first value and is defined from bar ``period`` - 1 on.
    """
    return _undefined_before(period - 1, smoothed(values, 2 / (period + 1)))


def sma(values: Floats, period: int) -> Floats:
    """Return the mean of the last ``period`` values."""
    return _padded(period, _sums(values, period) / period, len(values))


def rsi(closes: Floats, period: int) -> Floats:
    """Return Wilder's relative strength index, 0 to 100; 100 where nothing was lost.

    Gains and losses are averaged with α = 1 / period, beginning with 0 for the first
    bar, and the index is defined from bar ``period`` - 1 on.
    """
    index = column(np.empty(len(closes)))
    fast(relative_strength)(column(closes), 1 / period, index)
    return _undefined_before(period - 1, np.asarray(index))


def macd_histogram(
    closes: Floats, fast_period: int = 12, slow_period: int = 26, signal_period: int = 9
) -> Floats:
    """Return MACD less its signal line, defined from bar slow + signal - 2 on.

    The signal line begins with the first value of MACD that is defined.
    """
    line = ema(closes, fast_period) - ema(closes, slow_period)
    histogram = np.full(len(closes), np.nan)
    begin = slow_period - 1
    if len(closes) > begin:
        histogram[begin:] = line[begin:] - ema(line[begin:], signal_period)
    return histogram


def bollinger(
    closes: Floats, period: int = 20, width: float = 2.0
) -> tuple[Floats, Floats, Floats]:
    """Return the lower, middle and upper band: mean ∓ width · population deviation."""
    middle = sma(closes, period)
    spread = width * deviation(closes, period, freedom=0)
    return middle - spread, middle, middle + spread


def volatility(closes: Floats, period: int = 10) -> Floats:
    """Return the sample deviation of the last ``period`` returns of one bar."""
    returns = np.full(len(closes), np.nan)
    returns[1:] = closes[1:] / closes[:-1] - 1
    return deviation(returns, period, freedom=1)


def deviation(values: Floats, period: int, *, freedom: int) -> Floats:
    """Return the deviation of the last values from their mean.

    ``freedom`` 0 is that of a population, 1 that of a sample.
    """
    count = max(len(values) - period + 1, 0)
    mean = _sums(values, period) / period
    squares = np.zeros(count)
    # Not the sum of squares less the square of the sum: at the prices of Bitcoin that
    # loses all digits that matter.
    for offset in range(period):
        squares += (values[offset : offset + count] - mean) ** 2
    return _padded(period, np.sqrt(squares / (period - freedom)), len(values))


def smoothed(values: Floats, weight: float) -> Floats:
    """Return level · (1 - weight) + value · weight along the values from the first."""
    levels = column(np.empty(len(values)))
    fast(smooth)(column(values), weight, levels)
    return np.asarray(levels)


def smooth(values: FloatColumn, weight: float, levels: FloatColumn) -> None:
    """Write ``smoothed`` to ``levels``."""
    level = values[0]
    for index in range(len(values)):
        level = values[index] * weight + level * (1 - weight)
        levels[index] = level


def relative_strength(closes: FloatColumn, weight: float, index: FloatColumn) -> None:
    """Write ``rsi`` to ``index``, from the first bar on."""
    previous = closes[0]
    gain = loss = 0.0
    for bar in range(len(closes)):
        change = closes[bar] - previous
        previous = closes[bar]
        gain = max(change, 0.0) * weight + gain * (1 - weight)
        loss = max(-change, 0.0) * weight + loss * (1 - weight)
        index[bar] = 100 * gain / (gain + loss) if gain + loss > 0 else 100.0


def _sums(values: Floats, period: int) -> Floats:
    """Return the sums of ``period`` values in a row, the first of bar period - 1.

    A running sum would let a NaN, and its own errors, run on for ever.
    """
    count = max(len(values) - period + 1, 0)
    sums = np.zeros(count)
    for offset in range(period):
        sums += values[offset : offset + count]
    return sums


def _padded(period: int, values: Floats, length: int) -> Floats:
    padded = np.full(length, np.nan)
    padded[period - 1 :] = values
    return padded


def _undefined_before(begin: int, values: Floats) -> Floats:
    values[:begin] = np.nan
    return values
