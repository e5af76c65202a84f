"""Rows for tests: each maker fills what a test does not care about."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import models
from django.utils import timezone

from accounts.models import User
from apikeys.services import api_key_create
from backtests.models import Backtest, BacktestRun, Sweep, SweepResult
from bots.models import BotConfig, BotState, PositionType
from trading.models import Fill, Order, Position, Symbol, SymbolList, Trade
from trading.notifications.models import Notification
from trading.notifications.outbox import webhook_save

BOT: dict[str, Any] = {
    "name": "Some bot",
    "symbol": "BTCUSDT",
    "timeframe": "1h",
    "stop_loss_perc": 1,
    "take_profit_perc": 2,
    "ema_fast": 9,
    "ema_slow": 21,
    "rsi_period": 14,
    "rsi_oversold": 30,
    "rsi_overbought": 70,
}
"""What a body, or a row, has to say of a bot."""


def make_user(email: str = "owner@example.com", **values: Any) -> User:
    return User.objects.create_user(email, **values)


def make_bot(user: User, **values: Any) -> BotConfig:
    return BotConfig.objects.create(**{**BOT, "user": user, **values})


def make_trade(bot: BotConfig, price: Any = 1, **values: Any) -> Trade:
    return Trade.objects.create(
        **{
            "bot_config": bot,
            "user": bot.user,
            "symbol": bot.symbol,
            "side": "BUY",
            "order_type": "MARKET",
            "price": price,
            "quantity_filled": Decimal(1),
            "quote_quantity_filled": price,
            **values,
        }
    )


def make_backtest(user: User, **values: Any) -> Backtest:
    numbers = {
        field.name: 0
        for field in Backtest._meta.fields
        if isinstance(field, models.FloatField | models.IntegerField)
        and not field.primary_key
        and not field.null
    }
    return Backtest.objects.create(
        **{
            "user": user,
            "symbol": "BTCUSDT",
            "interval": "1h",
            "start_date": "2025-01-01",
            "end_date": "2025-02-01",
            "parameters": {},
            "test_mode": "false",
            **numbers,
            **values,
        }
    )


def make_notification(user: User, **values: Any) -> Notification:
    return Notification.objects.create(
        **{
            "user": user,
            "kind": "bot_error",
            "channel": "webhook",
            "payload": "{}",
            **values,
        }
    )


def make_run(user: User, **values: Any) -> BacktestRun:
    """Make a run that waits, of which no worker knows."""
    request = {"symbol": "BTCUSDT", "interval": "1h", "market_type": "spot"}
    return BacktestRun.objects.create(**{"user": user, "request": request, **values})


def make_sweep(user: User, **values: Any) -> Sweep:
    """Make a sweep of one combination, of which no worker knows."""
    sweep = Sweep.objects.create(
        **{
            "user": user,
            "request": {"grid": {"ema_fast": [5]}},
            "combinations": 1,
            "status": "queued",
            **values,
        }
    )
    SweepResult.objects.create(
        sweep=sweep, number=0, score=1.5, parameters={"ema_fast": 5}, metrics={}
    )
    return sweep


def make_position(bot: BotConfig, **values: Any) -> Position:
    """Make a position that is open unless it has ``closed_at``: one coin at 100."""
    now = timezone.now()
    return Position.objects.create(
        **{
            "bot": bot,
            "environment": bot.environment,
            "market": bot.position_type,
            "symbol": bot.symbol,
            "direction": "LONG",
            "leverage": 1,
            "entry_quantity": Decimal(1),
            "entry_quote": Decimal(100),
            "best_price": Decimal(100),
            "opened_at": now,
            **values,
        }
    )


def make_order(bot: BotConfig, position: Position | None, **values: Any) -> Order:
    """Make an order for one coin, at the market and filled unless values say so."""
    now = timezone.now()
    return Order.objects.create(
        **{
            "bot": bot,
            "position": position,
            "environment": bot.environment,
            "market": bot.position_type,
            "symbol": bot.symbol,
            "client_id": f"tb-{bot.pk}-{Order.objects.count()}",
            "role": "ENTRY",
            "side": "BUY",
            "kind": "MARKET",
            "quantity": Decimal(1),
            "status": "FILLED",
            "candle_at": now,
            "signed_at": now,
            **values,
        }
    )


def make_closed_position(bot: BotConfig) -> Position:
    """Make a position with its entry, a fill of that, and what it has come to."""
    position = make_position(
        bot,
        exit_quantity=Decimal(1),
        exit_quote=Decimal(110),
        realized_pnl=Decimal(10),
        closed_at=timezone.now(),
        reason="TP",
    )
    Fill.objects.create(
        order=make_order(bot, position),
        trade_id="1",
        price=Decimal(100),
        quantity=Decimal(1),
        commission=Decimal(0),
        commission_asset="USDT",
        commission_quote=Decimal(0),
        filled_at=timezone.now(),
    )
    return position


def make_symbols() -> None:
    """Make a list of symbols for each market, as if it had just been fetched."""
    now = timezone.now()
    for market in PositionType.values:
        SymbolList.objects.create(market=market, fetched_at=now, tried_at=now)
        Symbol.objects.create(
            market=market,
            symbol="BTCUSDT",
            base_asset="BTC",
            quote_asset="USDT",
            status="TRADING",
        )


def make_one_of_everything(user: User, number: int = 0) -> dict[str, int]:
    """Make a row in every table for the user; return their ids as paths name them.

    ``number`` tells the exchange keys of a user apart.
    """
    values = {"api_key": f"key {number}", "secret_key": "secret"}
    key = api_key_create(user=user, values=values)
    bot = make_bot(user, api_key=key)
    BotState.objects.create(bot_config=bot)
    backtest = make_backtest(user, trades=[])
    run = make_run(user, status="done", backtest=backtest)
    webhook_save(user=user, values={"url": "https://receiver.example.com/"})
    make_notification(user, bot_config_id=bot.pk)
    return {
        "api-keys": key.pk,
        "bot-configs": bot.pk,
        "bot-states": bot.pk,
        "bots": bot.pk,
        "trades": make_trade(bot, realized_pnl=Decimal(number)).pk,
        "backtest": backtest.pk,
        "backtest/runs": run.pk,
        "backtest/sweeps": make_sweep(user, status="done").pk,
    }
