"""Add ``bot_configs.api_key_id`` and its foreign key. The reverse drops both."""

from django.db import migrations, models

import tradebot.constraints


class Migration(migrations.Migration):
    revision = "69694099e14e"
    revises = ("7354d6bd11ea",)

    dependencies = [
        ("apikeys", "0001_create_api_key_table"),
        ("bots", "0002_create_bot_state_table"),
    ]

    operations = [
        migrations.AddField(
            model_name="botconfig",
            name="api_key",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=models.SET_NULL,
                related_name="bot_configs",
                to="apikeys.apikey",
                verbose_name="API key",
            ),
        ),
        migrations.AddConstraint(
            model_name="botconfig",
            constraint=tradebot.constraints.ForeignKeyConstraint(
                field="api_key", name="bot_configs_api_key_id_fkey"
            ),
        ),
    ]
