"""Create the table ``api_keys``. The reverse drops it with its rows."""

from django.conf import settings
from django.db import migrations, models

import tradebot.constraints
import tradebot.fields


class Migration(migrations.Migration):
    revision = "4b2e65b4c85b"
    revises = ("30d6391a9fcf",)

    dependencies = [
        ("accounts", "0001_create_user_table"),
    ]

    operations = [
        migrations.CreateModel(
            name="APIKey",
            fields=[
                (
                    "id",
                    tradebot.fields.SerialAutoField(primary_key=True, serialize=False),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=models.CASCADE,
                        related_name="api_keys",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("encrypted_api_key", models.CharField(editable=False)),
                ("encrypted_secret_key", models.CharField(editable=False)),
                ("label", models.CharField(blank=True, null=True)),
                (
                    "is_valid",
                    models.BooleanField(default=False, null=True, verbose_name="valid"),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=tradebot.fields.TransactionNow(),
                        editable=False,
                        null=True,
                    ),
                ),
                (
                    "updated_at",
                    models.DateTimeField(
                        db_default=tradebot.fields.TransactionNow(),
                        auto_now=True,
                        null=True,
                    ),
                ),
            ],
            options={
                "verbose_name": "API key",
                "db_table": "api_keys",
                "indexes": [
                    models.Index(fields=["id"], name="ix_api_keys_id"),
                    models.Index(fields=["user"], name="ix_api_keys_user_id"),
                ],
                "constraints": [
                    tradebot.constraints.ForeignKeyConstraint(
                        field="user", name="api_keys_user_id_fkey"
                    ),
                ],
            },
        ),
    ]
