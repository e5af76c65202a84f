"""Create ``bot_runs``: what the runner keeps of a bot, its lease first of all.

The reverse drops it.
"""

import django.db.models.deletion
from django.db import migrations, models

import tradebot.fields


class Migration(migrations.Migration):
    dependencies = [
        ("bots", "0015_add_bot_config_environment_checks"),
    ]

    operations = [
        migrations.CreateModel(
            name="BotRun",
            fields=[
                (
                    "bot",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="run",
                        serialize=False,
                        to="bots.botconfig",
                    ),
                ),
                ("due_at", models.DateTimeField(null=True)),
                ("lease_token", models.BigIntegerField(default=0)),
                ("leased_until", models.DateTimeField(null=True)),
                ("decided_at", models.DateTimeField(null=True)),
                ("day", models.DateField(null=True)),
                ("day_equity", tradebot.fields.ExactDecimalField(null=True)),
                ("day_entries", models.IntegerField(default=0)),
                ("is_closing", models.BooleanField(default=False)),
                ("failures", models.IntegerField(default=0)),
            ],
            options={
                "db_table": "bot_runs",
                "indexes": [models.Index(fields=["due_at"], name="bot_runs_due_at")],
            },
        ),
    ]
