"""Add to ``api_keys`` for which environment a key is, and what the exchange said of it.

Null for the keys that are there: the old program did not record it. The reverse drops
the columns.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("apikeys", "0005_convert_api_key_foreign_keys"),
    ]

    operations = [
        migrations.AddField(
            model_name="apikey",
            name="environment",
            field=models.CharField(
                blank=True,
                choices=[
                    ("paper", "Paper"),
                    ("testnet", "Testnet"),
                    ("live", "Live"),
                ],
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="apikey",
            name="permissions",
            field=models.JSONField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="apikey",
            name="validated_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
