"""Add ``bot_configs.leverage``. The reverse drops it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    revision = "107856acfca7"
    revises = ("3742c83cd3b1",)

    dependencies = [
        ("bots", "0005_add_bot_config_advanced_parameters"),
    ]

    operations = [
        migrations.AddField(
            model_name="botconfig",
            name="leverage",
            field=models.IntegerField(blank=True, null=True),
        ),
    ]
