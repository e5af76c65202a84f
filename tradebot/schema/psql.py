"""Steps as psql runs them: meta-commands, transactions, loops.

psql would replace the name of a variable after a colon wherever it meets one outside of
quotes: ours have names that nothing else has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from django.conf import settings
from psycopg import sql as psycopg_sql

from tradebot.schema import batches
from tradebot.schema.steps import Batches, Step, statements_of

_BATCHES = """\
DECLARE
    low "{table}"."{key}"%TYPE;
    high "{table}"."{key}"%TYPE;
    size numeric := {first_size};
    began timestamptz;
BEGIN
    LOOP
        PERFORM set_config('lock_timeout', '{lock_timeout}', true);
        EXECUTE {next} INTO low USING high;
        EXIT WHEN low IS NULL;
        EXECUTE {upto} INTO high USING low, size;
        began := clock_timestamp();
        EXECUTE {change} USING low, high;
        COMMIT;
        size := least({largest_size}, greatest(1, round(size * least(4, greatest(0.25,
            {target} / greatest(0.001, extract(epoch FROM clock_timestamp() - began))
        )))));
    END LOOP;
END"""


def literal(value: str) -> str:
    """Return the SQL literal of a text."""
    return psycopg_sql.Literal(value).as_string(None).strip()


def dollar_quoted(text: str) -> str:
    """Return the SQL literal of a text, as it stands."""
    tag = "tradebot"
    while f"${tag}$" in text:
        tag += "_"
    return f"${tag}$\n{text}\n${tag}$"


def lock_budget() -> str:
    """Return what says how long a transaction may wait for locks, all of them together.

    The others here need it at the beginning of the script; they ask for what is left
    before each statement.
    """
    return (
        "\\set tradebot_lock_budget 'SELECT set_config(''lock_timeout'', greatest(1, "
        f"{settings.MIGRATION_LOCK_TIMEOUT_MS} - round(1000 * extract(epoch FROM "
        "clock_timestamp() - now())))::int::text, true) AS tradebot_left'"
    )


def alone(step: Step | Batches) -> Iterator[str]:
    """Yield a step of a migration that is not one transaction, as the executor does."""
    if isinstance(step, Batches):
        lines: Iterable[str] = [_in_batches(step)]
    elif step.transactional:
        yield from transaction([step])
        return
    else:
        lines = ["SET lock_timeout = 0;", *map(_statement, step.statements)]
    yield from _unless_done(step, lines)


def transaction(
    steps: Iterable[Step | Batches], record: Iterable[str] = ()
) -> Iterator[str]:
    """Yield one transaction of steps, with statements to record them."""
    yield "BEGIN;"
    for step in steps:
        yield from _unless_done(step, _with_budget(step))
    yield from record
    yield "COMMIT;"


def _with_budget(step: Step | Batches) -> Iterator[str]:
    for statement in statements_of(step):
        yield ":tradebot_lock_budget \\gset"
        yield _statement(statement)


def _unless_done(step: Step | Batches, lines: Iterable[str]) -> Iterator[str]:
    if step.done is None:
        yield from lines
    else:
        yield from only_if(f"NOT coalesce(({step.done}), false)", lines)


def only_if(condition: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield lines that psql leaves out where the condition is false."""
    yield f"SELECT {condition} AS tradebot_todo \\gset"
    yield "\\if :tradebot_todo"
    yield from lines
    yield "\\endif"


def _statement(statement: str) -> str:
    text = statement.strip().removesuffix(";")
    if re.match(r"(SELECT|TABLE|VALUES|WITH)\b", text, re.IGNORECASE):
        # psql would show the rows.
        text = f"DO {dollar_quoted(f'BEGIN EXECUTE {dollar_quoted(text)}; END')}"
    return f"{text};" if "--" not in text else f"{text}\n;"


def _in_batches(step: Batches) -> str:
    """Return the loop of ``batches.run_batches`` in PL/pgSQL."""
    table, key, todo = f'"{step.table}"', f'"{step.key}"', f"({step.todo})"
    following = (
        f"SELECT {key} FROM {table} WHERE ($1 IS NULL OR {key} > $1) AND {todo} "
        f"ORDER BY {key} LIMIT 1"
    )
    upto = (
        f"SELECT max({key}) FROM (SELECT {key} FROM {table} "
        f"WHERE {key} >= $1 AND {todo} ORDER BY {key} LIMIT $2) AS batch"
    )
    change = step.statement.format(rows=f"{key} BETWEEN $1 AND $2 AND {todo}")
    body = _BATCHES.format(
        table=step.table,
        key=step.key,
        first_size=batches.FIRST_SIZE,
        largest_size=batches.LARGEST_SIZE,
        target=batches.TARGET_S,
        lock_timeout=settings.MIGRATION_LOCK_TIMEOUT_MS,
        next=dollar_quoted(following),
        upto=dollar_quoted(upto),
        change=dollar_quoted(change),
    )
    return f"DO {dollar_quoted(body)};"
