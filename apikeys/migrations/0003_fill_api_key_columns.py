"""Fill the NULLs of columns in ``api_keys`` and forbid them.

They are ``created_at``, ``updated_at`` and ``is_valid``.
The reverse allows them and gives those back that nobody has overwritten.
"""

from django.db import migrations, models

from tradebot.fields import TransactionNow
from tradebot.operations import FillAndRequire


class Migration(migrations.Migration):
    atomic = False  # its steps commit one by one
    dependencies = [
        ("apikeys", "0002_convert_api_key_key_to_identity"),
    ]

    operations = [
        FillAndRequire(
            model_name="apikey",
            name="created_at",
            field=models.DateTimeField(db_default=TransactionNow(), editable=False),
            fill="coalesce(updated_at, CURRENT_TIMESTAMP)",
        ),
        FillAndRequire(
            model_name="apikey",
            name="updated_at",
            field=models.DateTimeField(auto_now=True, db_default=TransactionNow()),
            fill="created_at",
        ),
        FillAndRequire(
            model_name="apikey",
            name="is_valid",
            field=models.BooleanField(
                db_default=False, default=False, verbose_name="valid"
            ),
            fill="false",
        ),
    ]
