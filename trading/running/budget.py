"""What a bot may spend: its balance, the size of an entry, the limits of the day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal

from django.db.models import Sum

from bots.models import BotConfig, BotRun
from trading.engine.candles import Candles
from trading.engine.fills import market_fill
from trading.engine.limits import entry_limit
from trading.engine.sizing import (
    SizeBy,
    units_affordable,
    units_sendable,
    units_wanted,
)
from trading.engine.types import Skip
from trading.exchanges.base import Exchange
from trading.models import Position
from trading.running.rules import Plan

_ZERO = Decimal(0)
_INFINITY = Decimal("Infinity")
_HIGHEST_COMMISSION = Decimal("0.002")  # of Binance's spot market, and some more


class Budget:
    """The money of a bot, in the quote asset of its symbol.

    Sizes are in base coins. The day is the UTC day; what it began with is kept in the
    bot's run. Raises what exchanges raise.
    """

    def __init__(
        self,
        *,
        bot: BotConfig,
        run: BotRun,
        plan: Plan,
        exchange: Exchange,
        clock: Callable[[], dt.datetime],
    ) -> None:
        self.bot, self.run, self.plan = bot, run, plan
        self.exchange, self.clock = exchange, clock

    def size(self, direction: int) -> tuple[Decimal, str | None]:
        """Return how much to buy or to sell short, and why it cannot be."""
        rules, symbol = self.plan.rules, self.plan.symbol
        equity = self.balance()
        price = market_fill(self.exchange.price(symbol), direction, rules.slippage)
        size_by = SizeBy[rules.size_by.upper()]  # never by risk: no bot has that
        units = units_sendable(
            min(
                units_wanted(size_by, rules.size, equity, price, _ZERO),
                units_affordable(equity, price, Decimal(rules.leverage)),
            ),
            price,
            rules.step,
            rules.min_units,
            rules.min_notional,
        )
        if units <= 0:
            return units, "below_minimum"
        if not self._can_be_sold(units, price):
            return units, "below_minimum"
        needed = units * price * (1 / Decimal(rules.leverage) + rules.taker_fee)
        if needed > self.exchange.free(self.plan.filters.quote_asset):
            return units, "funds"
        return units // rules.step * rules.step, None  # without digits of a division

    def _can_be_sold(self, units: Decimal, price: Decimal) -> bool:
        """Say whether what is bought, less a commission in coins, is enough for a stop.

        On paper commissions are in the quote, and futures may be closed whatever they
        are worth.
        """
        rules, filters = self.plan.rules, self.plan.filters
        if self.plan.market != "spot" or self.bot.environment == "paper":
            return True
        left = filters.quantity(units * (1 - _HIGHEST_COMMISSION))
        lowest = price * (1 - (rules.stop_loss or _ZERO))
        return left >= filters.min_quantity and left * lowest >= filters.min_notional

    def balance(self) -> Decimal:
        """Return the bot's capital with all that it has realised, in the quote."""
        if not self.plan.has_capital and self.bot.environment != "paper":
            return self.exchange.free(self.plan.filters.quote_asset)
        gained = Position.objects.filter(
            bot=self.bot, environment=self.bot.environment
        ).aggregate(total=Sum("realized_pnl"))["total"]
        return self.plan.rules.initial_capital + (gained or _ZERO)

    def begin_day(self, position: Position | None, candles: Candles) -> None:
        """Take the equity down with which a UTC day begins."""
        today = self.clock().date()
        if self.run.day == today and self.run.day_equity is not None:
            return
        equity = self.balance()
        if position is not None:
            close = Decimal(repr(float(candles.close[-1])))
            equity += position.unrealized_pnl(close)
        if self.run.day != today:
            self.run.day, self.run.day_entries = today, 0
        self.run.day_equity = equity

    def limit(self) -> Skip:
        """Return which daily limit holds entries back; ``Skip.NONE`` if none does."""
        rules, run = self.plan.rules, self.run
        gained = _ZERO
        if rules.max_daily_loss is not None or rules.daily_target is not None:
            begun = run.day_equity or _ZERO
            gained = self.balance() / begun - 1 if begun > 0 else Decimal(-1)
        return entry_limit(
            run.day_entries,
            gained,
            _or_off(rules.max_daily_trades),
            _or_off(rules.max_daily_loss),
            _or_off(rules.daily_target),
        )


def _or_off(limit: Decimal | int | None) -> Decimal:
    return _INFINITY if limit is None else Decimal(limit)
