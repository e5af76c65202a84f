"""Add ``trades.realized_pnl``. The reverse drops it."""

from django.db import migrations

import tradebot.fields


class Migration(migrations.Migration):
    revision = "92c67f02186c"
    revises = ("59a0e8d02f5a",)

    dependencies = [
        ("trading", "0001_create_trade_table"),
    ]

    operations = [
        migrations.AddField(
            model_name="trade",
            name="realized_pnl",
            field=tradebot.fields.ExactDecimalField(
                blank=True, null=True, verbose_name="realized PnL"
            ),
        ),
    ]
