"""Make the foreign keys of ``trades`` ordinary ones of Django.

The reverse makes the documented ones again.
"""

from django.conf import settings
from django.db import migrations, models

from tradebot.operations import ConvertToDjangoForeignKey


class Migration(migrations.Migration):
    atomic = False  # its steps commit one by one
    dependencies = [
        ("trading", "0006_alter_trade_indexes"),
    ]

    operations = [
        ConvertToDjangoForeignKey(
            model_name="trade",
            name="bot_config",
            field=models.ForeignKey(
                db_index=False,
                on_delete=models.CASCADE,
                related_name="trades",
                to="bots.botconfig",
                verbose_name="bot",
            ),
            old_name="trades_bot_config_id_fkey",
        ),
        ConvertToDjangoForeignKey(
            model_name="trade",
            name="user",
            field=models.ForeignKey(
                db_index=False,
                on_delete=models.CASCADE,
                related_name="trades",
                to=settings.AUTH_USER_MODEL,
            ),
            old_name="trades_user_id_fkey",
        ),
    ]
