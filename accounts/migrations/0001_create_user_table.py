"""Create the table ``users``. The reverse drops it with its rows."""

from django.db import migrations, models

import accounts.fields
import tradebot.fields


class Migration(migrations.Migration):
    revision = "30d6391a9fcf"
    revises = ()

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
