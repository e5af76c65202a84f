"""Create a table; the reverse drops it."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("bots", "0007_alter_bot_config_defaults")]

    operations = [
        migrations.RunSQL(
            "CREATE TABLE counted (step integer NOT NULL)", "DROP TABLE counted"
        )
    ]
