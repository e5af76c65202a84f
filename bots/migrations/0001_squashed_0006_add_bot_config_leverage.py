"""The documented history of ``bot_configs`` and ``bot_states`` in one step."""

from django.conf import settings
from django.db import migrations, models

import tradebot.constraints
import tradebot.fields


class Migration(migrations.Migration):
    replaces = [
        ("bots", "0001_create_bot_config_table"),
        ("bots", "0002_create_bot_state_table"),
        ("bots", "0003_add_bot_config_api_key"),
        ("bots", "0004_add_bot_config_strategy"),
        ("bots", "0005_add_bot_config_advanced_parameters"),
        ("bots", "0006_add_bot_config_leverage"),
    ]

    dependencies = [
        ("accounts", "0001_create_user_table"),
        ("apikeys", "0001_create_api_key_table"),
    ]

    operations = [
        migrations.CreateModel(
            name="BotConfig",
            fields=[
                (
                    "id",
                    tradebot.fields.SerialAutoField(primary_key=True, serialize=False),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=models.CASCADE,
                        related_name="bot_configs",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("name", models.CharField()),
                ("symbol", models.CharField()),
                ("timeframe", models.CharField()),
                (
                    "is_active",
                    models.BooleanField(
                        default=False, null=True, verbose_name="active"
                    ),
                ),
                (
                    "initial_capital",
                    tradebot.fields.ExactDecimalField(blank=True, null=True),
                ),
                (
                    "daily_target_perc",
                    tradebot.fields.ExactDecimalField(blank=True, null=True),
                ),
                (
                    "max_daily_loss_perc",
                    tradebot.fields.ExactDecimalField(blank=True, null=True),
                ),
                (
                    "position_size_perc",
                    tradebot.fields.ExactDecimalField(blank=True, null=True),
                ),
                (
                    "position_size_fixed",
                    tradebot.fields.ExactDecimalField(blank=True, null=True),
                ),
                ("stop_loss_perc", tradebot.fields.ExactDecimalField()),
                ("take_profit_perc", tradebot.fields.ExactDecimalField()),
                (
                    "trailing_stop_perc",
                    tradebot.fields.ExactDecimalField(blank=True, null=True),
                ),
                ("trailing_stop_active", models.BooleanField(default=False, null=True)),
                ("ema_fast", models.IntegerField(verbose_name="EMA fast")),
                ("ema_slow", models.IntegerField(verbose_name="EMA slow")),
                ("rsi_period", models.IntegerField(verbose_name="RSI period")),
                ("rsi_oversold", models.IntegerField(verbose_name="RSI oversold")),
                ("rsi_overbought", models.IntegerField(verbose_name="RSI overbought")),
                ("max_daily_trades", models.IntegerField(blank=True, null=True)),
                (
                    "check_interval_seconds",
                    models.IntegerField(blank=True, default=60, null=True),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=tradebot.fields.TransactionNow(),
                        editable=False,
                        null=True,
                    ),
                ),
                (
                    "updated_at",
                    models.DateTimeField(
                        db_default=tradebot.fields.TransactionNow(),
                        auto_now=True,
                        null=True,
                    ),
                ),
                (
                    "api_key",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=models.SET_NULL,
                        related_name="bot_configs",
                        to="apikeys.apikey",
                        verbose_name="API key",
                    ),
                ),
                (
                    "strategy",
                    models.CharField(
                        choices=[("simple", "Simple"), ("ema", "EMA")], default="simple"
                    ),
                ),
                (
                    "ema_period",
                    models.IntegerField(
                        blank=True, null=True, verbose_name="EMA period"
                    ),
                ),
                (
                    "custom_ema_fast",
                    models.IntegerField(
                        blank=True, null=True, verbose_name="custom EMA fast"
                    ),
                ),
                (
                    "custom_ema_slow",
                    models.IntegerField(
                        blank=True, null=True, verbose_name="custom EMA slow"
                    ),
                ),
                (
                    "custom_rsi_period",
                    models.IntegerField(
                        blank=True, null=True, verbose_name="custom RSI period"
                    ),
                ),
                (
                    "custom_rsi_oversold",
                    models.IntegerField(
                        blank=True, null=True, verbose_name="custom RSI oversold"
                    ),
                ),
                (
                    "custom_rsi_overbought",
                    models.IntegerField(
                        blank=True, null=True, verbose_name="custom RSI overbought"
                    ),
                ),
                (
                    "custom_stop_loss",
                    tradebot.fields.ExactDecimalField(blank=True, null=True),
                ),
                (
                    "custom_take_profit",
                    tradebot.fields.ExactDecimalField(blank=True, null=True),
                ),
                (
                    "custom_trailing_stop",
                    tradebot.fields.ExactDecimalField(blank=True, null=True),
                ),
                (
                    "position_type",
                    models.CharField(
                        blank=True,
                        choices=[("spot", "Spot"), ("futures", "Futures")],
                        null=True,
                    ),
                ),
                (
                    "transfer_amount",
                    tradebot.fields.ExactDecimalField(blank=True, null=True),
                ),
                ("auto_transfer_funds", models.BooleanField(null=True)),
                ("leverage", models.IntegerField(blank=True, null=True)),
            ],
            options={
                "verbose_name": "bot",
                "db_table": "bot_configs",
                "indexes": [
                    models.Index(fields=["id"], name="ix_bot_configs_id"),
                    models.Index(fields=["user"], name="ix_bot_configs_user_id"),
                ],
                "constraints": [
                    tradebot.constraints.ForeignKeyConstraint(
                        field="user", name="bot_configs_user_id_fkey"
                    ),
                    tradebot.constraints.ForeignKeyConstraint(
                        field="api_key", name="bot_configs_api_key_id_fkey"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="BotState",
            fields=[
                (
                    "bot_config",
                    models.OneToOneField(
                        db_column="id",
                        db_constraint=False,
                        on_delete=models.CASCADE,
                        primary_key=True,
                        related_name="state",
                        serialize=False,
                        to="bots.botconfig",
                        verbose_name="bot",
                    ),
                ),
                ("status", models.CharField(blank=True, default="stopped", null=True)),
                ("in_position", models.BooleanField(default=False, null=True)),
                (
                    "entry_price",
                    tradebot.fields.ExactDecimalField(blank=True, null=True),
                ),
                (
                    "current_position_size_coins",
                    tradebot.fields.ExactDecimalField(blank=True, null=True),
                ),
                (
                    "trailing_stop_price",
                    tradebot.fields.ExactDecimalField(blank=True, null=True),
                ),
                (
                    "max_price_since_entry",
                    tradebot.fields.ExactDecimalField(blank=True, null=True),
                ),
                (
                    "take_profit_price",
                    tradebot.fields.ExactDecimalField(blank=True, null=True),
                ),
                (
                    "stop_loss_price",
                    tradebot.fields.ExactDecimalField(blank=True, null=True),
                ),
                (
                    "daily_pnl",
                    tradebot.fields.ExactDecimalField(
                        blank=True, default=0, null=True, verbose_name="daily PnL"
                    ),
                ),
                (
                    "daily_trades_count",
                    models.IntegerField(blank=True, default=0, null=True),
                ),
                (
                    "last_run_at",
                    tradebot.fields.NaiveUTCDateTimeField(blank=True, null=True),
                ),
                ("last_error_message", models.TextField(blank=True, null=True)),
                (
                    "last_updated_at",
                    models.DateTimeField(
                        db_default=tradebot.fields.TransactionNow(),
                        auto_now=True,
                        null=True,
                    ),
                ),
            ],
            options={
                "verbose_name": "bot state",
                "db_table": "bot_states",
                "constraints": [
                    tradebot.constraints.ForeignKeyConstraint(
                        field="bot_config", name="bot_states_id_fkey"
                    ),
                ],
            },
        ),
    ]
