"""Number the keys of ``users`` by an identity column.

The reverse makes the key ``serial`` again.
"""

from django.db import migrations, models

from tradebot.operations import ConvertToIdentity


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_add_user_admin_columns"),
    ]

    operations = [
        ConvertToIdentity(
            model_name="user",
            name="id",
            field=models.AutoField(primary_key=True, serialize=False),
        ),
    ]
