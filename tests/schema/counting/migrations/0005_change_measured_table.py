"""Change a table in every way that is not a transaction; the reverse changes it back.

All of it in one migration, so that a run that was cut off finds more than one thing
done when it is run again.
"""

from django.db import migrations, models
from django.db.models.functions import Lower

from tradebot.operations import (
    AddCheck,
    AddUniqueIndex,
    BuildIndexConcurrently,
    ConvertToDjangoForeignKey,
    ConvertToJSONB,
    DropIndexConcurrently,
    FillAndRequire,
)


class Migration(migrations.Migration):
    atomic = False  # its steps commit one by one
    dependencies = [("counting", "0004_create_measured_table")]

    operations = [
        DropIndexConcurrently(model_name="measured", name="measured_size"),
        BuildIndexConcurrently(
            model_name="measured",
            index=models.Index(fields=["name", "size"], name="measured_name_size"),
        ),
        AddUniqueIndex(
            model_name="measured",
            constraint=models.UniqueConstraint(
                Lower("name"), name="measured_name_lower"
            ),
            repair="name = name || id",
            repaired="puts the id behind the name",
        ),
        FillAndRequire(
            model_name="measured",
            name="measured_at",
            field=models.DateTimeField(),
            fill="CURRENT_TIMESTAMP",
        ),
        AddCheck(
            model_name="measured",
            constraint=models.CheckConstraint(
                condition=models.Q(("size__gt", 0)), name="measured_size_positive"
            ),
            repair="size = 1",
            repaired="sets size to 1",
        ),
        ConvertToJSONB(model_name="measured", fields={"data": models.JSONField()}),
        ConvertToDjangoForeignKey(
            model_name="measured",
            name="first",
            field=models.ForeignKey(
                db_index=False, on_delete=models.CASCADE, to="counting.measured"
            ),
            old_name="measured_first_id_fkey",
        ),
    ]
