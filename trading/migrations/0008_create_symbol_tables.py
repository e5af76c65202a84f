"""Create the tables ``symbol_lists`` and ``symbols``.

The reverse drops them with their rows.
"""

from django.db import migrations, models

import tradebot.fields


class Migration(migrations.Migration):
    dependencies = [
        ("trading", "0007_convert_trade_foreign_keys"),
    ]

    operations = [
        migrations.CreateModel(
            name="Symbol",
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
                    "market",
                    models.CharField(
                        choices=[("spot", "Spot"), ("futures", "Futures")]
                    ),
                ),
                ("symbol", models.CharField()),
                ("base_asset", models.CharField()),
                ("quote_asset", models.CharField()),
                ("status", models.CharField()),
                ("tick_size", tradebot.fields.ExactDecimalField(null=True)),
                ("step_size", tradebot.fields.ExactDecimalField(null=True)),
                ("min_quantity", tradebot.fields.ExactDecimalField(null=True)),
                ("min_notional", tradebot.fields.ExactDecimalField(null=True)),
            ],
            options={
                "db_table": "symbols",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("market", "symbol"), name="symbols_market_symbol_key"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("market__in", ["spot", "futures"])),
                        name="symbols_market",
                        violation_error_message="market must be spot or futures",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SymbolList",
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
                    "market",
                    models.CharField(
                        choices=[("spot", "Spot"), ("futures", "Futures")]
                    ),
                ),
                ("fetched_at", models.DateTimeField(null=True)),
                ("tried_at", models.DateTimeField(null=True)),
                ("retry_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "symbol_lists",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("market",), name="symbol_lists_market_key"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("market__in", ["spot", "futures"])),
                        name="symbol_lists_market",
                        violation_error_message="market must be spot or futures",
                    ),
                ],
            },
        ),
    ]
