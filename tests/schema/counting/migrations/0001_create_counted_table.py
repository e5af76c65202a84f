"""Create a table; the reverse drops it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("bots", "0007_alter_bot_config_defaults")]

    operations = [
        migrations.CreateModel(
            name="Counted",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("step", models.IntegerField()),
            ],
            options={"db_table": "counted"},
        )
    ]
