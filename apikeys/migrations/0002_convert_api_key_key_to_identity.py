"""Number the keys of ``api_keys`` by an identity column.

The reverse makes the key ``serial`` again.
"""

from django.db import migrations, models

from tradebot.operations import ConvertToIdentity


class Migration(migrations.Migration):
    dependencies = [
        ("apikeys", "0001_create_api_key_table"),
        ("backtests", "0003_merge_documented_heads"),
    ]

    operations = [
        ConvertToIdentity(
            model_name="apikey",
            name="id",
            field=models.AutoField(primary_key=True, serialize=False),
        ),
    ]
