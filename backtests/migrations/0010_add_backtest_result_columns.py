"""Add to ``backtests`` what a run leaves besides the documented columns.

Null for the rows that are there. The reverse drops the columns.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("backtests", "0009_add_backtest_checks"),
    ]

    operations = [
        migrations.AddField(
            model_name="backtest",
            name="data_source",
            field=models.CharField(
                blank=True,
                choices=[
                    ("exchange", "Exchange"),
                    ("imported", "Imported"),
                    ("synthetic", "Synthetic"),
                ],
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="backtest",
            name="engine_version",
            field=models.IntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="backtest",
            name="equity_curve",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="backtest",
            name="fingerprint",
            field=models.CharField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="backtest",
            name="metrics",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="backtest",
            name="seed",
            field=models.BigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="backtest",
            name="strategy",
            field=models.CharField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="backtest",
            name="trades",
            field=models.JSONField(blank=True, null=True),
        ),
    ]
