"""Number the keys of ``bot_configs`` by an identity column.

The reverse makes the key ``serial`` again.
"""

from django.db import migrations, models

from tradebot.operations import ConvertToIdentity


class Migration(migrations.Migration):
    dependencies = [
        ("bots", "0007_alter_bot_config_defaults"),
    ]

    operations = [
        ConvertToIdentity(
            model_name="botconfig",
            name="id",
            field=models.AutoField(primary_key=True, serialize=False),
        ),
    ]
