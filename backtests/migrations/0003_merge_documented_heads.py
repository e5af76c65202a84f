"""Merge the two documented heads. The schema does not change.

This is the documented head: the first later migration of every app depends on it.
"""

from django.db import migrations


class Migration(migrations.Migration):
    revision = "b7e3f2c1a9d8"
    revises = ("d24f9f7e7532", "a1b2c3d4e5f6")

    dependencies = [
        ("accounts", "0002_add_user_reset_token"),
        ("apikeys", "0001_create_api_key_table"),
        ("backtests", "0002_add_backtest_market_type"),
        ("bots", "0006_add_bot_config_leverage"),
        ("trading", "0002_add_trade_realized_pnl"),
    ]

    operations = []
