"""Hold ``api_keys.environment`` to the three that there are.

The reverse drops the constraint.
"""

from django.db import migrations, models

from tradebot.operations import AddCheck


class Migration(migrations.Migration):
    atomic = False  # its steps commit one by one
    dependencies = [
        ("apikeys", "0006_add_api_key_environment"),
    ]

    operations = [
        AddCheck(
            model_name="apikey",
            constraint=models.CheckConstraint(
                condition=models.Q(("environment__in", ["paper", "testnet", "live"])),
                name="api_keys_environment",
                violation_error_message="environment must be paper, testnet or live",
            ),
            repair="environment = NULL",
            repaired="sets it to NULL: not known",
        ),
    ]
