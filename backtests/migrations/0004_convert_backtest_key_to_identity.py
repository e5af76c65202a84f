"""Number the keys of ``backtests`` by an identity column.

The reverse makes the key ``serial`` again.
"""

from django.db import migrations, models

from tradebot.operations import ConvertToIdentity


class Migration(migrations.Migration):
    dependencies = [
        ("backtests", "0003_merge_documented_heads"),
    ]

    operations = [
        ConvertToIdentity(
            model_name="backtest",
            name="id",
            field=models.AutoField(primary_key=True, serialize=False),
        ),
    ]
