"""Turn the JSON of ``backtests`` into ``jsonb``.

The texts as they were written are archived; the reverse gives them back.
"""

from django.db import migrations, models

from tradebot.operations import ConvertToJSONB


class Migration(migrations.Migration):
    atomic = False  # its steps commit one by one
    dependencies = [
        ("backtests", "0004_convert_backtest_key_to_identity"),
    ]

    operations = [
        ConvertToJSONB(
            model_name="backtest",
            fields={
                "parameters": models.JSONField(),
                "daily_results": models.JSONField(blank=True, null=True),
                "monthly_results": models.JSONField(blank=True, null=True),
            },
        ),
    ]
