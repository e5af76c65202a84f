"""Fill the NULLs of columns in ``users`` and forbid them.

They are ``created_at``, ``updated_at`` and ``is_active``.
The reverse allows them and gives those back that nobody has overwritten.
"""

from django.db import migrations, models

from tradebot.fields import TransactionNow
from tradebot.operations import FillAndRequire


class Migration(migrations.Migration):
    atomic = False  # its steps commit one by one
    dependencies = [
        ("accounts", "0004_convert_user_key_to_identity"),
    ]

    operations = [
        FillAndRequire(
            model_name="user",
            name="created_at",
            field=models.DateTimeField(db_default=TransactionNow(), editable=False),
            fill="coalesce(updated_at, CURRENT_TIMESTAMP)",
        ),
        FillAndRequire(
            model_name="user",
            name="updated_at",
            field=models.DateTimeField(auto_now=True, db_default=TransactionNow()),
            fill="created_at",
        ),
        FillAndRequire(
            model_name="user",
            name="is_active",
            field=models.BooleanField(
                db_default=True, default=True, verbose_name="active"
            ),
            fill="false",
        ),
    ]
