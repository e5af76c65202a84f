"""Create the tables ``candle_series`` and ``candles``.

The reverse drops them with their rows.
"""

import django.db.models.deletion
from django.db import migrations, models

import tradebot.fields


class Migration(migrations.Migration):
    dependencies = [
        ("trading", "0008_create_symbol_tables"),
    ]

    operations = [
        migrations.CreateModel(
            name="CandleSeries",
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
                (
                    "interval",
                    models.CharField(
                        choices=[
                            ("1m", "1m"),
                            ("3m", "3m"),
                            ("5m", "5m"),
                            ("15m", "15m"),
                            ("30m", "30m"),
                            ("1h", "1h"),
                            ("2h", "2h"),
                            ("4h", "4h"),
                            ("6h", "6h"),
                            ("8h", "8h"),
                            ("12h", "12h"),
                            ("1d", "1d"),
                        ]
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("exchange", "Exchange"),
                            ("imported", "Imported"),
                            ("synthetic", "Synthetic"),
                        ]
                    ),
                ),
                ("seed", models.BigIntegerField(null=True)),
                ("base_price", tradebot.fields.ExactDecimalField(null=True)),
            ],
            options={
                "verbose_name_plural": "candle series",
                "db_table": "candle_series",
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("seed__isnull", True)),
                        fields=("market", "symbol", "interval"),
                        name="candle_series_real_key",
                    ),
                    models.UniqueConstraint(
                        fields=("market", "symbol", "interval", "seed"),
                        name="candle_series_synthetic_key",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("market__in", ["spot", "futures"])),
                        name="candle_series_market",
                        violation_error_message="market must be spot or futures",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("base_price__isnull", False),
                                ("seed__isnull", False),
                                ("source", "synthetic"),
                            ),
                            models.Q(
                                ("base_price__isnull", True),
                                ("seed__isnull", True),
                                ("source__in", ["exchange", "imported"]),
                            ),
                            _connector="OR",
                        ),
                        name="candle_series_source",
                        violation_error_message="only synthetic series have a seed",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Candle",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "series",
                        "open_time",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "series",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="candles",
                        to="trading.candleseries",
                    ),
                ),
                ("open_time", models.DateTimeField()),
                ("open", tradebot.fields.ExactDecimalField()),
                ("high", tradebot.fields.ExactDecimalField()),
                ("low", tradebot.fields.ExactDecimalField()),
                ("close", tradebot.fields.ExactDecimalField()),
                ("volume", tradebot.fields.ExactDecimalField()),
            ],
            options={
                "db_table": "candles",
            },
        ),
    ]
