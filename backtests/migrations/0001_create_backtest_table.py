"""Create the table ``backtests``. The reverse drops it with its rows."""

from django.conf import settings
from django.db import migrations, models

import tradebot.constraints
import tradebot.fields


class Migration(migrations.Migration):
    revision = "8dff47bdfa5f"
    revises = ("107856acfca7",)

    dependencies = [
        ("accounts", "0001_create_user_table"),
    ]

    operations = [
        migrations.CreateModel(
            name="Backtest",
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
                        related_name="backtests",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("symbol", models.CharField()),
                ("interval", models.CharField()),
                ("start_date", models.CharField()),
                ("end_date", models.CharField()),
                ("parameters", tradebot.fields.PlainJSONField()),
                ("initial_capital", models.FloatField()),
                ("final_capital", models.FloatField()),
                ("total_return", models.FloatField()),
                ("total_trades", models.IntegerField()),
                ("winning_trades", models.IntegerField()),
                ("losing_trades", models.IntegerField()),
                ("win_rate", models.FloatField()),
                ("total_fees", models.FloatField()),
                ("avg_profit", models.FloatField(verbose_name="average profit")),
                (
                    "daily_results",
                    tradebot.fields.PlainJSONField(blank=True, null=True),
                ),
                (
                    "monthly_results",
                    tradebot.fields.PlainJSONField(blank=True, null=True),
                ),
                ("test_mode", models.CharField()),
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
                "db_table": "backtests",
                "indexes": [
                    models.Index(fields=["id"], name="ix_backtests_id"),
                    models.Index(fields=["user"], name="ix_backtests_user_id"),
                ],
                "constraints": [
                    tradebot.constraints.ForeignKeyConstraint(
                        field="user", name="backtests_user_id_fkey"
                    ),
                ],
            },
        ),
    ]
