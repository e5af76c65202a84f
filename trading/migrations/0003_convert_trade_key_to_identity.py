"""Number the keys of ``trades`` by an identity column.

The reverse makes the key ``serial`` again.
"""

from django.db import migrations, models

from tradebot.operations import ConvertToIdentity


class Migration(migrations.Migration):
    dependencies = [
        ("trading", "0002_add_trade_realized_pnl"),
        ("backtests", "0003_merge_documented_heads"),
    ]

    operations = [
        ConvertToIdentity(
            model_name="trade",
            name="id",
            field=models.AutoField(primary_key=True, serialize=False),
        ),
    ]
