"""Create ``rate_limits``: how often clients and accounts have tried something.

The reverse drops it.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0008_add_user_password_changed_at"),
    ]

    operations = [
        migrations.CreateModel(
            name="RateLimit",
            fields=[
                (
                    "key",
                    models.CharField(max_length=64, primary_key=True, serialize=False),
                ),
                ("tries", models.PositiveIntegerField()),
                ("ends", models.BigIntegerField()),
            ],
            options={
                "db_table": "rate_limits",
                "default_permissions": (),
                "indexes": [models.Index(fields=["ends"], name="rate_limits_ends")],
            },
        ),
    ]
