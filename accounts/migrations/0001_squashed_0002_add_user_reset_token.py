"""The documented history of ``users`` in one step, for new databases."""

from django.db import migrations, models

import accounts.fields
import tradebot.fields


class Migration(migrations.Migration):
    replaces = [
        ("accounts", "0001_create_user_table"),
        ("accounts", "0002_add_user_reset_token"),
    ]

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="User",
            fields=[
                (
                    "id",
                    tradebot.fields.SerialAutoField(primary_key=True, serialize=False),
                ),
                (
                    "email",
                    models.CharField(verbose_name="e-mail address"),
                ),
                (
                    "password",
                    accounts.fields.PasswordHashField(
                        db_column="hashed_password", verbose_name="password"
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(default=True, null=True, verbose_name="active"),
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
                        auto_now=True,
                        db_default=tradebot.fields.TransactionNow(),
                        null=True,
                    ),
                ),
                (
                    "reset_token",
                    models.CharField(blank=True, editable=False, null=True),
                ),
                (
                    "reset_token_expires",
                    models.DateTimeField(blank=True, editable=False, null=True),
                ),
            ],
            options={
                "verbose_name": "user",
                "db_table": "users",
                "indexes": [models.Index(fields=["id"], name="ix_users_id")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("email",),
                        name="ix_users_email",
                        opclasses=["text_ops"],
                        violation_error_message=(
                            "A user with this e-mail address exists."
                        ),
                    )
                ],
            },
        ),
    ]
