"""How long a table stalls while an operation changes it, for each kind of operation.

    python -m tests.with_postgres python -m tests.benchmarks.operation_stalls [ROWS [S]]

A table of 500,000 rows is read and written 50 times a second each, and a stranger's
transaction that has read it stays open for 3 seconds, while ours by our executor and
what Django has for it by Django's change it, each on a copy. Prints the longest wait of
a query, for how long ACCESS EXCLUSIVE was held at a stretch, and the time of the
operation, beside the longest wait without one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.db import connection, migrations, models  # noqa: E402
from django.db.migrations import Migration  # noqa: E402
from django.db.migrations.executor import (  # noqa: E402
    MigrationExecutor as DjangosExecutor,
)
from django.db.migrations.operations.base import Operation  # noqa: E402
from django.db.migrations.state import ModelState, ProjectState  # noqa: E402
from django.db.models.functions import Lower  # noqa: E402

from tests.benchmarks.load import Load, stranger, watching  # noqa: E402
from tests.databases import scratch_database  # noqa: E402
from tests.processes import ROOT, database_url, environment  # noqa: E402
from tradebot.constraints import ForeignKeyConstraint  # noqa: E402
from tradebot.fields import (  # noqa: E402
    NaiveUTCDateTimeField,
    PlainJSONField,
    SerialAutoField,
)
from tradebot.operations import (  # noqa: E402
    AddCheck,
    AddUniqueIndex,
    BuildIndexConcurrently,
    ConvertToDjangoForeignKey,
    ConvertToIdentity,
    ConvertToJSONB,
    ConvertToTimestampWithZone,
    DropIndexConcurrently,
    FillAndRequire,
)
from tradebot.schema.executor import MigrationExecutor  # noqa: E402

APP = "stalls"
MODELS = [
    ModelState(
        APP,
        "Owner",
        [("id", models.AutoField(primary_key=True))],
        {"db_table": "owners"},
    ),
    ModelState(
        APP,
        "Item",
        [
            ("id", SerialAutoField(primary_key=True)),
            (
                "owner",
                models.ForeignKey(
                    "stalls.owner", models.CASCADE, db_constraint=False, db_index=False
                ),
            ),
            ("name", models.CharField()),
            ("size", models.IntegerField()),
            ("weight", models.IntegerField(null=True)),
            ("note", models.CharField(null=True)),
            ("made_at", NaiveUTCDateTimeField()),
            ("data", PlainJSONField()),
        ],
        {
            "db_table": "items",
            "indexes": [models.Index(fields=["size"], name="items_size")],
            "constraints": [
                ForeignKeyConstraint(field="owner", name="items_owner_id_fkey")
            ],
        },
    ),
]
FILL = """
    INSERT INTO items (owner_id, name, size, weight, note, made_at, data)
    SELECT 1, 'Item ' || n, n, CASE WHEN n %% 2 = 0 THEN n END, 'a note',
           timestamp '2025-01-01' + n * interval '1 second', '{"b": 1, "a": [1, 2, 3]}'
    FROM generate_series(1, %s) n
"""
READ = "SELECT size FROM items WHERE id = %s"
WRITE = """
    INSERT INTO items (owner_id, name, size, weight, made_at, data)
    VALUES (1, gen_random_uuid(), 1, 1, now(), '{}')
"""

_INDEX = models.Index(fields=["owner", "size"], name="items_owner_size")
_CHECK = models.CheckConstraint(
    condition=models.Q(size__gt=0), name="items_size_positive"
)
_FOREIGN_KEY = models.ForeignKey("stalls.owner", models.CASCADE, db_index=False)
_REQUIRED = models.IntegerField()
_UNIQUE = models.UniqueConstraint(Lower("name"), name="items_name_lower")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A change of the table, by our operation and by Django's.

    Django's are a migration each: one that changes rows and columns at once would hold
    its locks all the time.
    """

    ours: Operation
    djangos: Sequence[Operation]
    atomic: bool = False
    """Whether ours is in one transaction."""


def _same(operation: Operation) -> Kind:
    return Kind(ours=operation, djangos=[operation], atomic=True)


KINDS = {
    "add index": Kind(
        ours=BuildIndexConcurrently("item", _INDEX),
        djangos=[migrations.AddIndex("item", _INDEX)],
    ),
    "drop index": Kind(
        ours=DropIndexConcurrently("item", "items_size"),
        djangos=[migrations.RemoveIndex("item", "items_size")],
    ),
    "unique index on an expression": Kind(
        ours=AddUniqueIndex("item", _UNIQUE, repair="name = name", repaired="-"),
        djangos=[migrations.AddConstraint("item", _UNIQUE)],
    ),
    "add check": Kind(
        ours=AddCheck("item", _CHECK, repair="size = 1", repaired="-"),
        djangos=[migrations.AddConstraint("item", _CHECK)],
    ),
    "add foreign key": Kind(
        ours=ConvertToDjangoForeignKey(
            "item", "owner", _FOREIGN_KEY, old_name="items_owner_id_fkey"
        ),
        djangos=[
            migrations.RemoveConstraint("item", "items_owner_id_fkey"),
            migrations.AlterField("item", "owner", _FOREIGN_KEY),
        ],
    ),
    "fill and make NOT NULL": Kind(
        ours=FillAndRequire("item", "weight", _REQUIRED, fill="size"),
        djangos=[
            migrations.RunSQL("UPDATE items SET weight = size WHERE weight IS NULL"),
            migrations.AlterField("item", "weight", _REQUIRED),
        ],
    ),
    "json to jsonb": Kind(
        ours=ConvertToJSONB("item", {"data": models.JSONField()}),
        djangos=[migrations.AlterField("item", "data", models.JSONField())],
    ),
    "timestamp to timestamptz": Kind(
        ours=ConvertToTimestampWithZone("item", "made_at", models.DateTimeField()),
        djangos=[migrations.AlterField("item", "made_at", models.DateTimeField())],
        atomic=True,
    ),
    "serial to identity": Kind(
        ours=ConvertToIdentity("item", "id", models.AutoField(primary_key=True)),
        djangos=[
            migrations.AlterField("item", "id", models.AutoField(primary_key=True))
        ],
        atomic=True,
    ),
    "add column": _same(
        migrations.AddField("item", "height", models.IntegerField(null=True))
    ),
    "drop column": _same(migrations.RemoveField("item", "note")),
}


def state() -> ProjectState:
    result = ProjectState()
    for model in MODELS:
        result.add_model(model.clone())
    return result


def change(name: str, whose: str) -> None:
    """Change the table of DATABASE_URL when told to; print the start and the end."""
    kind = KINDS[name]
    ours = whose == "ours"
    executor = (MigrationExecutor if ours else DjangosExecutor)(connection)
    executor.recorder.ensure_schema()
    current = state()
    current.apps  # noqa: B018  # as they are in a run
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    began = time.monotonic()
    for number, operation in enumerate([kind.ours] if ours else kind.djangos, 1):
        attributes = {"operations": [operation], "atomic": kind.atomic or not ours}
        migration = type("Migration", (Migration,), attributes)(f"{number:04}", APP)
        current = executor.apply_migration(current, migration)
    sys.stdout.write(f"{began} {time.monotonic()}\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """What those who use the table noticed: milliseconds; and the seconds it took."""

    wait_ms: float
    held_ms: float
    seconds: float

    def __str__(self) -> str:
        return f"{self.wait_ms:9.0f} {self.held_ms:9.0f} {self.seconds:7.1f}"


def measure(url: str, name: str, whose: str, rows: int, seconds: float) -> Stall:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.operation_stalls", name, whose],
        cwd=ROOT,
        env=environment(DJANGO_SETTINGS_MODULE="tests.settings", DATABASE_URL=url),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    with (
        Load(url, read=READ, write=WRITE, rows=rows) as load,
        watching(url, "items") as held,
    ):
        time.sleep(0.5)
        thread = stranger(url, "items", seconds)
        output, _ = process.communicate("go\n")
        thread.join()
        time.sleep(0.5)
    if process.returncode != 0:
        sys.exit(f"{name}, {whose}: it failed")
    began, ended = map(float, output.split())
    return Stall(
        wait_ms=load.longest_ms(began, ended), held_ms=held[0], seconds=ended - began
    )


def control(url: str, rows: int, seconds: float) -> float:
    """Return the longest wait beside the stranger, in ms."""
    with Load(url, read=READ, write=WRITE, rows=rows) as load:
        time.sleep(0.5)
        began = time.monotonic()
        thread = stranger(url, "items", seconds)
        thread.join()
        time.sleep(seconds)
        return load.longest_ms(began, time.monotonic())


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 500_000
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 3.0
    with scratch_database() as template:
        with template.schema_editor() as editor:
            for model in MODELS:
                editor.create_model(state().apps.get_model(APP, model.name))
        with template.cursor() as cursor:
            cursor.execute("INSERT INTO owners DEFAULT VALUES")
            cursor.execute(FILL, [rows])
            cursor.execute("VACUUM ANALYZE items")
        template.close()
        name = str(template.settings_dict["NAME"])
        with scratch_database(template=name) as copy:
            wait = control(database_url(copy), rows, seconds)
        sys.stdout.write(
            f"{rows:,} rows, a stranger for {seconds:g} s; without a migration the "
            f"longest wait was {wait:.0f} ms\n\n"
            f"{'':30} {'ours':^27}   {'Django':^27}\n"
            f"{'':30}" + "   wait ms   held ms       s  " * 2 + "\n"
        )
        for kind in KINDS:
            stalls = []
            for whose in ("ours", "Django's"):
                with scratch_database(template=name) as copy:
                    url = database_url(copy)
                    stalls.append(measure(url, kind, whose, rows, seconds))
            sys.stdout.write(f"{kind:30} {stalls[0]}   {stalls[1]}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] in KINDS:
        change(sys.argv[1], sys.argv[2])
    else:
        main()
