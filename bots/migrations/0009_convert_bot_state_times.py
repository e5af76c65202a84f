"""Give ``bot_states.last_run_at`` its time zone: UTC.

The reverse takes it away.
"""

from django.db import migrations, models

from tradebot.operations import ConvertToTimestampWithZone


class Migration(migrations.Migration):
    dependencies = [
        ("bots", "0008_convert_bot_config_key_to_identity"),
    ]

    operations = [
        ConvertToTimestampWithZone(
            model_name="botstate",
            name="last_run_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
