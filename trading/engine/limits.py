"""Daily limits. They hold back entries, never exits; the day is the UTC day."""

from __future__ import annotations

from trading.engine.types import Number, Skip


def entry_limit(
    entries: int,
    day_return: Number,
    max_entries: Number,
    max_loss: Number,
    target: Number,
) -> Skip:
    """Return which limit forbids another entry today; ``Skip.NONE`` if none does.

    ``entries`` counts those of the day, ``day_return`` is equity now through equity
    when the day began, less 1. Limits are ratios; an infinite one is off.
    """
    if entries >= max_entries:
        return Skip.MAX_DAILY_TRADES
    if day_return <= -max_loss:
        return Skip.MAX_DAILY_LOSS
    if day_return >= target:
        return Skip.DAILY_TARGET
    return Skip.NONE
