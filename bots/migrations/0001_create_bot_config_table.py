"""Create the table ``bot_configs``. The reverse drops it with its rows."""

from django.conf import settings
from django.db import migrations, models

import tradebot.constraints
import tradebot.fields


class Migration(migrations.Migration):
    revision = "19adfce0d2a6"
    revises = ("4b2e65b4c85b",)

    dependencies = [
        ("accounts", "0001_create_user_table"),
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
                ],
            },
        ),
    ]
