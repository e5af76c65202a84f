"""What a bot shall do (BotConfig) and where it stands (BotState)."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from apikeys.models import APIKey
from tradebot.fields import ExactDecimalField, TransactionNow

STOPPED = "stopped"  # the status of a bot that does not run


class Strategy(models.TextChoices):
    SIMPLE = "simple"
    EMA = "ema", "EMA"


class PositionType(models.TextChoices):
    SPOT = "spot"
    FUTURES = "futures"


class BotConfig(models.Model):
    """The settings of one bot. ``*_perc`` are percentages: 2 means 2 %."""

    id = models.AutoField(primary_key=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="bot_configs",
        db_index=False,
    )
    name = models.CharField()
    symbol = models.CharField()
    timeframe = models.CharField()
    is_active = models.BooleanField("active", null=True, default=False)
    initial_capital = ExactDecimalField(null=True, blank=True)
    daily_target_perc = ExactDecimalField(null=True, blank=True)
    max_daily_loss_perc = ExactDecimalField(null=True, blank=True)
    position_size_perc = ExactDecimalField(null=True, blank=True)
    position_size_fixed = ExactDecimalField(null=True, blank=True)
    stop_loss_perc = ExactDecimalField()
    take_profit_perc = ExactDecimalField()
    trailing_stop_perc = ExactDecimalField(null=True, blank=True)
    trailing_stop_active = models.BooleanField(null=True, default=False)
    ema_fast = models.IntegerField("EMA fast")
    ema_slow = models.IntegerField("EMA slow")
    rsi_period = models.IntegerField("RSI period")
    rsi_oversold = models.IntegerField("RSI oversold")
    rsi_overbought = models.IntegerField("RSI overbought")
    max_daily_trades = models.IntegerField(null=True, blank=True)
    check_interval_seconds = models.IntegerField(null=True, blank=True, default=60)
    created_at = models.DateTimeField(editable=False, db_default=TransactionNow())
    updated_at = models.DateTimeField(auto_now=True, db_default=TransactionNow())
    api_key = models.ForeignKey(
        APIKey,
        verbose_name="API key",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="bot_configs",
        db_index=False,
    )
    strategy = models.CharField(choices=Strategy, default=Strategy.SIMPLE)
    ema_period = models.IntegerField("EMA period", null=True, blank=True)
    # Where set, these win over the base fields of the same name.
    custom_ema_fast = models.IntegerField("custom EMA fast", null=True, blank=True)
    custom_ema_slow = models.IntegerField("custom EMA slow", null=True, blank=True)
    custom_rsi_period = models.IntegerField("custom RSI period", null=True, blank=True)
    custom_rsi_oversold = models.IntegerField(
        "custom RSI oversold", null=True, blank=True
    )
    custom_rsi_overbought = models.IntegerField(
        "custom RSI overbought", null=True, blank=True
    )
    custom_stop_loss = ExactDecimalField(null=True, blank=True)
    custom_take_profit = ExactDecimalField(null=True, blank=True)
    custom_trailing_stop = ExactDecimalField(null=True, blank=True)
    position_type = models.CharField(
        null=True, blank=True, choices=PositionType, default=PositionType.SPOT
    )
    transfer_amount = ExactDecimalField(null=True, blank=True)
    auto_transfer_funds = models.BooleanField(null=True, default=True)
    leverage = models.IntegerField(null=True, blank=True, default=10)

    class Meta:
        db_table = "bot_configs"
        verbose_name = "bot"
        indexes = [
            models.Index(fields=["user"], name="ix_bot_configs_user_id"),
            models.Index(fields=["api_key"], name="bot_configs_api_key"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(leverage__range=(1, 125)),
                name="bot_configs_leverage",
                violation_error_message="leverage must be between 1 and 125",
            ),
            models.CheckConstraint(
                condition=models.Q(position_type__in=["spot", "futures"]),
                name="bot_configs_position_type",
                violation_error_message="position_type must be spot or futures",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.symbol})"


class BotState(models.Model):
    """The state of a bot; its key is the bot's. There is none before the first start.

    Prices are in the quote asset, sizes in the base asset (coins).
    """

    bot_config = models.OneToOneField(
        BotConfig,
        verbose_name="bot",
        on_delete=models.CASCADE,
        primary_key=True,
        db_column="id",
        related_name="state",
    )
    status = models.CharField(null=True, blank=True, default=STOPPED)
    in_position = models.BooleanField(null=True, default=False)
    entry_price = ExactDecimalField(null=True, blank=True)
    current_position_size_coins = ExactDecimalField(null=True, blank=True)
    trailing_stop_price = ExactDecimalField(null=True, blank=True)
    max_price_since_entry = ExactDecimalField(null=True, blank=True)
    take_profit_price = ExactDecimalField(null=True, blank=True)
    stop_loss_price = ExactDecimalField(null=True, blank=True)
    daily_pnl = ExactDecimalField("daily PnL", null=True, blank=True, default=0)
    daily_trades_count = models.IntegerField(null=True, blank=True, default=0)
    last_run_at = models.DateTimeField(null=True, blank=True)
    last_error_message = models.TextField(null=True, blank=True)
    last_updated_at = models.DateTimeField(
        null=True, auto_now=True, db_default=TransactionNow()
    )

    class Meta:
        db_table = "bot_states"
        verbose_name = "bot state"

    def __str__(self) -> str:
        return f"{self.bot_config_id}: {self.status}"
