"""Rows in every table that exists, made with the models of that point in history."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.state import StateApps

# What a row needs beyond its defaults; values of columns that do not exist yet are
# left out. Long numbers and text that is not ASCII show what a table copy would lose.
_EXACT = Decimal("12345678.123456789012345678")
_WHEN = dt.datetime(2025, 5, 23, 1, 2, 3, 456789, tzinfo=dt.UTC)
_ROWS: dict[tuple[str, str], dict[str, Any]] = {
    ("contenttypes", "ContentType"): {"app_label": "x", "model": "y", "name": "z"},
    ("auth", "Permission"): {"content_type_id": 1, "codename": "c", "name": "n"},
    ("auth", "Group"): {"name": "traders"},
    ("accounts", "User"): {"email": "ä@example.com", "password": "bcrypt$$2b$12$x"},
    ("accounts", "RateLimit"): {"key": "ä" * 64, "tries": 3, "ends": 1_700_000_000},
    ("apikeys", "APIKey"): {
        "user_id": 1,
        "encrypted_api_key": "gAAAA1",
        "encrypted_secret_key": "gAAAA2",
        "environment": "live",
        "permissions": ["spot", "ü"],
        "validated_at": _WHEN,
    },
    ("bots", "BotConfig"): {
        "user_id": 1,
        "api_key_id": 1,
        "name": "Bot ₿",
        "symbol": "BTC/USDT",
        "timeframe": "1h",
        "initial_capital": _EXACT,
        "stop_loss_perc": Decimal("0.10"),
        "take_profit_perc": Decimal(3),
        "ema_fast": 9,
        "ema_slow": 21,
        "rsi_period": 14,
        "rsi_oversold": 30,
        "rsi_overbought": 70,
        "custom_stop_loss": _EXACT,
        "leverage": 5,
    },
    ("bots", "BotState"): {
        "bot_config_id": 1,
        "entry_price": _EXACT,
        "last_run_at": _WHEN,
    },
    ("trading", "Trade"): {
        "bot_config_id": 1,
        "user_id": 1,
        "binance_order_id": "o-1",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "order_type": "MARKET",
        "price": _EXACT,
        "quantity_filled": _EXACT,
        "quote_quantity_filled": _EXACT,
        "realized_pnl": -_EXACT,
        "timestamp": _WHEN,
    },
    ("bots", "BotRun"): {
        "bot_id": 1,
        "due_at": _WHEN,
        "lease_token": 3,
        "day": _WHEN.date(),
        "day_equity": _EXACT,
    },
    ("trading", "TradingHalt"): {"halted_by": "ä", "reason": "₿"},
    ("trading", "Position"): {
        "bot_id": 1,
        "environment": "paper",
        "market": "spot",
        "symbol": "BTCUSDT",
        "direction": "LONG",
        "leverage": 1,
        "entry_quantity": _EXACT,
        "best_price": _EXACT,
        "opened_at": _WHEN,
    },
    ("trading", "Order"): {
        "bot_id": 1,
        "position_id": 1,
        "trade_id": 1,
        "environment": "paper",
        "market": "spot",
        "symbol": "BTCUSDT",
        "client_id": "tb-1-1-e-0",
        "role": "ENTRY",
        "side": "BUY",
        "kind": "MARKET",
        "quantity": _EXACT,
        "status": "FILLED",
        "candle_at": _WHEN,
        "signed_at": _WHEN,
    },
    ("trading", "Fill"): {
        "order_id": 1,
        "trade_id": "t",
        "price": _EXACT,
        "quantity": _EXACT,
        "commission": _EXACT,
        "commission_asset": "BTC",
        "commission_quote": _EXACT,
        "filled_at": _WHEN,
    },
    ("trading", "PaperAccount"): {
        "bot_id": 1,
        "quantity": _EXACT,
        "matched_until": _WHEN,
    },
    ("trading", "PaperOrder"): {
        "bot_id": 1,
        "client_id": "tb-1-1-e-0",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "kind": "MARKET",
        "quantity": _EXACT,
        "status": "FILLED",
        "placed_at": _WHEN,
    },
    ("trading", "SymbolList"): {"market": "spot", "fetched_at": _WHEN},
    ("trading", "Symbol"): {
        "market": "spot",
        "symbol": "BTCUSDT",
        "base_asset": "BTC",
        "quote_asset": "USDT",
        "status": "TRADING",
        "tick_size": _EXACT,
    },
    ("trading", "CandleSeries"): {
        "market": "spot",
        "symbol": "BTCUSDT",
        "interval": "1m",
        "source": "synthetic",
        "seed": 7,
        "base_price": _EXACT,
    },
    ("trading", "Candle"): {
        "series_id": 1,
        "open_time": _WHEN,
        "open": _EXACT,
        "high": _EXACT,
        "low": _EXACT,
        "close": _EXACT,
        "volume": _EXACT,
    },
    ("trading", "NotificationSettings"): {
        "user_id": 1,
        "email_kinds": ["bot_error"],
        "webhook_kinds": [],
    },
    ("trading", "Webhook"): {
        "user_id": 1,
        "url": "https://example.com/ä",
        "encrypted_secret": "gAAAA3",
    },
    ("trading", "Notification"): {
        "user_id": 1,
        "bot_config_id": 1,
        "kind": "order_filled",
        "channel": "webhook",
        "payload": '{"price": 12345678.123456789012345678}',
    },
    ("backtests", "Backtest"): {
        "user_id": 1,
        "symbol": "BTCUSDT",
        "interval": "1h",
        "start_date": "2025-01-01",
        "end_date": "2025-02-01",
        "parameters": {"b": 1, "a": [0.1, None, "ü"]},
        "initial_capital": 1000.0,
        "final_capital": 1001.5,
        "total_return": 0.15,
        "total_trades": 2,
        "winning_trades": 1,
        "losing_trades": 1,
        "win_rate": 50.0,
        "total_fees": 0.25,
        "avg_profit": 0.75,
        "daily_results": [],
        "test_mode": "false",
    },
    ("backtests", "BacktestRun"): {
        "user_id": 1,
        "request": {"symbol": "BTCUSDT"},
        "started_at": _WHEN,
    },
    ("backtests", "Sweep"): {
        "user_id": 1,
        "request": {"grid": {"ema_fast": [5, 9.5]}},
        "combinations": 2,
        "summary": {"ü": None},
        "started_at": _WHEN,
    },
    ("backtests", "SweepPiece"): {
        "sweep_id": 1,
        "start": 0,
        "stop": 2,
        "beat_at": _WHEN,
    },
    ("backtests", "SweepResult"): {
        "sweep_id": 1,
        "number": 1,
        "parameters": {"ema_fast": 9.5},
        "metrics": {"sharpe": 0.1},
        "train_scores": [0.1, None],
    },
    ("admin", "LogEntry"): {
        "user_id": 1,
        "content_type_id": 1,
        "object_repr": "r",
        "action_flag": 1,
        "action_time": _WHEN,
    },
    ("sessions", "Session"): {
        "session_key": "k",
        "session_data": "d",
        "expire_date": _WHEN,
    },
}


_JSON = {
    *("parameters", "daily_results", "monthly_results"),
    *("metrics", "equity_curve", "trades", "request", "permissions"),
    *("summary", "train_scores"),
    *("email_kinds", "webhook_kinds"),
}


def fill(connection: BaseDatabaseWrapper, apps: StateApps) -> None:
    """Put one row into every table of ``apps`` that has none, links included."""
    for (app, name), values in _ROWS.items():
        try:
            model = apps.get_model(app, name)
        except LookupError:
            continue
        manager = model._base_manager.using(connection.alias)
        columns = {field.attname for field in model._meta.concrete_fields}
        if not manager.exists():
            manager.create(
                **{name: value for name, value in values.items() if name in columns}
            )
        for field in model._meta.local_many_to_many:
            links = getattr(manager.get(), field.name)
            links.set(
                [
                    field.remote_field.model._base_manager.db_manager(
                        connection.alias
                    ).get()
                ]
            )


def read(connection: BaseDatabaseWrapper) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of all tables but those of the migration system.

    JSON is read and times are in UTC, whatever type the column has at the moment.
    """
    introspection = connection.introspection
    with connection.cursor() as cursor:
        tables = {}
        for table in introspection.table_names(cursor):
            if table == "django_migrations" or table.startswith("tradebot_"):
                continue
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608  # its own name
            names = [column[0] for column in cursor.description]
            rows = [
                {
                    name: _plain(name, value)
                    for name, value in zip(names, row, strict=True)
                }
                for row in cursor.fetchall()
            ]
            tables[table] = sorted(rows, key=str)
        return tables


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, dt.datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        return aware.astimezone(dt.UTC)
    if isinstance(value, str) and name in _JSON:
        return json.loads(value)
    return value
