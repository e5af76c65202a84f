"""Run migrations so that a crash at any moment leaves nothing half done.

And so that nobody who uses the tables has to wait, and so that every migration can be
the target, those that a squashed one replaces too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from typing import Any

from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations import executor as django_executor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from tradebot.models import Action
from tradebot.schema.batches import run_batches
from tradebot.schema.branches import refuse_branches
from tradebot.schema.checksum import checksum
from tradebot.schema.contention import LockBudget, read_with_retries, with_retries
from tradebot.schema.copying import complete, copy_beside, discard_unfinished
from tradebot.schema.dropped import Archive, find, keep, waiting
from tradebot.schema.give_back import give_back, parents_first
from tradebot.schema.history import History
from tradebot.schema.lean_state import LeanState
from tradebot.schema.locks import predict, read_schema
from tradebot.schema.losses import Columns, Loss, columns_after, columns_of, losses
from tradebot.schema.revisions import MigrationKey
from tradebot.schema.steps import (
    AnyStep,
    Batches,
    LiveStep,
    compile_migration,
    is_done,
    statements_of,
)


class MigrationExecutor(django_executor.MigrationExecutor):
    """Django's executor, whose record of a migration commits with its work.

    On PostgreSQL a migration is compiled to its steps first: those of an atomic one are
    executed in one transaction, those of another one by one. Where a table is in use
    the transaction is given up and tried again.

    ``progress_callback`` gets the actions that Django's gets, and ``say`` and ``show``
    with a message in place of the migration: what is worth a line in a log, and what
    the next message of the kind replaces.

    ``exactly`` are the migrations that shall be applied when all is done, and no
    others, whatever the targets say. What a migration drops is kept for its way back
    (``dropped``), unless ``keep_dropped`` is false.

    There is none for migrations that are not one history: PreflightError.
    """

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        progress_callback: Any = None,
        *,
        exactly: frozenset[MigrationKey] | None = None,
        keep_dropped: bool = True,
    ) -> None:
        super().__init__(connection, progress_callback)
        refuse_branches(self.loader.disk_migrations)
        self.exactly = exactly
        self.keep_dropped = keep_dropped
        archives = waiting(connection)
        self._has_archives = bool(archives)
        # What was dropped on the way back along the chain comes back along it.
        if exactly is not None or any(archive.backwards for archive in archives):
            self.loader = chain_loader(connection)

    @cached_property
    def history(self) -> History:
        return History(self.connection)

    def _create_project_state(
        self, with_applied_migrations: bool = False
    ) -> ProjectState:
        django: Any = super()
        state: ProjectState = django._create_project_state(with_applied_migrations)
        return LeanState.of(state)

    def migration_plan(
        self, targets: Iterable[tuple[str, str | None]], clean_start: bool = False
    ) -> list[tuple[Migration, bool]]:
        targets = list(targets)
        if self.exactly is not None and not clean_start:
            return self._plan_exactly(self.exactly)
        graph = self.loader.graph
        if any(
            name is not None and (app, name) not in graph.nodes for app, name in targets
        ):
            self.loader = chain_loader(self.connection)
        plan = super().migration_plan(self._unsquashed(targets), clean_start)
        if any(backwards and migration.replaces for migration, backwards in plan):
            # Each migration by itself: what it drops can come back by itself.
            self.loader = chain_loader(self.connection)
            plan = super().migration_plan(self._unsquashed(targets), clean_start)
        return plan

    def _unsquashed(
        self, targets: Iterable[tuple[str, str | None]]
    ) -> list[tuple[str, str | None]]:
        """Return what the squashed migrations replace where these are not taken."""
        nodes: Any = self.loader.graph.nodes
        replacements: Any = self.loader.replacements
        return [
            key
            for target in targets
            for key in (
                replacements[target].replaces
                if target in replacements and target not in nodes
                else [target]
            )
        ]

    def _plan_exactly(
        self, wanted: frozenset[MigrationKey]
    ) -> list[tuple[Migration, bool]]:
        graph = self.loader.graph
        order = [
            (migration.app_label, migration.name)
            for migration, _ in super().migration_plan(graph.leaf_nodes(), True)
        ]
        applied = self.loader.applied_migrations
        nodes: Any = graph.nodes
        return [
            (nodes[key], True)
            for key in reversed(order)
            if key in applied and key not in wanted
        ] + [
            (nodes[key], False) for key in order if key not in applied and key in wanted
        ]

    def migrate(
        self,
        targets: Any,
        plan: Any = None,
        state: ProjectState | None = None,
        fake: bool = False,
        fake_initial: bool = False,
    ) -> ProjectState:
        """Run a plan as Django does, and one that goes back first and then forwards."""
        if self._has_archives:
            self._give_back(waiting(self.connection, self.loader.applied_migrations))
        if plan is None:
            plan = self.migration_plan(targets)
        wanted = {(each.app_label, each.name) for each, _ in plan if self.keep_dropped}
        retry = partial(self._retry_on, frozenset())
        discard_unfinished(self.connection, wanted, retry)
        back = [each for each in plan if each[1]]
        if back and len(back) < len(plan):
            super().migrate(targets, back, state, fake, fake_initial)
            self.loader = chain_loader(self.connection)
            plan, state = [each for each in plan if not each[1]], None
        return super().migrate(targets, plan, state, fake, fake_initial)

    def apply_migration(
        self,
        state: ProjectState,
        migration: Migration,
        fake: bool = False,
        fake_initial: bool = False,
    ) -> ProjectState:
        if fake or fake_initial:
            state = super().apply_migration(state, migration, fake, fake_initial)
            self.history.record(
                Action.FAKE,
                migration.app_label,
                migration.name,
                checksum=checksum(migration),
            )
            return state
        self._tell("apply_start", migration)
        with self._recorded(Action.APPLY, migration) as succeed:

            def record() -> None:
                self.record_migration(migration)  # type: ignore[call-arg, arg-type]  # as it is in Django 5.2
                succeed()

            if self.connection.vendor == "postgresql":
                steps, after = compile_migration(self.connection, migration, state)
                lost = columns_of(state) - columns_of(after)
                dropped = self._losses(lost)
                self._run(migration, steps, record, dropped, backwards=False)
                state = after
            else:
                lost = columns_of(state) - columns_after(migration, state)
                dropped = self._losses(lost)
                with self.connection.schema_editor(atomic=True) as schema_editor:
                    self._keep(migration, dropped, backwards=False)
                    state = migration.apply(state, schema_editor)
                    _run_deferred(schema_editor)
                    record()
        self._tell("apply_success", migration)
        self._give_back_of(migration, backwards=True)
        return state

    def unapply_migration(
        self, state: ProjectState, migration: Migration, fake: bool = False
    ) -> ProjectState:
        if fake:
            state = super().unapply_migration(state, migration, fake)
            self.history.record(Action.UNFAKE, migration.app_label, migration.name)
            return state
        self._tell("unapply_start", migration)
        with self._recorded(Action.REVERSE, migration) as succeed:

            def record() -> None:
                key = (migration.app_label, migration.name)
                squashed = [
                    each
                    for each, replacement in self.loader.replacements.items()
                    if key in replacement.replaces
                ]
                for app_label, name in [*migration.replaces, key, *squashed]:
                    self.recorder.record_unapplied(app_label, name)
                succeed()

            lost = columns_after(migration, state) - columns_of(state)
            dropped = self._losses(lost)
            if self.connection.vendor == "postgresql":
                steps, state = compile_migration(
                    self.connection, migration, state, backwards=True
                )
                self._run(migration, steps, record, dropped, backwards=True)
            else:
                with self.connection.schema_editor(atomic=True) as schema_editor:
                    self._keep(migration, dropped, backwards=True)
                    state = migration.unapply(state, schema_editor)
                    _run_deferred(schema_editor)
                    record()
        self._tell("unapply_success", migration)
        self._give_back_of(migration, backwards=False)
        return state

    @contextmanager
    def _recorded(
        self, action: Action, migration: Migration
    ) -> Iterator[Callable[[], None]]:
        """Record in the history that a migration begins, and that it fails if it does.

        Yields what records its success, in the transaction of the work.
        """
        entry = self.history.begin(
            action,
            migration.app_label,
            migration.name,
            checksum(migration) if action == Action.APPLY else "",
        )
        try:
            yield lambda: self.history.succeed(entry)
        except BaseException as error:
            self.history.fail(entry, error)
            raise

    def _keep(
        self, migration: Migration, dropped: Sequence[Loss], *, backwards: bool
    ) -> None:
        """Keep what will be dropped, in the transaction that drops it."""
        budget = LockBudget()
        key = (migration.app_label, migration.name)
        for loss in dropped:
            if loss.is_kept_by(self, migration):
                copied = complete(
                    self.connection, key, loss, backwards=backwards, budget=budget
                )
                archive = (
                    keep(self.connection, key, loss, backwards=backwards, budget=budget)
                    if copied is None
                    else find(self.connection, copied)
                )
                if archive is not None:
                    self._has_archives = True
                    self._say(f"  Keeping {archive}.")

    def _copy_beside(
        self, migration: Migration, dropped: Sequence[Loss], *, backwards: bool
    ) -> None:
        for loss in dropped:
            if loss.is_kept_by(self, migration) and loss.is_copied_beside(
                self.connection
            ):
                copy_beside(
                    self.connection,
                    (migration.app_label, migration.name),
                    loss,
                    backwards=backwards,
                    retry=partial(self._retry_on, frozenset([loss.table])),
                    show=self._show,
                )

    def _losses(self, lost: Columns) -> list[Loss]:
        return read_with_retries(
            self.connection, lambda _: losses(self.connection, lost), self._say
        )

    def _retry_on(self, tables: frozenset[str], attempt: Callable[[], None]) -> None:
        with_retries(self.connection, attempt, lambda: tables, self._say)

    def _give_back_of(self, migration: Migration, *, backwards: bool) -> None:
        if not self._has_archives:
            return
        key = (migration.app_label, migration.name)
        self._give_back(
            archive
            for archive in waiting(self.connection)
            if (archive.app, archive.name) == key and archive.backwards == backwards
        )

    def _give_back(self, archives: Iterable[Archive]) -> None:
        for archive in parents_first(self.connection, archives):
            self._say(f"  Giving back {archive}.")
            give_back(self.connection, archive, self._say, self._show)

    def _run(
        self,
        migration: Migration,
        steps: Sequence[AnyStep],
        record: Callable[[], None],
        dropped: Sequence[Loss],
        *,
        backwards: bool,
    ) -> None:
        def together() -> None:
            with self.connection.schema_editor(atomic=True) as schema_editor:
                self._keep(migration, dropped, backwards=backwards)
                budget = LockBudget()
                for step in steps:
                    self._execute(step, schema_editor, budget)
                _run_deferred(schema_editor)
                record()

        if migration.atomic:
            self._copy_beside(migration, dropped, backwards=backwards)
            self._retry(together, *steps)
            return
        for step in steps:
            self._retry(partial(self._run_alone, step), step)
        with transaction.atomic(using=self.connection.alias):
            record()

    def _retry(self, attempt: Callable[[], None], *steps: AnyStep) -> None:
        with_retries(self.connection, attempt, partial(self._tables, steps), self._say)

    def _tables(self, steps: Iterable[AnyStep]) -> frozenset[str]:
        """Return the tables that the steps lock, as things stand now.

        What the SQL alone says, where somebody has a table all for themselves: from
        PostgreSQL 17 on to read an expression of its constraints waits for them.
        """
        schema = None
        with (
            suppress(DatabaseError),
            transaction.atomic(using=self.connection.alias),
            self.connection.cursor() as cursor,
        ):
            cursor.execute(LockBudget().statement())
            schema = read_schema(self.connection)
        return frozenset(
            table
            for step in steps
            if not isinstance(step, LiveStep)
            for statement in statements_of(step)
            for table in predict(statement, schema).locks
        )

    def _run_alone(self, step: AnyStep) -> None:
        if isinstance(step, LiveStep):
            with self.connection.schema_editor(atomic=False) as schema_editor:
                step.run(schema_editor)
        elif is_done(self.connection, step):
            pass
        elif isinstance(step, Batches):
            run_batches(self.connection, step, LockBudget().statement(), self._show)
        elif step.transactional:
            with transaction.atomic(using=self.connection.alias):
                self._execute(step, None, LockBudget())
        else:
            with self.connection.cursor() as cursor:
                # It may wait: meanwhile it is in the way of other migrations only.
                cursor.execute("SET lock_timeout = 0")
                for statement in step.statements:
                    cursor.execute(statement)

    def _execute(self, step: AnyStep, schema_editor: Any, budget: LockBudget) -> None:
        with self.connection.cursor() as cursor:
            if isinstance(step, LiveStep):
                cursor.execute(budget.statement())
                step.run(schema_editor)
            elif not is_done(self.connection, step):
                for statement in statements_of(step):
                    cursor.execute(f"{budget.statement()};\n{statement}")

    def _tell(self, action: str, migration: Migration) -> None:
        if self.progress_callback:
            self.progress_callback(action, migration, False)

    def _say(self, message: str) -> None:
        if self.progress_callback:
            self.progress_callback("say", message, False)  # type: ignore[arg-type]  # see the class

    def _show(self, message: str) -> None:
        if self.progress_callback:
            self.progress_callback("show", message, False)  # type: ignore[arg-type]  # likewise


def chain_loader(connection: BaseDatabaseWrapper | None) -> MigrationLoader:
    """Return the graph of all migrations that are no squashed ones.

    Left to itself, Django keeps the squashed nodes in a graph without replacements, as
    if they were migrations like the others: going back, it would undo them as well.
    """
    loader = MigrationLoader(connection, replace_migrations=False)
    for key, squashed in loader.replacements.items():
        loader.graph.remove_replacement_node(key, squashed.replaces)
    return loader


def _run_deferred(schema_editor: Any) -> None:
    for statement in schema_editor.deferred_sql:
        schema_editor.execute(statement)
    schema_editor.deferred_sql.clear()
