"""Drop the index of ``api_keys`` that repeats the key. The reverse builds it."""

from django.db import migrations

from tradebot.operations import DropIndexConcurrently


class Migration(migrations.Migration):
    atomic = False  # its steps commit one by one
    dependencies = [
        ("apikeys", "0003_fill_api_key_columns"),
    ]

    operations = [
        DropIndexConcurrently(model_name="apikey", name="ix_api_keys_id"),
    ]
