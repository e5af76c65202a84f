"""Create the tables of trading: ``orders``, ``fills``, ``positions``, the books of the
simulated exchange (``paper_accounts``, ``paper_orders``), and ``trading_halts``.

The reverse drops them.
"""

from decimal import Decimal

import django.db.models.deletion
from django.db import migrations, models

import tradebot.fields


class Migration(migrations.Migration):
    dependencies = [
        ("bots", "0016_create_bot_run_table"),
        ("trading", "0010_alter_trade_order_id_unique"),
    ]

    operations = [
        migrations.CreateModel(
            name="PaperAccount",
            fields=[
                (
                    "bot",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="paper_account",
                        serialize=False,
                        to="bots.botconfig",
                    ),
                ),
                ("quantity", tradebot.fields.ExactDecimalField(default=Decimal("0"))),
                (
                    "entry_price",
                    tradebot.fields.ExactDecimalField(default=Decimal("0")),
                ),
                ("realized", tradebot.fields.ExactDecimalField(default=Decimal("0"))),
                ("matched_until", models.DateTimeField()),
            ],
            options={
                "db_table": "paper_accounts",
            },
        ),
        migrations.CreateModel(
            name="TradingHalt",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                (
                    "halted_at",
                    models.DateTimeField(
                        db_default=tradebot.fields.TransactionNow(), editable=False
                    ),
                ),
                ("halted_by", models.CharField()),
                ("reason", models.TextField(blank=True, db_default="")),
                (
                    "keeps_protection",
                    models.BooleanField(default=False, db_default=False),
                ),
                ("lifted_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "trading_halts",
            },
        ),
        migrations.CreateModel(
            name="Position",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                (
                    "environment",
                    models.CharField(
                        choices=[
                            ("paper", "Paper"),
                            ("testnet", "Testnet"),
                            ("live", "Live"),
                        ]
                    ),
                ),
                (
                    "market",
                    models.CharField(
                        choices=[("spot", "Spot"), ("futures", "Futures")]
                    ),
                ),
                ("symbol", models.CharField()),
                (
                    "direction",
                    models.CharField(choices=[("LONG", "long"), ("SHORT", "short")]),
                ),
                ("leverage", models.IntegerField()),
                (
                    "entry_quantity",
                    tradebot.fields.ExactDecimalField(default=Decimal("0")),
                ),
                (
                    "entry_quote",
                    tradebot.fields.ExactDecimalField(default=Decimal("0")),
                ),
                ("entry_fees", tradebot.fields.ExactDecimalField(default=Decimal("0"))),
                (
                    "exit_quantity",
                    tradebot.fields.ExactDecimalField(default=Decimal("0")),
                ),
                ("exit_quote", tradebot.fields.ExactDecimalField(default=Decimal("0"))),
                ("exit_fees", tradebot.fields.ExactDecimalField(default=Decimal("0"))),
                (
                    "realized_pnl",
                    tradebot.fields.ExactDecimalField(
                        default=Decimal("0"), verbose_name="realized PnL"
                    ),
                ),
                ("stop_price", tradebot.fields.ExactDecimalField(null=True)),
                ("target_price", tradebot.fields.ExactDecimalField(null=True)),
                ("best_price", tradebot.fields.ExactDecimalField()),
                ("opened_at", models.DateTimeField()),
                ("closed_at", models.DateTimeField(null=True)),
                (
                    "reason",
                    models.CharField(
                        choices=[
                            ("SL", "stop loss"),
                            ("TRAIL", "trailing stop"),
                            ("TP", "take profit"),
                            ("SIGNAL", "signal"),
                            ("LIQUIDATION", "liquidation"),
                            ("STOPPED", "bot stopped"),
                            ("UNPROTECTED", "no stop could be placed"),
                            ("ELSEWHERE", "closed elsewhere"),
                        ],
                        null=True,
                    ),
                ),
                (
                    "bot",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="positions",
                        to="bots.botconfig",
                    ),
                ),
            ],
            options={
                "db_table": "positions",
            },
        ),
        migrations.CreateModel(
            name="Order",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                (
                    "environment",
                    models.CharField(
                        choices=[
                            ("paper", "Paper"),
                            ("testnet", "Testnet"),
                            ("live", "Live"),
                        ]
                    ),
                ),
                (
                    "market",
                    models.CharField(
                        choices=[("spot", "Spot"), ("futures", "Futures")]
                    ),
                ),
                ("symbol", models.CharField()),
                ("client_id", models.CharField()),
                ("exchange_id", models.CharField(null=True)),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("ENTRY", "entry"),
                            ("STOP", "protective stop"),
                            ("TARGET", "take profit"),
                            ("EXIT", "exit"),
                            ("LIQUIDATION", "liquidation"),
                        ]
                    ),
                ),
                ("side", models.CharField(choices=[("BUY", "BUY"), ("SELL", "SELL")])),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("MARKET", "MARKET"),
                            ("STOP", "STOP"),
                            ("LIMIT", "LIMIT"),
                        ]
                    ),
                ),
                ("quantity", tradebot.fields.ExactDecimalField()),
                ("price", tradebot.fields.ExactDecimalField(null=True)),
                ("reduce_only", models.BooleanField(default=False)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("NEW", "about to be sent"),
                            ("UNKNOWN", "sent, not known whether taken"),
                            ("OPEN", "open"),
                            ("PARTIAL", "filled in part"),
                            ("FILLED", "filled"),
                            ("CANCELED", "canceled"),
                            ("REJECTED", "rejected"),
                            ("LOST", "never arrived"),
                        ],
                        default="NEW",
                    ),
                ),
                ("error", models.TextField(null=True)),
                ("candle_at", models.DateTimeField()),
                ("signed_at", models.DateTimeField()),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=tradebot.fields.TransactionNow(), editable=False
                    ),
                ),
                (
                    "updated_at",
                    models.DateTimeField(
                        auto_now=True, db_default=tradebot.fields.TransactionNow()
                    ),
                ),
                (
                    "bot",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="orders",
                        to="bots.botconfig",
                    ),
                ),
                (
                    "trade",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="order",
                        to="trading.trade",
                    ),
                ),
                (
                    "position",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="orders",
                        to="trading.position",
                    ),
                ),
            ],
            options={
                "db_table": "orders",
            },
        ),
        migrations.CreateModel(
            name="Fill",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("trade_id", models.CharField()),
                ("price", tradebot.fields.ExactDecimalField()),
                ("quantity", tradebot.fields.ExactDecimalField()),
                ("commission", tradebot.fields.ExactDecimalField()),
                ("commission_asset", models.CharField()),
                ("commission_quote", tradebot.fields.ExactDecimalField()),
                ("filled_at", models.DateTimeField()),
                (
                    "order",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="fills",
                        to="trading.order",
                    ),
                ),
            ],
            options={
                "db_table": "fills",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("order", "trade_id"), name="fills_order_trade_id_key"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PaperOrder",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("client_id", models.CharField()),
                ("pair_id", models.CharField(null=True)),
                ("symbol", models.CharField()),
                ("side", models.CharField(choices=[("BUY", "BUY"), ("SELL", "SELL")])),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("MARKET", "MARKET"),
                            ("STOP", "STOP"),
                            ("LIMIT", "LIMIT"),
                        ]
                    ),
                ),
                ("quantity", tradebot.fields.ExactDecimalField()),
                ("price", tradebot.fields.ExactDecimalField(null=True)),
                ("reduce_only", models.BooleanField(default=False)),
                ("is_liquidation", models.BooleanField(default=False)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("OPEN", "OPEN"),
                            ("FILLED", "FILLED"),
                            ("CANCELED", "CANCELED"),
                            ("REJECTED", "REJECTED"),
                        ]
                    ),
                ),
                ("fill_price", tradebot.fields.ExactDecimalField(null=True)),
                ("commission", tradebot.fields.ExactDecimalField(default=Decimal("0"))),
                ("placed_at", models.DateTimeField()),
                ("filled_at", models.DateTimeField(null=True)),
                (
                    "bot",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="paper_orders",
                        to="bots.botconfig",
                    ),
                ),
            ],
            options={
                "db_table": "paper_orders",
                "indexes": [
                    models.Index(
                        condition=models.Q(("status", "OPEN")),
                        fields=["bot"],
                        name="paper_orders_open",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("bot", "client_id"), name="paper_orders_client_id_key"
                    )
                ],
            },
        ),
        migrations.AddIndex(
            model_name="position",
            index=models.Index(
                fields=["bot", "closed_at"], name="positions_bot_closed_at"
            ),
        ),
        migrations.AddConstraint(
            model_name="position",
            constraint=models.UniqueConstraint(
                condition=models.Q(("closed_at__isnull", True)),
                fields=("bot",),
                name="positions_open_key",
            ),
        ),
        migrations.AddConstraint(
            model_name="position",
            constraint=models.CheckConstraint(
                condition=models.Q(("direction__in", ["LONG", "SHORT"])),
                name="positions_direction",
                violation_error_message="direction must be LONG or SHORT",
            ),
        ),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(
                fields=["bot", "created_at"], name="orders_bot_created_at"
            ),
        ),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(
                condition=models.Q(
                    ("status__in", ["NEW", "UNKNOWN", "OPEN", "PARTIAL"])
                ),
                fields=["bot"],
                name="orders_unfinished",
            ),
        ),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.UniqueConstraint(
                fields=("client_id",), name="orders_client_id_key"
            ),
        ),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.CheckConstraint(
                condition=models.Q(("side__in", ["BUY", "SELL"])), name="orders_side"
            ),
        ),
    ]
