"""Add what a backtest was run under, and what a run or piece needs to end well.

Null, ``en`` and 0 for the rows that are there. The reverse drops the columns.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("backtests", "0012_create_sweep_tables"),
    ]

    operations = [
        migrations.AddField(
            model_name="backtest",
            name="candles",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="backtest",
            name="filters",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="backtestrun",
            name="attempts",
            field=models.SmallIntegerField(db_default=0),
        ),
        migrations.AddField(
            model_name="backtestrun",
            name="language",
            field=models.CharField(db_default="en"),
        ),
        migrations.AddField(
            model_name="sweep",
            name="language",
            field=models.CharField(db_default="en"),
        ),
        migrations.AddField(
            model_name="sweeppiece",
            name="attempts",
            field=models.SmallIntegerField(db_default=0),
        ),
    ]
