"""The values that a bot's parameters may have, for whoever writes them.

Rows of the old program break some of them: they stay readable, and what is not being
changed is not checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tradebot.api.fields import MAX_INTEGER

MIN_NAME_LENGTH = 3
TIMEFRAMES = ("1m", "5m", "15m", "30m", "1h", "4h", "1d")


@dataclass(frozen=True, slots=True)
class Bounds:
    """The lowest and the highest value, both allowed; None where there is no end."""

    lowest: int | Decimal
    highest: int | None = None

    def holds(self, value: Any) -> bool:
        return self.lowest <= value and (self.highest is None or value <= self.highest)

    def __str__(self) -> str:
        if self.highest is None:
            return f"{self.lowest} or more"
        return f"between {self.lowest} and {self.highest}"


BOUNDS: Mapping[str, Bounds] = {
    "initial_capital": Bounds(0),
    "daily_target_perc": Bounds(0),
    "max_daily_loss_perc": Bounds(0),
    "position_size_perc": Bounds(0),
    "position_size_fixed": Bounds(0),
    "stop_loss_perc": Bounds(0),
    "take_profit_perc": Bounds(0),
    "trailing_stop_perc": Bounds(0),
    "ema_fast": Bounds(1, MAX_INTEGER),
    "ema_slow": Bounds(1, MAX_INTEGER),
    "rsi_period": Bounds(1, MAX_INTEGER),
    "rsi_oversold": Bounds(0, 100),
    "rsi_overbought": Bounds(0, 100),
    "max_daily_trades": Bounds(1, 100),
    "check_interval_seconds": Bounds(30, 3600),
    "ema_period": Bounds(1, MAX_INTEGER),
    "custom_ema_fast": Bounds(3, 50),
    "custom_ema_slow": Bounds(10, 200),
    "custom_rsi_period": Bounds(5, 50),
    "custom_rsi_oversold": Bounds(20, 40),
    "custom_rsi_overbought": Bounds(60, 80),
    "custom_stop_loss": Bounds(Decimal("0.1"), 10),
    "custom_take_profit": Bounds(Decimal("0.1"), 20),
    "custom_trailing_stop": Bounds(Decimal("0.1"), 5),
    "transfer_amount": Bounds(10),
    "leverage": Bounds(1, 125),
}
