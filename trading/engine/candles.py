"""Candles: checked columns of closed bars, without a gap."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from trading.engine.types import DAY_MS, EngineError, Floats, Ints, Mask

Computed = TypeVar("Computed")

_KEPT = 32  # indicators, each as large as a column
_MINUTE_MS = 60_000
INTERVALS_MS = {
    "1m": _MINUTE_MS,
    "3m": 3 * _MINUTE_MS,
    "5m": 5 * _MINUTE_MS,
    "15m": 15 * _MINUTE_MS,
    "30m": 30 * _MINUTE_MS,
    "1h": 60 * _MINUTE_MS,
    "2h": 120 * _MINUTE_MS,
    "4h": 240 * _MINUTE_MS,
    "6h": 360 * _MINUTE_MS,
    "8h": 480 * _MINUTE_MS,
    "12h": 720 * _MINUTE_MS,
    "1d": DAY_MS,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candles:
    """Closed bars of one market, oldest first; make them with ``of``.

    ``open_time`` is in milliseconds UTC, prices are in the quote asset, volumes as the
    exchange tells them. The arrays cannot be written to.
    """

    interval: str
    open_time: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    _computed: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(
        cls,
        *,
        interval: str,
        open_time: Iterable[int],
        open: Iterable[Any],
        high: Iterable[Any],
        low: Iterable[Any],
        close: Iterable[Any],
        volume: Iterable[Any],
    ) -> Self:
        """Return candles of these columns of numbers.

        Raises EngineError that names the first bar that cannot be right.
        """
        if interval not in INTERVALS_MS:
            raise EngineError(
                f"interval is {interval!r}; expected one of {', '.join(INTERVALS_MS)}."
            )
        candles = cls(
            interval=interval,
            open_time=_column(open_time, np.int64),
            open=_column(open, np.float64),
            high=_column(high, np.float64),
            low=_column(low, np.float64),
            close=_column(close, np.float64),
            volume=_column(volume, np.float64),
        )
        candles._check()
        return candles

    @property
    def interval_ms(self) -> int:
        return INTERVALS_MS[self.interval]

    @property
    def length_ms(self) -> int:
        """How much time the bars cover."""
        return len(self) * self.interval_ms

    def __len__(self) -> int:
        return len(self.open_time)

    def slice(self, begin: int, end: int) -> Self:
        """Return the bars from ``begin`` up to, and without, ``end``."""
        return type(self)(
            interval=self.interval,
            open_time=self.open_time[begin:end],
            open=self.open[begin:end],
            high=self.high[begin:end],
            low=self.low[begin:end],
            close=self.close[begin:end],
            volume=self.volume[begin:end],
        )

    def position_of(self, time_ms: int) -> int:
        """Return the index of the first bar that opens at ``time_ms`` or later."""
        return int(np.searchsorted(self.open_time, time_ms))

    def computed(
        self, indicator: Callable[..., Computed], name: str, *parameters: int
    ) -> Computed:
        """Return an indicator of a column; strategies share those computed last.

        What is returned must not be written to.
        """
        key = indicator, name, parameters
        if key in self._computed:
            found: Computed = self._computed.pop(key)
        else:
            found = indicator(getattr(self, name), *parameters)
        while len(self._computed) >= _KEPT:
            self._computed.pop(next(iter(self._computed)))
        self._computed[key] = found
        return found

    def digest(self) -> str:
        """Return what tells these candles from any others: a SHA-256 in hex."""
        digest = hashlib.sha256(self.interval.encode())
        for column in self._columns().values():
            digest.update(np.ascontiguousarray(column).data)
        return digest.hexdigest()

    def _columns(self) -> dict[str, Floats | Ints]:
        return {
            "open_time": self.open_time,
            "open": self.open,
            "high": self.high,
            "low": self.low,
            "close": self.close,
            "volume": self.volume,
        }

    def _check(self) -> None:
        lengths = {name: len(column) for name, column in self._columns().items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise EngineError(f"The columns must be equally long; they have: {told}.")
        if not len(self):
            raise EngineError("There are no candles; at least one is needed.")
        found = [
            (int(np.argmax(bad)), complaint)
            for bad, complaint in self._faults()
            if bad.any()
        ]
        if not found:
            return
        # The first bar; of its faults the one that was looked for first.
        index, complaint = min(found, key=lambda fault: fault[0])
        values = {name: column[index] for name, column in self._columns().items()}
        opened = np.datetime_as_string(np.datetime64(int(self.open_time[index]), "ms"))
        raise EngineError(f"Bar {index} ({opened}Z): {complaint.format(**values)}.")

    def _faults(self) -> Iterator[tuple[Mask, str]]:
        """Yield where the bars have each kind of fault, and what it is called."""
        for name in ("open", "high", "low", "close", "volume"):
            yield ~np.isfinite(getattr(self, name)), f"{name} is {{{name}}}, no number"
        steps = np.diff(self.open_time, prepend=self.open_time[0] - self.interval_ms)
        yield (
            steps != self.interval_ms,
            f"it does not open one interval ({self.interval}) after the bar before it; "
            "sort the bars, drop doubles and fetch what is missing",
        )
        for name in ("open", "high", "low", "close"):
            yield getattr(self, name) <= 0, f"{name} is {{{name}}}; prices are above 0"
        yield self.volume < 0, "volume is {volume}; it cannot be negative"
        for name in ("open", "close", "high"):
            yield (
                self.low > getattr(self, name),
                f"low {{low}} is above {name} {{{name}}}",
            )
        for name in ("open", "close"):
            yield (
                self.high < getattr(self, name),
                f"high {{high}} is below {name} {{{name}}}",
            )


def _column(values: Iterable[Any], dtype: type[np.generic]) -> Any:
    try:
        column: NDArray[Any] = np.array(
            values if isinstance(values, np.ndarray) else list(values), dtype=dtype
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise EngineError(f"A column of candles is not of numbers: {error}.") from error
    column.flags.writeable = False
    return column
