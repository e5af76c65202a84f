"""Defects to sow in a copy of the migrations, and which check has to name each.

A defect is a small change to a copy of all the program, or of what it was up to the
documented head, or of a ``short`` form of that, which is soon replayed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.db import migrations, models
from django.db.migrations import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState

from tests.schema.made_up import migration
from tradebot.operations import BuildIndexConcurrently
from tradebot.schema.revisions import MigrationKey
from tradebot.schema.steps import AnyStep, Step, perform
from tradebot.schema.verification import Code

MERGE = ("backtests", "0003_merge_documented_heads")
TRADES = ("trading", "0001_create_trade_table")
USERS = ("accounts", "0001_create_user_table")
STRATEGY = ("bots", "0004_add_bot_config_strategy")
PNL = ("trading", "0002_add_trade_realized_pnl")
ADVANCED = ("bots", "0005_add_bot_config_advanced_parameters")
TOKEN = ("accounts", "0002_add_user_reset_token")
KEYS = ("apikeys", "0001_create_api_key_table")
SQUASHED_USERS = ("accounts", "0001_squashed_0002_add_user_reset_token")
SQUASHED_BACKTESTS = ("backtests", "0001_squashed_0002_add_backtest_market_type")
SQUASHED_TRADES = ("trading", "0001_squashed_0002_add_trade_realized_pnl")
NEW = ("trading", "0003_do_something")


class Copy:
    """A copy of a code, to be changed."""

    def __init__(self, code: Code) -> None:
        self._code = code
        self.migrations = dict(code.migrations)
        self.models = code.models

    def code(self) -> Code:
        return Code(
            migrations=self.migrations,
            models=self.models,
            unmigrated=self._code.unmigrated,
            own=self._code.own,
        )

    def change(self, key: MigrationKey, **attributes: Any) -> Migration:
        """Put a migration with other attributes in place of one."""
        there = self.migrations[key]
        changed = type(there)(there.name, there.app_label)
        for name, value in attributes.items():
            setattr(changed, name, value)
        self.migrations[key] = changed
        return changed

    def depend(self, key: MigrationKey, *more: MigrationKey) -> None:
        there = self.migrations[key]
        self.change(key, dependencies=[*there.dependencies, *more])

    def add(
        self,
        *operations: Operation,
        key: MigrationKey = NEW,
        after: Iterable[MigrationKey] = (),
        **attributes: Any,
    ) -> None:
        """Add a migration; the models follow it."""
        newest = PNL if PNL in self.migrations else SQUASHED_TRADES
        added = migration(
            key, after or (newest, MERGE), operations=list(operations), **attributes
        )
        self.migrations[key] = added
        self.models = added.mutate_state(bare(self.models), preserve=False)

    def alter_models(self, *operations: Operation, app: str = "trading") -> None:
        """Change the models and no migration."""
        self.models = bare(self.models)
        for operation in operations:
            operation.state_forwards(app, self.models)

    def alter_fields(self, key: MigrationKey, **fields: models.Field | None) -> None:
        """Change fields of the first model that a migration makes, or take them out."""
        create, *rest = self.migrations[key].operations
        assert isinstance(create, migrations.CreateModel)
        kept = [
            (name, other)
            for name, field in create.fields
            if (other := fields.get(name, field)) is not None
        ]
        self.change(
            key,
            operations=[
                migrations.CreateModel(create.name, kept, create.options),
                *rest,
            ],
        )


def documented_part(code: Code) -> Code:
    """Return a code without what came after the documented head, and its old models."""
    keys = {each.migration for each in code.revisions()}
    return Code(
        migrations={
            key: each
            for key, each in code.migrations.items()
            if key in keys or (each.replaces and key[0] in code.own)
        },
        models=code.models,
        own=code.own,
    )


def short_form(documented: Code) -> Code:
    """Return a code whose history begins with what were squashed migrations."""
    squashed = {
        key[0]: key for key, each in documented.migrations.items() if each.replaces
    }
    made = {}
    for key in (*squashed.values(), KEYS, MERGE):
        there = documented.migrations[key]
        after = {
            parent if parent in (KEYS, MERGE) else squashed[parent[0]]
            for parent in there.dependencies
        }
        own = {"revision": "b7e3f2c1a9d8", "revises": ()} if key == MERGE else {}
        made[key] = migration(
            key, sorted(after - {key}), operations=there.operations, **own
        )
    return Code(migrations=made, models=documented.models, own=documented.own)


def bare(state: ProjectState) -> ProjectState:
    """Return a copy of a state whose models are not made yet."""
    found: dict[tuple[str, str], ModelState] = {
        key: model.clone() for key, model in state.models.items()
    }
    return ProjectState(found, state.real_apps)


class Steps(Operation):
    """An operation of these steps on PostgreSQL; it changes no model."""

    reversible = True

    def __init__(
        self, forwards: Sequence[AnyStep], backwards: Sequence[AnyStep] = ()
    ) -> None:
        self.forwards, self.backwards = forwards, backwards

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        pass

    def database_forwards(
        self, app_label: str, schema_editor: Any, *states: ProjectState
    ) -> None:
        perform(schema_editor, *self.forwards)

    def database_backwards(
        self, app_label: str, schema_editor: Any, *states: ProjectState
    ) -> None:
        perform(schema_editor, *self.backwards)


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """What is changed, which check has to name it, and words of the message."""

    name: str
    sow: Callable[[Copy], object]
    check: str
    words: str
    base: Literal["whole", "documented", "short"] = "short"
    only: str | None = None


def _graph() -> list[Defect]:
    def two_leaves(copy: Copy) -> None:
        for name in ("0013_add_fee", "0013_add_note"):
            after = [("trading", "0012_create_notification_tables")]
            copy.add(key=("trading", name), after=after)

    def missing(copy: Copy) -> None:
        copy.depend(("bots", "0008_convert_bot_config_key_to_identity"), ("bots", "no"))

    def missing_target(copy: Copy) -> None:
        copy.change(PNL, run_before=[("backtests", "0099_no_such")])

    def circle(copy: Copy) -> None:
        later = ("bots", "0010_fill_bot_config_columns")
        copy.depend(("bots", "0008_convert_bot_config_key_to_identity"), later)

    def named(name: str) -> Callable[[Copy], None]:
        return lambda copy: copy.add(key=("trading", name))

    def undocumented(copy: Copy) -> None:
        copy.add(__module__="tests.schema")

    rows = [
        ("two leaves", two_leaves, "0013_add_fee, 0013_add_note"),
        ("missing dependency", missing, "depends on bots.no, which is not there"),
        ("missing run_before", missing_target, "backtests.0099_no_such, which is not"),
        ("circle", circle, "in a circle"),
        ("named auto", named("0003_auto_20260101_0000"), "is not named for what"),
        ("named by one word", named("0003_update"), "is not named for what it does"),
        ("without a number", named("add_note"), "is not named for what it does"),
        ("without docstring", undocumented, "trading.0003_do_something has no docs"),
    ]
    return [
        Defect(name=name, sow=sow, check="graph", words=words, base="whole")
        for name, sow, words in rows
    ]


def _documented() -> list[Defect]:
    def other_order(copy: Copy) -> None:
        copy.change(PNL, revises=("69694099e14e",))
        copy.change(STRATEGY, revises=("92c67f02186c",))
        copy.change(ADVANCED, revises=("59a0e8d02f5a",))

    def no_merge(copy: Copy) -> None:
        del copy.migrations[MERGE]

    def not_after(copy: Copy) -> None:
        key = ("bots", "0007_alter_bot_config_defaults")
        copy.change(key, dependencies=[("bots", "0006_add_bot_config_leverage")])

    def too_many(copy: Copy) -> None:
        copy.add(key=NEW)
        copy.change(SQUASHED_TRADES, replaces=[TRADES, PNL, NEW])

    def squash_gone(copy: Copy) -> None:
        del copy.migrations[SQUASHED_TRADES]

    rows: list[tuple[str, Callable[[Copy], object], str]] = [
        (
            "revises too early",
            lambda copy: copy.change(PNL, revises=("7354d6bd11ea",)),
            "one base and one head expected",
        ),
        ("revises in another order", other_order, "are not those of the old program"),
        (
            "doubled revision",
            lambda copy: copy.change(PNL, revision="59a0e8d02f5a"),
            "revision 59a0e8d02f5a is declared by",
        ),
        (
            "unknown revision",
            lambda copy: copy.change(PNL, revises=("0123456789ab",)),
            "no migration declares revision 0123456789ab",
        ),
        (
            "circle of revisions",
            lambda copy: copy.change(
                STRATEGY, revises=("69694099e14e", "3742c83cd3b1")
            ),
            "comes before itself",
        ),
        ("merge missing", no_merge, "one base and one head expected"),
        (
            "no id of Alembic",
            lambda copy: copy.change(MERGE, revision="the merge"),
            "which is not 12 hexadecimal digits",
        ),
        (
            "half declared",
            lambda copy: copy.add(revision="0123456789ab"),
            "has only one of revision and revises",
        ),
        (
            "documented depends on a later one",
            lambda copy: copy.depend(KEYS, TRADES),
            "depends on trading.0001_create_trade_table, which does not come before",
        ),
        (
            "documented depends on Django's",
            lambda copy: copy.depend(TOKEN, ("auth", "0001_initial")),
            "depends on auth.0001_initial, which does not come before",
        ),
        (
            "first later one not after the merge",
            not_after,
            "bots.0007_alter_bot_config_defaults does not come after the documented",
        ),
        (
            "new one not after the merge",
            lambda copy: copy.add(after=[PNL]),
            "trading.0003_do_something does not",
        ),
        (
            "squash replaces too few",
            lambda copy: copy.change(SQUASHED_TRADES, replaces=[TRADES]),
            "replaces 0001_create_trade_table; exp",
        ),
        ("squash replaces too many", too_many, "0003_do_something; expected 0001_cr"),
        ("squash missing", squash_gone, "trading has 2 documented migrations and no"),
    ]
    return [
        Defect(name=name, sow=sow, check="documented", words=words, base="whole")
        for name, sow, words in rows
    ]


NOTE = models.CharField(null=True)


def _models() -> list[Defect]:
    def only_in_state(*operations: Operation) -> Callable[[Copy], None]:
        return lambda copy: copy.add(
            migrations.SeparateDatabaseAndState(state_operations=list(operations))
        )

    def only_in_models(operation: Operation) -> Callable[[Copy], None]:
        return lambda copy: copy.alter_models(operation)

    def of_all(name: str, operation: Operation, words: str) -> Defect:
        sow = only_in_models(operation)
        return Defect(name=name, sow=sow, check="models", words=words)

    def of_postgresql(name: str, operation: Operation, words: str) -> Defect:
        sow = only_in_state(operation)
        return Defect(
            name=name, sow=sow, check="models", words=words, only="postgresql"
        )

    required = models.CharField()
    return [
        of_all(
            "field without migration",
            migrations.AddField("trade", "note", NOTE),
            "no migration of trading has this change of the models: Add field note",
        ),
        of_all(
            "field gone from the model",
            migrations.RemoveField("trade", "pnl"),
            "Remove field pnl from trade",
        ),
        of_all(
            "index gone from the model",
            migrations.RemoveIndex("trade", "ix_trades_id"),
            "Remove index ix_trades_id from trade",
        ),
        of_all(
            "nullability of the model",
            migrations.AlterField("trade", "binance_order_id", required),
            "Alter field binance_order_id on trade",
        ),
        of_all("model gone", migrations.DeleteModel("Trade"), "Delete model Trade"),
        of_postgresql(
            "nullability in the state only",
            migrations.AlterField("trade", "commission_asset", required),
            "column trades.commission_asset: nullability is NULL, expected NOT NULL",
        ),
        of_postgresql(
            "default in the state only",
            migrations.AlterField("trade", "side", models.CharField(db_default="BUY")),
            "column trades.side: default is none, expected 'BUY'",
        ),
        of_postgresql(
            "index in the state only",
            migrations.AddIndex("trade", models.Index("symbol", name="by_symbol")),
            "index by_symbol on trades: is missing",
        ),
        Defect(
            name="column in the database only",
            sow=lambda copy: copy.add(
                migrations.RunSQL("ALTER TABLE trades ADD COLUMN note text", "")
            ),
            check="models",
            words="column trades.note: is there and no migration makes it",
            only="postgresql",
        ),
    ]


def _squashed() -> list[Defect]:
    spot = models.CharField(db_default="futures")

    def without_index(copy: Copy) -> None:
        create, *_ = copy.migrations[SQUASHED_TRADES].operations
        assert isinstance(create, migrations.CreateModel)
        options = {**create.options, "indexes": create.options["indexes"][1:]}
        less = migrations.CreateModel(create.name, create.fields, options)
        copy.change(SQUASHED_TRADES, operations=[less])

    rows: list[tuple[str, Callable[[Copy], object], str]] = [
        (
            "squash lacks a column",
            lambda copy: copy.alter_fields(SQUASHED_USERS, reset_token=None),
            "column users.reset_token",
        ),
        (
            "squash with another default",
            lambda copy: copy.alter_fields(SQUASHED_BACKTESTS, market_type=spot),
            "column backtests.market_type",
        ),
        (
            "type changed in the chain only",
            lambda copy: copy.alter_fields(TRADES, symbol=models.TextField()),
            "column trades.symbol",
        ),
        (
            "nullability changed in the chain only",
            lambda copy: copy.alter_fields(USERS, email=models.CharField(null=True)),
            "column users.email",
        ),
        ("squash lacks an index", without_index, "index ix_trades_bot_config_id"),
    ]
    return [
        Defect(name=name, sow=sow, check="squashed", words=words, base="documented")
        for name, sow, words in rows
    ]


INDEX = "CREATE INDEX by_symbol ON trades (symbol)"
UNDO = "DROP INDEX by_symbol"


def _nothing(apps: Any, schema_editor: Any) -> None:
    pass


def _reverse() -> list[Defect]:
    add = "ALTER TABLE trades ADD COLUMN note varchar"
    as_field = [migrations.AddField("trade", "note", NOTE)]

    def sql(forwards: str, backwards: str | None) -> Callable[[Copy], None]:
        return lambda copy: copy.add(migrations.RunSQL(forwards, backwards))

    def alone(*operations: Operation) -> Callable[[Copy], None]:
        return lambda copy: copy.add(*operations, atomic=False)

    def as_one(copy: Copy) -> None:
        noop = migrations.RunSQL.noop
        copy.add(migrations.RunSQL(add, noop, state_operations=as_field))

    to_text = "ALTER TABLE trades ALTER symbol TYPE text"
    to_other = "ALTER TABLE trades ALTER symbol TYPE varchar(9)"
    rows: list[tuple[str, Callable[[Copy], object], str, str | None]] = [
        ("reverse leaves an index", sql(INDEX, ""), "index by_symbol on trades", None),
        ("reverse leaves a column", as_one, "column trades.note: is there", None),
        (
            "reverse drops too much",
            sql(INDEX, f"{UNDO}; DROP INDEX ix_trades_id"),
            "index ix_trades_id on trades: is missing",
            None,
        ),
        ("SQL without reverse", sql(INDEX, None), "cannot be undone", None),
        (
            "Python without reverse",
            lambda copy: copy.add(migrations.RunPython(_nothing)),
            "cannot be undone",
            None,
        ),
        (
            "reverse that fails",
            sql(INDEX, "DROP INDEX no_such_index"),
            "trading.0003_do_something cannot be undone: ",
            None,
        ),
        (
            "reverse to another type",
            sql(to_text, to_other),
            "type is character varying(9), expected character varying",
            "postgresql",
        ),
        (
            "not atomic and drops a column",
            alone(migrations.RemoveField("trade", "pnl")),
            "is not atomic and drops trades.pnl",
            None,
        ),
        (
            "not atomic and drops a table",
            alone(migrations.DeleteModel("Trade")),
            "is not atomic and drops trades",
            None,
        ),
        (
            "not atomic and its reverse drops a column",
            alone(*as_field),
            "is not atomic and drops when undone trades.note",
            None,
        ),
    ]
    return [
        Defect(name=name, sow=sow, check="reverse", words=words, only=only)
        for name, sow, words, only in rows
    ]


THERE = "SELECT to_regclass('by_symbol') IS NOT NULL"
CONCURRENTLY = "CREATE INDEX CONCURRENTLY by_symbol ON trades (symbol)"


def _steps() -> list[Defect]:
    def steps(
        *statements: str, undo: str = f"{UNDO} IF EXISTS", **options: Any
    ) -> Callable[[Copy], None]:
        undo = undo.replace("INDEX by_symbol IF EXISTS", "INDEX IF EXISTS by_symbol")
        done = options.pop("done", THERE)
        atomic = options.pop("atomic", False)
        step = Step(statements=statements, done=done, **options)
        return lambda copy: copy.add(
            Steps([step], [Step(statements=(undo,))]), atomic=atomic
        )

    rename = "ALTER INDEX ix_trades_id RENAME TO by_id"
    python = migrations.RunPython(_nothing, _nothing)
    in_atomic = BuildIndexConcurrently("trade", models.Index("symbol", name="by_it"))
    rows: list[tuple[str, Callable[[Copy], object], str]] = [
        ("done at all times", steps(INDEX, done="SELECT true"), "for done before it"),
        (
            "done at no time",
            steps(INDEX.replace("INDEX", "INDEX IF NOT EXISTS"), done="SELECT false"),
            "for not done when all is done",
        ),
        (
            "done by a query for another thing",
            steps(INDEX, done="SELECT to_regclass('trades') IS NOT NULL"),
            "for done before it is",
        ),
        (
            "done by a query that fails",
            steps(INDEX, done="SELECT valid FROM trades"),
            'column "valid" does not exist',
        ),
        ("no done query", steps(INDEX, done=None), "cannot be repeated after a crash"),
        (
            "no done query of the reverse",
            steps(INDEX, undo=UNDO),
            "cannot be repeated after a crash: DROP INDEX by_symbol",
        ),
        ("rename without done", steps(rename, done=None), "cannot be repeated"),
        (
            "second statement cannot follow the first again",
            steps("CREATE TABLE notes (id int)", CONCURRENTLY, transactional=False),
            "cannot be repeated after a crash: CREATE TABLE notes",
        ),
        ("concurrent without saying so", steps(CONCURRENTLY), "does not say so"),
        (
            "concurrent in one transaction",
            lambda copy: copy.add(in_atomic),
            "is one transaction, in which this cannot be",
        ),
        (
            "Python in steps",
            lambda copy: copy.add(python, atomic=False),
            "nobody can tell whether it is done",
        ),
        (
            "fails at once",
            steps("CREATE INDEX by_symbol ON trades (no_such)"),
            'column "no_such" does not exist',
        ),
    ]
    return [
        Defect(name=name, sow=sow, check="steps", words=words, only="postgresql")
        for name, sow, words in rows
    ]


def _adding(*operations: Operation, **attributes: Any) -> Callable[[Copy], None]:
    return lambda copy: copy.add(*operations, **attributes)


def _of_one_operation(
    check: str, rows: Iterable[tuple[str, Operation, str]]
) -> list[Defect]:
    return [
        Defect(
            name=name,
            sow=_adding(operation),
            check=check,
            words=words,
            only="postgresql",
        )
        for name, operation, words in rows
    ]


def _index_by_python(apps: Any, schema_editor: Any) -> None:
    schema_editor.execute(INDEX)


def _scripts() -> list[Defect]:
    python = migrations.RunPython(_nothing, _nothing)
    other = migrations.RunPython(
        _index_by_python,
        _nothing,
        hints={"sql": INDEX.replace("(symbol)", "(side)")},
    )
    rows: list[tuple[str, Operation, str]] = [
        ("Python without SQL form", python, "trading.0003_do_something has no form"),
        ("SQL form of something else", other, "columns is (side), expected (symbol)"),
        (
            "model renamed",
            migrations.RenameModel("Trade", "Fill"),
            "renames the content type",
        ),
    ]
    return _of_one_operation("script", rows)


def _locks() -> list[Defect]:
    check = models.CheckConstraint(condition=models.Q(price__gt=0), name="positive")
    unique = models.UniqueConstraint(fields=["symbol"], name="one_symbol")
    rows: list[tuple[str, Operation, str]] = [
        (
            "index that is not built concurrently",
            migrations.AddIndex("trade", models.Index("symbol", name="by_symbol")),
            "builds an index while it holds trades (SHARE)",
        ),
        (
            "type that writes the table anew",
            migrations.AlterField("trade", "pnl", models.FloatField(null=True)),
            "writes a table anew while it holds trades (ACCESS EXCLUSIVE)",
        ),
        (
            "check that is not NOT VALID",
            migrations.AddConstraint("trade", check),
            "reads a table while it holds trades (ACCESS EXCLUSIVE)",
        ),
        (
            "unique constraint at once",
            migrations.AddConstraint("trade", unique),
            "builds an index while it holds trades (ACCESS EXCLUSIVE)",
        ),
        (
            "NOT NULL at once",
            migrations.AlterField("trade", "commission_asset", models.CharField()),
            "while it holds trades (ACCESS EXCLUSIVE)",
        ),
        (
            "rows changed in the transaction of a lock",
            migrations.RunSQL(
                [
                    "ALTER TABLE trades ADD COLUMN note varchar",
                    "UPDATE trades SET note = symbol",
                ]
            ),
            "writes rows while it holds trades (ACCESS EXCLUSIVE)",
        ),
        (
            "Python",
            migrations.RunPython(_nothing, _nothing),
            "locks nobody knows what",
        ),
    ]
    return _of_one_operation("locks", rows)


def _defaults() -> list[Defect]:
    note = models.CharField(default="none")
    rows: list[tuple[str, Operation, str]] = [
        (
            "NOT NULL without a default",
            migrations.AddField("trade", "note", note),
            "makes trades.note NOT NULL",
        ),
        (
            "made NOT NULL without a default",
            migrations.AlterField("trade", "commission_asset", models.CharField()),
            "makes trades.commission_asset NOT NULL",
        ),
        (
            "default taken away",
            migrations.RunSQL(
                "ALTER TABLE backtests ALTER market_type DROP DEFAULT", ""
            ),
            "makes backtests.market_type NOT NULL",
        ),
    ]
    return _of_one_operation("defaults", rows)


DEFECTS = [
    *_graph(),
    *_documented(),
    *_models(),
    *_squashed(),
    *_reverse(),
    *_steps(),
    *_scripts(),
    *_locks(),
    *_defaults(),
]
