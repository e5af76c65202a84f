"""Add ``backtests.market_type``; backtests that exist are of the spot market.

The reverse drops the column.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    revision = "a1b2c3d4e5f6"
    revises = ("8dff47bdfa5f",)

    dependencies = [
        ("backtests", "0001_create_backtest_table"),
    ]

    operations = [
        migrations.AddField(
            model_name="backtest",
            name="market_type",
            field=models.CharField(
                choices=[("spot", "Spot"), ("futures", "Futures")], db_default="spot"
            ),
        ),
    ]
