"""SQL for exact decimals on SQLite: what cannot be exact is refused, never rounded.

Every node of a query passes ``compile``. Nodes without a decimal go to Django as they
are; for those with one, ``_RULES`` lists all that is known to be exact. A result that
is not a bare column gets the ``decimal`` collation, because SQLite would compare and
order it as text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import FieldError
from django.db import NotSupportedError, models
from django.db.models import expressions, lookups
from django.db.models.functions import Cast, Coalesce, Greatest, Least, NullIf
from django.db.models.indexes import IndexExpression
from django.db.models.sql import compiler

from tradebot.sqlite import decimals

SQL = tuple[str, Any]
_ARITHMETIC = {
    expressions.Combinable.ADD: decimals.ADD,
    expressions.Combinable.SUB: decimals.SUBTRACT,
    expressions.Combinable.MUL: decimals.MULTIPLY,
}
_COMPARISONS = (
    lookups.Exact,
    lookups.GreaterThan,
    lookups.GreaterThanOrEqual,
    lookups.LessThan,
    lookups.LessThanOrEqual,
    lookups.In,
    lookups.Range,
)
# Nodes that hand on what is inside them, or only ask whether there is something.
_TRANSPARENT = (
    IndexExpression,
    expressions.Col,
    expressions.DatabaseDefault,
    expressions.Exists,
    expressions.ExpressionList,
    expressions.OrderBy,
    expressions.Ref,
    expressions.When,
    lookups.IsNull,
    models.Count,
    models.sql.Query,
)

_UNKNOWN = models.Field()


class SQLCompiler(compiler.SQLCompiler):
    """Compile expressions of decimals to exact SQL, or raise NotSupportedError."""

    def compile(self, node: Any) -> SQL:
        operands = [
            _output_field(source)
            for source in getattr(node, "get_source_expressions", list)()
        ]
        if not _is_decimal(_output_field(node)) and not any(map(_is_decimal, operands)):
            return super().compile(node)
        if isinstance(node, _TRANSPARENT) or _is_parenthesis(node):
            # Not as_sqlite(), which would cast to NUMERIC: to a float.
            compiled: SQL = node.as_sql(self, self.connection)
            return compiled
        for kinds, rule in _RULES:
            if isinstance(node, kinds):
                return rule(self, node)
        raise _refusal(node)

    def _compare(self, node: Any) -> SQL:
        for side in (node.lhs, node.rhs):
            if hasattr(side, "as_sql") and not _is_decimal(_output_field(side)):
                raise _refusal(node, "both sides must be decimals")
        if isinstance(node, lookups.In) and isinstance(node.rhs, expressions.Subquery):
            node = node.copy()
            node.rhs = node.rhs.query  # as an expression it is its first row only
        compiled: SQL = node.as_sql(self, self.connection)
        return compiled

    def _combine(self, node: expressions.CombinedExpression) -> SQL:
        _require_decimal_result(node)
        function = _ARITHMETIC.get(node.connector)
        if function is None:
            raise _refusal(node, f"the operator {node.connector} is not exact")
        self._require_exact(node, [node.lhs, node.rhs])
        left, left_params = self.compile(node.lhs)
        right, right_params = self.compile(node.rhs)
        return _collated(f"{function}({left}, {right})", [*left_params, *right_params])

    def _sum(self, node: models.Sum) -> SQL:
        _require_decimal_result(node)
        self._require_exact(node, node.source_expressions)
        return _collated(*node.as_sql(self, self.connection, function=decimals.SUM))

    def _choose(self, node: Any) -> SQL:
        _require_decimal_result(node)
        if isinstance(node, expressions.Case):
            results = [when.result for when in node.cases] + [node.default]
        else:
            results = node.source_expressions
        self._require_exact(node, results)
        sql, params = node.as_sql(self, self.connection)
        # A whole number among the results becomes text as well, or it would sort
        # before every text.
        return _collated(f"CAST({sql} AS text)", params)

    def _extreme(self, node: Any) -> SQL:
        self._require_decimal(node)
        functions = {Greatest: "MAX", Least: "MIN"}
        function = functions.get(type(node), node.function)
        return _collated(*node.as_sql(self, self.connection, function=function))

    def _cast(self, node: Cast) -> SQL:
        (source,) = node.get_source_expressions()
        before, after = _output_field(source), _output_field(node)
        if _is_decimal(after):
            if not (_is_decimal(before) or _is_integer(before)):
                raise _refusal(node, "only whole numbers become exact decimals")
            if after.max_digits is not None or after.decimal_places is not None:
                raise _refusal(node, "a bound on the digits would round")
            return _collated(*node.as_sql(self, self.connection))
        if not isinstance(after, models.CharField | models.TextField):
            raise _refusal(node, "cast it in Python")
        sql, params = node.as_sql(self, self.connection)
        return f"({sql} COLLATE BINARY)", params  # text is compared as text
        return node.as_sql(self, self.connection)

    def _wrap(self, node: Any) -> SQL:
        """Compile a literal, a subquery or an expression in its wrapper."""
        self._require_decimal(node)
        return _collated(*node.as_sql(self, self.connection))

    def _check_assignment(self, field: Any, value: Any) -> None:
        """Refuse an expression that a column would store otherwise than it is."""
        if not hasattr(value, "resolve_expression"):
            return
        if _is_decimal(field):
            self._require_exact(value, [value])
        elif _is_decimal(_output_field(value)) and not isinstance(
            field, models.CharField | models.TextField
        ):
            raise _refusal(value, f"a {type(field).__name__} would round it")

    def _require_exact(self, node: Any, operands: list[Any]) -> None:
        for operand in operands:
            field = _output_field(operand)
            if not (field is None or _is_decimal(field) or _is_integer(field)):
                raise _refusal(node, f"a {type(field).__name__} is not exact")

    def _require_decimal(self, node: Any) -> None:
        _require_decimal_result(node)
        for operand in node.get_source_expressions():
            field = _output_field(operand)
            if not (field is None or _is_decimal(field) or _is_boolean(field)):
                raise _refusal(node, f"a {type(field).__name__} is no decimal")


_RULES: list[tuple[Any, Callable[[Any, Any], SQL]]] = [
    (_COMPARISONS, SQLCompiler._compare),
    (expressions.CombinedExpression, SQLCompiler._combine),
    (models.Sum, SQLCompiler._sum),
    ((expressions.Case, Coalesce), SQLCompiler._choose),
    ((models.Max, models.Min, Greatest, Least, NullIf), SQLCompiler._extreme),
    (Cast, SQLCompiler._cast),
    (
        (expressions.ExpressionWrapper, expressions.Subquery, expressions.Value),
        SQLCompiler._wrap,
    ),
]


def _output_field(node: Any) -> Any:
    try:
        return getattr(node, "_output_field_or_none", None)
    except FieldError:  # operands of unlike types and no output_field given
        return _UNKNOWN


def _is_parenthesis(node: Any) -> bool:
    """Say whether a node only puts brackets around another, as indexes have it."""
    return (
        type(node) is expressions.Func
        and node.extra.get("template") == "(%(expressions)s)"
    )


def _is_decimal(field: Any) -> bool:
    return isinstance(field, models.DecimalField)


def _is_integer(field: Any) -> bool:
    return isinstance(field, models.IntegerField)


def _is_boolean(field: Any) -> bool:
    return isinstance(field, models.BooleanField)


def _require_decimal_result(node: Any) -> None:
    # Declared as another type, the text of a number would be compared with numbers:
    # SQLite ranks every text above every number.
    if not _is_decimal(_output_field(node)):
        raise _refusal(node, "the output_field must be a decimal")


def _collated(sql: str, params: Any) -> SQL:
    return f"({sql} COLLATE {decimals.COLLATION})", params


def _refusal(
    node: Any, reason: str = "it is not known to be exact"
) -> NotSupportedError:
    return NotSupportedError(
        f"SQLite cannot compute {node!r} on decimals exactly: {reason}. "
        "Fetch the values and compute in Python with Decimal, or use PostgreSQL."
    )


class SQLInsertCompiler(SQLCompiler, compiler.SQLInsertCompiler):
    def prepare_value(self, field: Any, value: Any) -> Any:
        value = super().prepare_value(field, value)
        self._check_assignment(field, value)
        return value


class SQLDeleteCompiler(SQLCompiler, compiler.SQLDeleteCompiler):
    pass


class SQLUpdateCompiler(SQLCompiler, compiler.SQLUpdateCompiler):
    def as_sql(self, *args: Any, **kwargs: Any) -> SQL:
        query: Any = self.query
        for field, _, value in query.values:
            self._check_assignment(field, value)
        return super().as_sql(*args, **kwargs)


class SQLAggregateCompiler(SQLCompiler, compiler.SQLAggregateCompiler):
    pass
