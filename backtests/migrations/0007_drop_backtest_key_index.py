"""Drop the index of ``backtests`` that repeats the key. The reverse builds it."""

from django.db import migrations

from tradebot.operations import DropIndexConcurrently


class Migration(migrations.Migration):
    atomic = False  # its steps commit one by one
    dependencies = [
        ("backtests", "0006_fill_backtest_columns"),
    ]

    operations = [
        DropIndexConcurrently(model_name="backtest", name="ix_backtests_id"),
    ]
