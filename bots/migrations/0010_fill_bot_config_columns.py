"""Fill the NULLs of columns in ``bot_configs`` and forbid them.

They are ``created_at`` and ``updated_at``.
The reverse allows them and gives those back that nobody has overwritten.
"""

from django.db import migrations, models

from tradebot.fields import TransactionNow
from tradebot.operations import FillAndRequire


class Migration(migrations.Migration):
    atomic = False  # its steps commit one by one
    dependencies = [
        ("bots", "0009_convert_bot_state_times"),
    ]

    operations = [
        FillAndRequire(
            model_name="botconfig",
            name="created_at",
            field=models.DateTimeField(db_default=TransactionNow(), editable=False),
            fill="coalesce(updated_at, CURRENT_TIMESTAMP)",
        ),
        FillAndRequire(
            model_name="botconfig",
            name="updated_at",
            field=models.DateTimeField(auto_now=True, db_default=TransactionNow()),
            fill="created_at",
        ),
    ]
