"""Fill the NULLs of ``created_at`` and ``updated_at`` in ``backtests`` and forbid them.

The reverse allows them and gives those back that nobody has overwritten.
"""

from django.db import migrations, models

from tradebot.fields import TransactionNow
from tradebot.operations import FillAndRequire


class Migration(migrations.Migration):
    atomic = False  # its steps commit one by one
    dependencies = [
        ("backtests", "0005_convert_backtest_json"),
    ]

    operations = [
        FillAndRequire(
            model_name="backtest",
            name="created_at",
            field=models.DateTimeField(db_default=TransactionNow(), editable=False),
            fill="coalesce(updated_at, CURRENT_TIMESTAMP)",
        ),
        FillAndRequire(
            model_name="backtest",
            name="updated_at",
            field=models.DateTimeField(auto_now=True, db_default=TransactionNow()),
            fill="created_at",
        ),
    ]
