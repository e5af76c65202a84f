"""Add eleven advanced parameters to ``bot_configs``. The reverse drops them."""

from django.db import migrations, models

import tradebot.fields


class Migration(migrations.Migration):
    revision = "3742c83cd3b1"
    revises = ("92c67f02186c",)

    dependencies = [
        ("bots", "0004_add_bot_config_strategy"),
    ]

    operations = [
        migrations.AddField(
            model_name="botconfig",
            name="custom_ema_fast",
            field=models.IntegerField(
                blank=True, null=True, verbose_name="custom EMA fast"
            ),
        ),
        migrations.AddField(
            model_name="botconfig",
            name="custom_ema_slow",
            field=models.IntegerField(
                blank=True, null=True, verbose_name="custom EMA slow"
            ),
        ),
        migrations.AddField(
            model_name="botconfig",
            name="custom_rsi_period",
            field=models.IntegerField(
                blank=True, null=True, verbose_name="custom RSI period"
            ),
        ),
        migrations.AddField(
            model_name="botconfig",
            name="custom_rsi_oversold",
            field=models.IntegerField(
                blank=True, null=True, verbose_name="custom RSI oversold"
            ),
        ),
        migrations.AddField(
            model_name="botconfig",
            name="custom_rsi_overbought",
            field=models.IntegerField(
                blank=True, null=True, verbose_name="custom RSI overbought"
            ),
        ),
        migrations.AddField(
            model_name="botconfig",
            name="custom_stop_loss",
            field=tradebot.fields.ExactDecimalField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="botconfig",
            name="custom_take_profit",
            field=tradebot.fields.ExactDecimalField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="botconfig",
            name="custom_trailing_stop",
            field=tradebot.fields.ExactDecimalField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="botconfig",
            name="position_type",
            field=models.CharField(
                blank=True,
                choices=[("spot", "Spot"), ("futures", "Futures")],
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="botconfig",
            name="transfer_amount",
            field=tradebot.fields.ExactDecimalField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="botconfig",
            name="auto_transfer_funds",
            field=models.BooleanField(null=True),
        ),
    ]
