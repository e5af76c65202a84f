"""A migration that does something else than when it was applied is told."""

from __future__ import annotations

import re

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from tradebot.models import Action
from tradebot.schema.checksum import changed, checksum, source_checksum
from tradebot.schema.history import History
from tradebot.schema.revisions import MigrationKey

SOURCE = '''
"""Fill the names."""

import datetime
from typing import Any

from django.db import migrations, models

SIZE = 100
DEFAULT = "name"
UNUSED = 1
FILLED = []
FILLED += [DEFAULT]


def batch(apps: Any) -> int:
    return SIZE


def forwards(apps: Any, schema_editor: Any) -> None:
    """Fill them batch by batch."""
    apps.get_model("bots", "BotConfig").objects.filter(name="")[: batch(apps)]


class Migration(migrations.Migration):
    """It fills."""

    dependencies = [("bots", "0001_create_bot_config_table")]

    operations = [
        migrations.RunPython(forwards, migrations.RunPython.noop),
        migrations.AddField("botconfig", "name", models.CharField(default=FILLED)),
    ]

    def __str__(self) -> str:
        return DEFAULT
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n\n\n", "\n\n"),
        ('"bots", "BotConfig"', "\n        'bots',  # a comment\n        'BotConfig',"),
        ('"""Fill the names."""', ""),
        ('    """Fill them batch by batch."""\n', ""),
        ('    """It fills."""\n', '    """It fills names."""\n'),
        ("migrations, models", "models, migrations"),
        ("import datetime\n", ""),
        ("import datetime\n", "from __future__ import annotations\n"),
        ("UNUSED = 1\n", ""),
        ("apps: Any, schema_editor: Any) -> None", "apps, schema_editor)"),
        ('SIZE = 100\nDEFAULT = "name"', 'DEFAULT = "name"\nSIZE = 100'),
        ('    dependencies = [("bots", "0001_create_bot_config_table")]\n', ""),
        (
            "    dependencies",
            "    replaces = [('bots', '0002_fill')]\n    dependencies",
        ),
    ],
)
def test_checksum_of_a_source_that_does_the_same_is_the_same(
    old: str, new: str
) -> None:
    assert old in SOURCE
    source = SOURCE.replace(old, new)

    assert source_checksum(source.encode()) == source_checksum(SOURCE.encode())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("migrations.RunPython.noop", "forwards"),
        ("models.CharField", "models.TextField"),
        ('filter(name="")', 'filter(name=" ")'),
        ("SIZE = 100", "SIZE = 101"),
        ("return SIZE", "return 2 * SIZE"),
        ("FILLED += [DEFAULT]\n", ""),
        ("FILLED += [DEFAULT]", "FILLED.append(DEFAULT)"),
        ('DEFAULT = "name"', 'DEFAULT = "nom"'),
        ("        return DEFAULT\n", '        return "it"\n'),
        (
            "from django.db import migrations, models",
            "from x import migrations, models",
        ),
        ("class Migration(migrations.Migration)", "class Migration(models.Model)"),
        ("    operations = [", "    operations = [migrations.RunSQL(''),"),
    ],
)
def test_checksum_of_a_source_that_does_something_else_is_another(
    old: str, new: str
) -> None:
    assert old in SOURCE
    source = SOURCE.replace(old, new)

    assert source_checksum(source.encode()) != source_checksum(SOURCE.encode())


def test_checksum_without_a_migration_is_empty() -> None:
    assert source_checksum(b"operations = []") == ""


def test_checksum_is_the_same_for_every_version_of_python() -> None:
    # Recorded in databases: it may change with what a migration does only.
    assert source_checksum(SOURCE.encode()) == (
        "5267e424390be6341a47d5c533486df4d4100fff8e75df789e4f3334a044f187"
    )


def test_every_installed_migration_has_a_checksum() -> None:
    loader = MigrationLoader(None, replace_migrations=False)

    sums = {key: checksum(each) for key, each in loader.disk_migrations.items()}

    assert all(
        re.fullmatch("[0-9a-f]{64}-[0-9a-f]{64}", each) for each in sums.values()
    )
    working = [key for key, each in loader.disk_migrations.items() if each.operations]
    assert len({sums[key].split("-")[1] for key in working}) == len(working)


KEY: MigrationKey = ("bots", "0007_alter_bot_config_defaults")


@pytest.fixture
def applied(empty_database: BaseDatabaseWrapper) -> BaseDatabaseWrapper:
    """A database in which Django's record has the migration."""
    recorder = MigrationRecorder(empty_database)
    recorder.ensure_schema()
    for key in MigrationLoader(None).disk_migrations:
        recorder.record_applied(*key)
    return empty_database


def told(connection: BaseDatabaseWrapper) -> list[MigrationKey]:
    return changed(connection, MigrationLoader(connection))


def now(key: MigrationKey = KEY) -> str:
    return checksum(MigrationLoader(None).disk_migrations[key])


def test_changed_migration_is_told(applied: BaseDatabaseWrapper) -> None:
    history = History(applied)
    history.record(Action.APPLY, *KEY, checksum="what it did then")
    history.record(
        Action.APPLY,
        "bots",
        "0001_create_bot_config_table",
        checksum=now(("bots", "0001_create_bot_config_table")),
    )

    assert told(applied) == [KEY]


def test_reformatted_migration_is_not_told(applied: BaseDatabaseWrapper) -> None:
    acting = now().split("-")[1]
    History(applied).record(Action.APPLY, *KEY, checksum=f"another file-{acting}")

    assert told(applied) == []


def test_migration_that_was_applied_again_is_not_told(
    applied: BaseDatabaseWrapper,
) -> None:
    history = History(applied)
    for action, value in (
        (Action.APPLY, "what it did then"),
        (Action.REVERSE, now()),
        (Action.APPLY, now()),
    ):
        history.record(action, *KEY, checksum=value)

    assert told(applied) == []


@pytest.mark.parametrize("key", [KEY, ("bots", "0001_gone")])
def test_migration_that_is_not_applied_or_not_there_is_not_told(
    key: MigrationKey, applied: BaseDatabaseWrapper
) -> None:
    History(applied).record(Action.APPLY, *key, checksum="what it did then")
    MigrationRecorder(applied).record_unapplied(*KEY)

    assert told(applied) == []


def test_database_without_history_has_no_changes(
    applied: BaseDatabaseWrapper,
) -> None:
    assert told(applied) == []
