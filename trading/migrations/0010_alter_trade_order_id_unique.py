"""Let an order id be unique for a bot and symbol, no longer among all trades.

An exchange numbers its orders by account and symbol, and nobody can take an id away
from others. The reverse puts @ and the key behind ids that are there already.
"""

from django.db import migrations, models

from tradebot.operations import RelaxUnique


class Migration(migrations.Migration):
    atomic = False  # its steps commit one by one
    dependencies = [
        ("trading", "0009_create_candle_tables"),
    ]

    operations = [
        RelaxUnique(
            model_name="trade",
            old_name="trades_binance_order_id_key",
            constraint=models.UniqueConstraint(
                fields=("binance_order_id", "bot_config", "symbol"),
                name="trades_order_key",
                violation_error_message="The bot has a trade with this order id.",
            ),
        ),
    ]
