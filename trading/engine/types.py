"""Types and constants that the engine's modules share."""

from __future__ import annotations

from decimal import Decimal
from enum import IntEnum
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

DAY_MS = 86_400_000

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Signals = NDArray[np.int8]  # 1: be long, -1: be short, or flat; 0: nothing new
Mask = NDArray[np.bool_]

# The rules of money are written once: with float for the kernel, with Decimal for a
# live bot and for the exact replay. So they hold no literal but integers.
Number = TypeVar("Number", float, Decimal)


class EngineError(ValueError):
    """What was given to the engine cannot be worked with; the message says why."""


class Reason(IntEnum):
    """Why a position was closed; ``NONE`` while it is open."""

    NONE = 0
    SL = 1
    TRAIL = 2
    TP = 3
    SIGNAL = 4
    LIQUIDATION = 5
    END = 6  # of the candles
    EOD = 7  # end of the UTC day, where the rules close positions then


class Skip(IntEnum):
    """Why a signal did not become an entry."""

    NONE = 0
    MAX_DAILY_TRADES = 1
    MAX_DAILY_LOSS = 2
    DAILY_TARGET = 3
    BELOW_MINIMUM = 4  # of the exchange, after rounding down
    FUNDS = 5  # margin and commission are more than there is
