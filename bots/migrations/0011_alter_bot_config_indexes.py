"""Index the API keys of bots; drop the index that repeats the key.

The reverse does the opposite.
"""

from django.db import migrations, models

from tradebot.operations import BuildIndexConcurrently, DropIndexConcurrently


class Migration(migrations.Migration):
    atomic = False  # its steps commit one by one
    dependencies = [
        ("bots", "0010_fill_bot_config_columns"),
    ]

    operations = [
        DropIndexConcurrently(model_name="botconfig", name="ix_bot_configs_id"),
        BuildIndexConcurrently(
            model_name="botconfig",
            index=models.Index(fields=["api_key"], name="bot_configs_api_key"),
        ),
    ]
