"""Add ``strategy`` and ``ema_period`` to ``bot_configs``.

Bots that exist get the strategy ``simple``: the documented revision failed on them. The
reverse drops both columns.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    revision = "59a0e8d02f5a"
    revises = ("69694099e14e",)

    dependencies = [
        ("bots", "0003_add_bot_config_api_key"),
    ]

    operations = [
        migrations.AddField(
            model_name="botconfig",
            name="strategy",
            field=models.CharField(
                choices=[("simple", "Simple"), ("ema", "EMA")], default="simple"
            ),
        ),
        migrations.AddField(
            model_name="botconfig",
            name="ema_period",
            field=models.IntegerField(blank=True, null=True, verbose_name="EMA period"),
        ),
    ]
