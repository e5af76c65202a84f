"""Build an index while others may write; the reverse drops it."""

from django.db import migrations, models

from tradebot.operations import BuildIndexConcurrently


class Migration(migrations.Migration):
    atomic = False  # CONCURRENTLY cannot be in a transaction
    dependencies = [("counting", "0002_fill_counted_table")]

    operations = [
        BuildIndexConcurrently(
            model_name="counted",
            index=models.Index(fields=["step"], name="counted_step"),
        )
    ]
