"""Give ``trades.timestamp`` its time zone: UTC.

The reverse takes it away.
"""

from django.db import migrations, models

from tradebot.fields import TransactionNow
from tradebot.operations import ConvertToTimestampWithZone


class Migration(migrations.Migration):
    dependencies = [
        ("trading", "0003_convert_trade_key_to_identity"),
    ]

    operations = [
        ConvertToTimestampWithZone(
            model_name="trade",
            name="timestamp",
            field=models.DateTimeField(db_default=TransactionNow(), null=True),
        ),
    ]
