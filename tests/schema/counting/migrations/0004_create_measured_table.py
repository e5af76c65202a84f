"""Create a table with rows whose every part 0005 changes; the reverse drops it.

Most of the rows have no time.
"""

import datetime as dt
from typing import Any

from django.db import migrations, models

import tradebot.constraints
import tradebot.fields


def fill(apps: Any, schema_editor: Any) -> None:
    measured = apps.get_model("counting", "Measured")
    at = dt.datetime(2025, 5, 23, 1, 2, 3, tzinfo=dt.UTC)
    measured._base_manager.using(schema_editor.connection.alias).bulk_create(
        # With keys of their own: a sequence does not go back with its transaction.
        measured(
            id=n,
            first_id=1,
            name=f"Row {n}",
            size=n,
            measured_at=at if n < 4 else None,
            data={"b": n, "a": "ü"},
        )
        for n in range(1, 16)
    )


class Migration(migrations.Migration):
    dependencies = [("counting", "0003_add_counted_index")]

    operations = [
        migrations.CreateModel(
            name="Measured",
            fields=[
                (
                    "id",
                    tradebot.fields.SerialAutoField(primary_key=True, serialize=False),
                ),
                (
                    "first",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=models.CASCADE,
                        to="counting.measured",
                    ),
                ),
                ("name", models.CharField()),
                ("size", models.IntegerField()),
                ("measured_at", models.DateTimeField(null=True)),
                ("data", tradebot.fields.PlainJSONField()),
            ],
            options={
                "db_table": "measured",
                "indexes": [models.Index(fields=["size"], name="measured_size")],
                "constraints": [
                    tradebot.constraints.ForeignKeyConstraint(
                        field="first", name="measured_first_id_fkey"
                    ),
                ],
            },
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
