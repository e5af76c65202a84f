"""Build an index while others may write; the reverse drops it."""

from typing import Any

from django.db import migrations


def build(apps: Any, schema_editor: Any) -> None:
    concurrently = (
        "CONCURRENTLY" if schema_editor.connection.vendor == "postgresql" else ""
    )
    schema_editor.execute(f"CREATE INDEX {concurrently} counted_step ON counted (step)")


def drop(apps: Any, schema_editor: Any) -> None:
    schema_editor.execute("DROP INDEX counted_step")


class Migration(migrations.Migration):
    atomic = False  # CONCURRENTLY cannot be in a transaction
    dependencies = [("counting", "0002_fill_counted_table")]

    operations = [migrations.RunPython(build, drop)]
