"""The documented history of ``trades`` in one step, for new databases."""

from django.conf import settings
from django.db import migrations, models

import tradebot.constraints
import tradebot.fields


class Migration(migrations.Migration):
    replaces = [
        ("trading", "0001_create_trade_table"),
        ("trading", "0002_add_trade_realized_pnl"),
    ]

    dependencies = [
        ("accounts", "0001_create_user_table"),
        ("bots", "0001_create_bot_config_table"),
    ]

    operations = [
        migrations.CreateModel(
            name="Trade",
            fields=[
                (
                    "id",
                    tradebot.fields.SerialAutoField(primary_key=True, serialize=False),
                ),
                (
                    "bot_config",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=models.CASCADE,
                        related_name="trades",
                        to="bots.botconfig",
                        verbose_name="bot",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=models.CASCADE,
                        related_name="trades",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "binance_order_id",
                    models.CharField(
                        blank=True, null=True, verbose_name="Binance order id"
                    ),
                ),
                ("symbol", models.CharField()),
                ("side", models.CharField()),
                ("order_type", models.CharField()),
                ("price", tradebot.fields.ExactDecimalField()),
                ("quantity_filled", tradebot.fields.ExactDecimalField()),
                ("quote_quantity_filled", tradebot.fields.ExactDecimalField()),
                (
                    "commission_amount",
                    tradebot.fields.ExactDecimalField(blank=True, null=True),
                ),
                ("commission_asset", models.CharField(blank=True, null=True)),
                (
                    "pnl",
                    tradebot.fields.ExactDecimalField(
                        blank=True, null=True, verbose_name="PnL"
                    ),
                ),
                (
                    "timestamp",
                    tradebot.fields.NaiveUTCDateTimeField(
                        db_default=tradebot.fields.TransactionNow(), null=True
                    ),
                ),
                (
                    "realized_pnl",
                    tradebot.fields.ExactDecimalField(
                        blank=True, null=True, verbose_name="realized PnL"
                    ),
                ),
            ],
            options={
                "db_table": "trades",
                "indexes": [
                    models.Index(fields=["bot_config"], name="ix_trades_bot_config_id"),
                    models.Index(fields=["id"], name="ix_trades_id"),
                    models.Index(fields=["user"], name="ix_trades_user_id"),
                ],
                "constraints": [
                    tradebot.constraints.ForeignKeyConstraint(
                        field="bot_config", name="trades_bot_config_id_fkey"
                    ),
                    tradebot.constraints.ForeignKeyConstraint(
                        field="user", name="trades_user_id_fkey"
                    ),
                    models.UniqueConstraint(
                        fields=("binance_order_id",),
                        name="trades_binance_order_id_key",
                        violation_error_message="A trade with this order id exists.",
                    ),
                ],
            },
        ),
    ]
