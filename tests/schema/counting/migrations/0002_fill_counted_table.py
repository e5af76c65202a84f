"""Add a row for every run, and take time over it."""

import time
from typing import Any

from django.db import migrations


def count(apps: Any, schema_editor: Any) -> None:
    schema_editor.execute("INSERT INTO counted (step) VALUES (2)")
    time.sleep(0.3)  # so that others meet it at work


class Migration(migrations.Migration):
    dependencies = [("counting", "0001_create_counted_table")]

    operations = [migrations.RunPython(count, migrations.RunPython.noop)]
