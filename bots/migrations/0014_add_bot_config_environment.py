"""Add to ``bot_configs`` where orders go, and whether the owner has confirmed it.

Bots that are there trade on paper until their owner decides otherwise. The reverse
drops the columns.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("apikeys", "0007_add_api_key_checks"),
        ("bots", "0013_add_bot_config_checks"),
    ]

    operations = [
        migrations.AddField(
            model_name="botconfig",
            name="environment",
            field=models.CharField(
                choices=[("paper", "Paper"), ("testnet", "Testnet"), ("live", "Live")],
                db_default="paper",
                default="paper",
            ),
        ),
        migrations.AddField(
            model_name="botconfig",
            name="live_confirmed_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="botconfig",
            name="allow_short",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="botconfig",
            name="candle_seed",
            field=models.BigIntegerField(blank=True, editable=False, null=True),
        ),
        migrations.AlterField(
            model_name="botconfig",
            name="strategy",
            field=models.CharField(
                choices=[("simple", "Simple"), ("ema", "EMA"), ("multi", "Multi")],
                default="simple",
            ),
        ),
        migrations.AddField(
            model_name="botstate",
            name="reason",
            field=models.CharField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="botstate",
            name="paused_until",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
