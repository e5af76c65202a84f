"""What a bot's settings mean to the engine: percentages become ratios here, once."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from django.utils.translation import gettext

from bots.models import BotConfig, PositionType
from tradebot.errors import RefusedError
from trading.engine.rules import Rules
from trading.engine.strategies import STRATEGIES
from trading.engine.strategies.base import EmaRsiParameters, Strategy
from trading.engine.types import EngineError
from trading.models import FINEST_STEP, Interval, Symbol

# What a bot on paper has where it does not say its capital, in the quote asset.
PAPER_CAPITAL = Decimal(10_000)

_PERCENT = Decimal(100)
_ZERO = Decimal(0)


class BotRefusedError(RefusedError):
    """A bot cannot run with its settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What the exchange asks of an order; prices in the quote asset. 0 is no rule."""

    base_asset: str
    quote_asset: str
    tick: Decimal = _ZERO
    step: Decimal = _ZERO
    min_quantity: Decimal = _ZERO
    min_notional: Decimal = _ZERO

    @classmethod
    def of(cls, symbol: Symbol) -> Filters:
        return cls(
            base_asset=symbol.base_asset,
            quote_asset=symbol.quote_asset,
            tick=symbol.tick_size or _ZERO,
            step=symbol.step_size or _ZERO,
            min_quantity=symbol.min_quantity or _ZERO,
            min_notional=symbol.min_notional or _ZERO,
        )

    def price(self, price: Decimal, *, up: bool) -> Decimal:
        """Return a price rounded to the tick."""
        if not self.tick:
            return price
        rounding = ROUND_CEILING if up else ROUND_FLOOR
        return (price / self.tick).to_integral_value(rounding) * self.tick

    def quantity(self, quantity: Decimal) -> Decimal:
        """Return a quantity rounded down to the step."""
        return quantity // self.step * self.step if self.step else quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a bot runs by."""

    market: str
    symbol: str  # as the exchange spells it
    interval: Interval
    strategy: Strategy
    rules: Rules
    filters: Filters
    has_capital: bool  # ``rules.initial_capital`` is the bot's own


def exchange_symbol(symbol: str) -> str:
    """Return a symbol as the exchange spells it: BTC/USDT is BTCUSDT there."""
    return symbol.replace("/", "").upper()


def bot_market(bot: BotConfig) -> str:
    """Return the market of a bot; those without one trade on spot."""
    return bot.position_type or PositionType.SPOT


def bot_plan(bot: BotConfig, symbol: Symbol | None) -> Plan:
    """Return what a bot runs by; raises BotRefusedError.

    ``symbol`` is the stored one, None where there is none.
    """
    market = bot_market(bot)
    if symbol is None and bot.candle_seed is None:
        raise BotRefusedError(
            gettext(
                "%(symbol)s is not traded on the %(market)s market of the exchange. "
                "Choose one of GET /api/v1/symbols/%(market)s."
            )
            % {"symbol": bot.symbol, "market": market}
        )
    filters = (
        Filters.of(symbol)
        if symbol
        else Filters(base_asset=exchange_symbol(bot.symbol), quote_asset="USDT")
    )
    try:
        return Plan(
            market=market,
            symbol=exchange_symbol(bot.symbol),
            interval=Interval(bot.timeframe),
            strategy=_strategy(bot),
            rules=Rules(**_rules(bot, market, filters)),
            filters=filters,
            has_capital=bool(bot.initial_capital),
        )
    except EngineError as error:
        raise BotRefusedError(str(error)) from error
    except ValueError:  # of a timeframe from the old program
        raise BotRefusedError(
            gettext("timeframe is %(timeframe)s; expected one of %(expected)s.")
            % {
                "timeframe": bot.timeframe,
                "expected": ", ".join(Interval.values),
            }
        ) from None


def caretaker_plan(bot: BotConfig, symbol: Symbol | None) -> Plan:
    """Return what is needed to look after what a bot has that cannot trade.

    Its position knows its own stop and target.
    """
    market = bot_market(bot)
    name = exchange_symbol(bot.symbol)
    filters = (
        Filters.of(symbol)
        if symbol
        else Filters(base_asset=name.removesuffix("USDT"), quote_asset="USDT")
    )
    return Plan(
        market=market,
        symbol=name,
        interval=Interval.M1,
        strategy=STRATEGIES["simple"](),
        rules=Rules(
            initial_capital=bot.initial_capital or PAPER_CAPITAL,
            market=market,  # type: ignore[arg-type]  # one of the two
            leverage=1 if market == PositionType.SPOT else (bot.leverage or 1),
            size_by="quote",
            size=Decimal(1),
        ),
        filters=filters,
        has_capital=bool(bot.initial_capital),
    )


def _strategy(bot: BotConfig) -> Strategy:
    strategy = STRATEGIES.get(bot.strategy)
    if strategy is None:
        raise BotRefusedError(
            gettext("strategy is %(strategy)s; expected one of %(expected)s.")
            % {"strategy": bot.strategy, "expected": ", ".join(STRATEGIES)}
        )
    if not issubclass(strategy, EmaRsiParameters):
        return strategy()
    return strategy(
        ema_fast=_effective(bot, "ema_fast"),
        ema_slow=_effective(bot, "ema_slow"),
        rsi_period=_effective(bot, "rsi_period"),
        rsi_oversold=float(_effective(bot, "rsi_oversold")),
        rsi_overbought=float(_effective(bot, "rsi_overbought")),
    )


def _rules(bot: BotConfig, market: str, filters: Filters) -> dict[str, Any]:
    is_spot = market == PositionType.SPOT
    sizes = {
        "quote": bot.position_size_fixed or None,
        "equity": _ratio(bot.position_size_perc),
    }
    chosen = {name: size for name, size in sizes.items() if size is not None}
    if len(chosen) != 1:
        raise BotRefusedError(
            gettext(
                "A bot needs exactly one of position_size_fixed, an amount in the "
                "quote asset, and position_size_perc. It has %(count)s of them."
            )
            % {"count": len(chosen)}
        )
    ((size_by, size),) = chosen.items()
    if not bot.initial_capital and (bot.max_daily_loss_perc or bot.daily_target_perc):
        raise BotRefusedError(
            gettext(
                "max_daily_loss_perc and daily_target_perc are percentages of "
                "initial_capital, which is not set. Set it, or take the limits away."
            )
        )
    return {
        "initial_capital": bot.initial_capital or PAPER_CAPITAL,
        "market": market,
        "allow_short": bot.allow_short and not is_spot,
        "leverage": 1 if is_spot else (bot.leverage or 1),
        "size_by": size_by,
        "size": size,
        "stop_loss": _ratio(_effective(bot, "stop_loss", base="stop_loss_perc")),
        "take_profit": _ratio(_effective(bot, "take_profit", base="take_profit_perc")),
        "trailing_stop": (
            _ratio(_effective(bot, "trailing_stop", base="trailing_stop_perc"))
            if bot.trailing_stop_active
            else None
        ),
        "max_daily_trades": bot.max_daily_trades,
        "max_daily_loss": _ratio(bot.max_daily_loss_perc),
        "daily_target": _ratio(bot.daily_target_perc),
        "step": filters.step or FINEST_STEP,
        "min_units": filters.min_quantity,
        "min_notional": filters.min_notional,
    }


def _effective(bot: BotConfig, name: str, *, base: str | None = None) -> Any:
    """Return ``custom_*`` where it is set, the base field otherwise."""
    custom = getattr(bot, f"custom_{name}")
    return getattr(bot, base or name) if custom is None else custom


def _ratio(percent: Decimal | None) -> Decimal | None:
    """Return a percentage as a ratio; 0 and null are off."""
    return percent / _PERCENT if percent else None
