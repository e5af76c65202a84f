"""Stored candles as a market that goes on bar by bar, and bots that run on it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from bots.models import BotConfig, BotRun
from tests.factories import make_bot, make_user
from trading.candles import EPOCH
from trading.engine.candles import Candles
from trading.models import Symbol
from trading.running.feed import Bar, Series, bars_of
from trading.running.runner import Runner
from trading.running.services import bot_start

_MS = dt.timedelta(milliseconds=1)


class Replay:
    """A feed and its clock: it is always the moment at which bar ``at`` opens.

    Simulated exchanges fill by the same candles that bots decide on.
    """

    def __init__(self, candles: Candles, at: int) -> None:
        self.all, self.at = candles, at

    def now(self) -> dt.datetime:
        return EPOCH + int(self.all.open_time[self.at]) * _MS

    def candles(self, series: Series, count: int, now: dt.datetime) -> Candles:
        return self.all.slice(max(self.at - count, 0), self.at)

    def bars(
        self, series: Series, since: dt.datetime, now: dt.datetime
    ) -> Iterator[Bar]:
        first = min(self.all.position_of((since - EPOCH) // _MS), self.at - 1)
        return bars_of(self.all.slice(first, self.at), since)

    def price(self, series: Series, now: dt.datetime) -> Decimal:
        return Decimal(repr(float(self.all.open[self.at])))


def make_running_bot(**values: Any) -> BotConfig:
    """Return a bot that was started; its symbol has no filters unless it is stored."""
    market = values.get("position_type", "spot")
    Symbol.objects.get_or_create(
        market=market,
        symbol="BTCUSDT",
        defaults={"base_asset": "BTC", "quote_asset": "USDT", "status": "TRADING"},
    )
    bot = make_bot(
        values.pop("user", None) or make_user(),
        **{
            "strategy": "ema",
            "timeframe": "1m",
            "initial_capital": Decimal(1000),
            "position_size_perc": Decimal(50),
            "ema_fast": 8,
            "ema_slow": 21,
            "rsi_period": 7,
            "rsi_oversold": 35,
            "rsi_overbought": 65,
            **values,
        },
    )
    bot_start(bot=bot)
    bot.refresh_from_db()
    return bot


def replay(bot: BotConfig, market: Replay, until: int) -> Runner:
    """Let a runner look at a bot at the opening of each bar before ``until``."""
    runner = Runner(feed=market, threads=1, clock=market.now)
    while market.at < until:
        BotRun.objects.filter(pk=bot.pk).update(due_at=market.now())
        assert runner.step() == 1
        market.at += 1
    return runner
