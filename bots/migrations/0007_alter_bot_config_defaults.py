"""Give the parameters that came late their defaults for new bots.

Defaults of this kind live in the program: the database does not change, and bots that
exist keep what they have.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bots", "0006_add_bot_config_leverage"),
        ("backtests", "0003_merge_documented_heads"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name="botconfig",
                    name="position_type",
                    field=models.CharField(
                        blank=True,
                        choices=[("spot", "Spot"), ("futures", "Futures")],
                        default="spot",
                        null=True,
                    ),
                ),
                migrations.AlterField(
                    model_name="botconfig",
                    name="auto_transfer_funds",
                    field=models.BooleanField(default=True, null=True),
                ),
                migrations.AlterField(
                    model_name="botconfig",
                    name="leverage",
                    field=models.IntegerField(blank=True, default=10, null=True),
                ),
            ],
        ),
    ]
