"""``simple``: watches, and never trades."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from trading.engine.candles import Candles
from trading.engine.types import Floats, Mask


class SimpleInputs(NamedTuple):
    """The column that ``Simple`` watches."""

    close: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Simple:
    """No entries, no exits."""

    name: ClassVar[str] = "simple"

    @property
    def warmup(self) -> int:
        return 1

    def inputs(self, candles: Candles) -> SimpleInputs:
        return SimpleInputs(candles.close)

    def decide(self, now: SimpleInputs, before: SimpleInputs) -> tuple[Mask, Mask]:
        nowhere = np.zeros(len(now.close), dtype=bool)
        return nowhere, nowhere
