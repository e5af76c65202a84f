"""Index trades by time, for a bot and for a user.

Drop the indexes that these and the key repeat. The reverse does the opposite.
"""

from django.db import migrations, models

from tradebot.operations import BuildIndexConcurrently, DropIndexConcurrently


class Migration(migrations.Migration):
    atomic = False  # its steps commit one by one
    dependencies = [
        ("trading", "0005_fill_trade_timestamp"),
    ]

    operations = [
        BuildIndexConcurrently(
            model_name="trade",
            index=models.Index(
                fields=["bot_config", "timestamp"], name="trades_bot_config_timestamp"
            ),
        ),
        BuildIndexConcurrently(
            model_name="trade",
            index=models.Index(
                fields=["user", "timestamp"], name="trades_user_timestamp"
            ),
        ),
        DropIndexConcurrently(model_name="trade", name="ix_trades_id"),
        DropIndexConcurrently(model_name="trade", name="ix_trades_bot_config_id"),
        DropIndexConcurrently(model_name="trade", name="ix_trades_user_id"),
    ]
