"""Make the foreign keys of ``backtests`` ordinary ones of Django.

The reverse makes the documented ones again.
"""

from django.conf import settings
from django.db import migrations, models

from tradebot.operations import ConvertToDjangoForeignKey


class Migration(migrations.Migration):
    atomic = False  # its steps commit one by one
    dependencies = [
        ("backtests", "0007_drop_backtest_key_index"),
    ]

    operations = [
        ConvertToDjangoForeignKey(
            model_name="backtest",
            name="user",
            field=models.ForeignKey(
                db_index=False,
                on_delete=models.CASCADE,
                related_name="backtests",
                to=settings.AUTH_USER_MODEL,
            ),
            old_name="backtests_user_id_fkey",
        ),
    ]
