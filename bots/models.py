"""What a bot shall do (BotConfig), where it stands (BotState), and what runs it."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from apikeys.models import APIKey, Environment
from tradebot.fields import ExactDecimalField, TransactionNow


class Status(models.TextChoices):
    """What a bot is doing. Rows of the old program may say other things."""

    STOPPED = "stopped"
    PENDING = "pending"  # started, not looked at yet
    RUNNING = "running"  # it has a position
    WAITING = "waiting"  # for a signal, or for the exchange
    PAUSED = "paused"  # by a daily limit
    ERROR = "error"  # it does nothing until the cause is gone, and tries again


class Strategy(models.TextChoices):
    SIMPLE = "simple"
    EMA = "ema", "EMA"
    MULTI = "multi"


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
    environment = models.CharField(
        choices=Environment,
        default=Environment.PAPER,
        db_default=Environment.PAPER.value,
    )
    # Without it, nothing goes to the live exchange; what a bot trades with or by
    # cannot change without a new one.
    live_confirmed_at = models.DateTimeField(null=True, blank=True, editable=False)
    allow_short = models.BooleanField(default=False, db_default=False)
    # Where set, the candles are made up from it: for demonstrations, on paper.
    candle_seed = models.BigIntegerField(null=True, blank=True, editable=False)

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
            models.CheckConstraint(
                condition=models.Q(environment__in=["paper", "testnet", "live"]),
                name="bot_configs_environment",
                violation_error_message="environment must be paper, testnet or live",
            ),
            models.CheckConstraint(
                condition=models.Q(candle_seed__isnull=True)
                | models.Q(environment="paper"),
                name="bot_configs_candle_seed",
                violation_error_message="made-up candles are for paper only",
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
    status = models.CharField(null=True, blank=True, default=Status.STOPPED)
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
    # Why the status is what it is, in a word.
    reason = models.CharField(null=True, blank=True)
    paused_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "bot_states"
        verbose_name = "bot state"

    def __str__(self) -> str:
        return f"{self.bot_config_id}: {self.status}"


class BotRun(models.Model):
    """What the runner keeps of a bot from one tick to the next.

    Whoever works on a bot has its lease: until ``leased_until``, and only while
    ``lease_token`` is the number that it got. The next one gets a higher number.
    """

    bot = models.OneToOneField(
        BotConfig, on_delete=models.CASCADE, primary_key=True, related_name="run"
    )
    # When to look at it again; null where there is nothing to look at.
    due_at = models.DateTimeField(null=True)
    lease_token = models.BigIntegerField(default=0)
    leased_until = models.DateTimeField(null=True)
    # Opening time of the last candle that was decided on.
    decided_at = models.DateTimeField(null=True)
    # The UTC day of the limits: equity at its beginning, in the quote asset, and
    # entries since.
    day = models.DateField(null=True)
    day_equity = ExactDecimalField(null=True)
    day_entries = models.IntegerField(default=0)
    # Its position is to be closed, as whoever stopped it wants.
    is_closing = models.BooleanField(default=False)
    failures = models.IntegerField(default=0)  # ticks in a row

    class Meta:
        db_table = "bot_runs"
        indexes = [models.Index(fields=["due_at"], name="bot_runs_due_at")]

    def __str__(self) -> str:
        return f"{self.bot_id}: due at {self.due_at}"
