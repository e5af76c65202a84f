"""Create the table ``bot_states``. The reverse drops it with its rows."""

from django.db import migrations, models

import tradebot.constraints
import tradebot.fields


class Migration(migrations.Migration):
    revision = "e2cbe40c4a2c"
    revises = ("19adfce0d2a6",)

    dependencies = [
        ("bots", "0001_create_bot_config_table"),
    ]

    operations = [
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
