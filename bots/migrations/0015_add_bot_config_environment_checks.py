"""Hold the environment of a bot to the three that there are, made-up candles to paper.

The reverse drops the constraints.
"""

from django.db import migrations, models

from tradebot.operations import AddCheck


class Migration(migrations.Migration):
    atomic = False  # its steps commit one by one
    dependencies = [
        ("bots", "0014_add_bot_config_environment"),
    ]

    operations = [
        AddCheck(
            model_name="botconfig",
            constraint=models.CheckConstraint(
                condition=models.Q(("environment__in", ["paper", "testnet", "live"])),
                name="bot_configs_environment",
                violation_error_message="environment must be paper, testnet or live",
            ),
            repair="environment = 'paper'",
            repaired="sets it to paper",
        ),
        AddCheck(
            model_name="botconfig",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("candle_seed__isnull", True),
                    ("environment", "paper"),
                    _connector="OR",
                ),
                name="bot_configs_candle_seed",
                violation_error_message="made-up candles are for paper only",
            ),
            repair="candle_seed = NULL",
            repaired="takes the seed away",
        ),
    ]
