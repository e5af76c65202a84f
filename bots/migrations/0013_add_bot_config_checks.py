"""Hold leverage and position type to what the API has always demanded.

The reverse drops the constraints.
"""

from django.db import migrations, models

from tradebot.operations import AddCheck


class Migration(migrations.Migration):
    atomic = False  # its steps commit one by one
    dependencies = [
        ("bots", "0012_convert_bot_foreign_keys"),
    ]

    operations = [
        AddCheck(
            model_name="botconfig",
            constraint=models.CheckConstraint(
                condition=models.Q(("leverage__range", (1, 125))),
                name="bot_configs_leverage",
                violation_error_message="leverage must be between 1 and 125",
            ),
            repair="leverage = CASE WHEN leverage < 1 THEN 1 ELSE 125 END",
            repaired="sets leverage to the nearest bound",
        ),
        AddCheck(
            model_name="botconfig",
            constraint=models.CheckConstraint(
                condition=models.Q(("position_type__in", ["spot", "futures"])),
                name="bot_configs_position_type",
                violation_error_message="position_type must be spot or futures",
            ),
            repair=(
                "position_type = CASE WHEN lower(position_type) LIKE '%futures%' "
                "THEN 'futures' ELSE 'spot' END"
            ),
            repaired="sets it to the one of the two that it names, or to spot",
        ),
    ]
