"""Make the foreign keys of ``api_keys`` ordinary ones of Django.

The reverse makes the documented ones again.
"""

from django.conf import settings
from django.db import migrations, models

from tradebot.operations import ConvertToDjangoForeignKey


class Migration(migrations.Migration):
    atomic = False  # its steps commit one by one
    dependencies = [
        ("apikeys", "0004_drop_api_key_key_index"),
    ]

    operations = [
        ConvertToDjangoForeignKey(
            model_name="apikey",
            name="user",
            field=models.ForeignKey(
                db_index=False,
                on_delete=models.CASCADE,
                related_name="api_keys",
                to=settings.AUTH_USER_MODEL,
            ),
            old_name="api_keys_user_id_fkey",
        ),
    ]
