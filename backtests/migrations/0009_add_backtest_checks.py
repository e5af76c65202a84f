"""Hold ``backtests.market_type`` to the two markets there are.

The reverse drops the constraint.
"""

from django.db import migrations, models

from tradebot.operations import AddCheck


class Migration(migrations.Migration):
    atomic = False  # its steps commit one by one
    dependencies = [
        ("backtests", "0008_convert_backtest_foreign_keys"),
    ]

    operations = [
        AddCheck(
            model_name="backtest",
            constraint=models.CheckConstraint(
                condition=models.Q(("market_type__in", ["spot", "futures"])),
                name="backtests_market_type",
                violation_error_message="market_type must be spot or futures",
            ),
            repair=(
                "market_type = CASE WHEN lower(market_type) LIKE '%futures%' "
                "THEN 'futures' ELSE 'spot' END"
            ),
            repaired="sets it to the one of the two that it names, or to spot",
        ),
    ]
