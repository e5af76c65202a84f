"""Fill the NULLs of ``trades.timestamp`` with the time of the trade before, and forbid
them.

The reverse allows them and gives those back that nobody has overwritten.
"""

from django.db import migrations, models

from tradebot.fields import TransactionNow
from tradebot.operations import FillAndRequire


class Migration(migrations.Migration):
    atomic = False  # its steps commit one by one
    dependencies = [
        ("trading", "0004_convert_trade_times"),
    ]

    operations = [
        FillAndRequire(
            model_name="trade",
            name="timestamp",
            field=models.DateTimeField(db_default=TransactionNow()),
            fill=(
                "coalesce((SELECT before.timestamp FROM trades AS before "
                "WHERE before.id < trades.id AND before.timestamp IS NOT NULL "
                "ORDER BY before.id DESC LIMIT 1), CURRENT_TIMESTAMP)"
            ),
        ),
    ]
