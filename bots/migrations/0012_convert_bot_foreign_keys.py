"""Make the foreign keys of ``bot_configs`` and ``bot_states`` ordinary ones of Django.

The reverse makes the documented ones again.
"""

from django.conf import settings
from django.db import migrations, models

from tradebot.operations import ConvertToDjangoForeignKey


class Migration(migrations.Migration):
    atomic = False  # its steps commit one by one
    dependencies = [
        ("bots", "0011_alter_bot_config_indexes"),
    ]

    operations = [
        ConvertToDjangoForeignKey(
            model_name="botconfig",
            name="user",
            field=models.ForeignKey(
                db_index=False,
                on_delete=models.CASCADE,
                related_name="bot_configs",
                to=settings.AUTH_USER_MODEL,
            ),
            old_name="bot_configs_user_id_fkey",
        ),
        ConvertToDjangoForeignKey(
            model_name="botconfig",
            name="api_key",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=models.SET_NULL,
                related_name="bot_configs",
                to="apikeys.apikey",
                verbose_name="API key",
            ),
            old_name="bot_configs_api_key_id_fkey",
        ),
        ConvertToDjangoForeignKey(
            model_name="botstate",
            name="bot_config",
            field=models.OneToOneField(
                db_column="id",
                on_delete=models.CASCADE,
                primary_key=True,
                related_name="state",
                serialize=False,
                to="bots.botconfig",
                verbose_name="bot",
            ),
            old_name="bot_states_id_fkey",
        ),
    ]
