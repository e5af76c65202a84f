"""Index the open password resets; drop the index that repeats the key.

The reverse does the opposite.
"""

from django.db import migrations, models

from tradebot.operations import BuildIndexConcurrently, DropIndexConcurrently


class Migration(migrations.Migration):
    atomic = False  # its steps commit one by one
    dependencies = [
        ("accounts", "0005_fill_user_columns"),
    ]

    operations = [
        DropIndexConcurrently(model_name="user", name="ix_users_id"),
        BuildIndexConcurrently(
            model_name="user",
            index=models.Index(
                condition=models.Q(("reset_token__isnull", False)),
                fields=["reset_token"],
                name="users_reset_token",
            ),
        ),
    ]
