"""Questions to PostgreSQL's catalogue, which say whether a step has been done."""

from __future__ import annotations

from tradebot.schema.steps import AnyStep, Step


def type_is(table: str, column: str, type_: str) -> str:
    """Return the query that says whether a column has a type."""
    return (
        "SELECT EXISTS (SELECT FROM pg_attribute "
        f"WHERE attrelid = to_regclass('\"{table}\"') AND attname = '{column}' "
        f"AND format_type(atttypid, atttypmod) = '{type_}')"
    )


def is_required(table: str, column: str) -> str:
    """Return the query that says whether a column is NOT NULL."""
    return (
        "SELECT attnotnull FROM pg_attribute "
        f"WHERE attrelid = to_regclass('\"{table}\"') AND attname = '{column}'"
    )


def has_constraint(table: str, name: str, *, valid: bool = False) -> str:
    """Return the query that says whether a table has a constraint of this name."""
    return (
        "SELECT EXISTS (SELECT FROM pg_constraint "
        f"WHERE conrelid = to_regclass('\"{table}\"') AND conname = '{name}'"
        f"{' AND convalidated' if valid else ''})"
    )


def _either(*queries: str) -> str:
    return "SELECT " + " OR ".join(f"({query})" for query in queries)


def require(table: str, column: str, *, done: str) -> list[AnyStep]:
    """Return the steps that prove a column to have no NULL while others use it.

    ``ALTER COLUMN SET NOT NULL`` finds the proof in the constraint
    ``<table>_<column>_required`` and does not read the table.
    """
    name = f"{table}_{column}_required"
    return [
        Step(
            statements=(
                f'ALTER TABLE "{table}" ADD CONSTRAINT "{name}" '
                f'CHECK ("{column}" IS NOT NULL) NOT VALID',
            ),
            done=_either(done, has_constraint(table, name)),
        ),
        Step(
            statements=(f'ALTER TABLE "{table}" VALIDATE CONSTRAINT "{name}"',),
            done=_either(done, has_constraint(table, name, valid=True)),
        ),
    ]
