"""Where a bot's orders go: its account on an exchange, simulated or not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from bots.models import BotConfig
from trading.exchanges.base import Exchange
from trading.exchanges.paper import PaperExchange
from trading.running.feed import Feed
from trading.running.rules import Plan


def exchange_open(
    bot: BotConfig, plan: Plan, feed: Feed, clock: Callable[[], dt.datetime]
) -> Exchange:
    """Return the account of a bot."""
    return PaperExchange(bot=bot, plan=plan, feed=feed, clock=clock)
