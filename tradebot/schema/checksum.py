"""Whether a migration still does what it did when it was applied.

The checksum is over the source of what acts: ``operations`` and what of the module they
use. White space, comments, docstrings, annotations, the order of definitions and what
places a migration in the graph (``dependencies``, ``replaces``) do not count. What a
migration imports counts by its name; what is behind the name does not.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader

from tradebot.schema.history import History
from tradebot.schema.revisions import MigrationKey

_Function = (ast.FunctionDef, ast.AsyncFunctionDef)
# What a node has for the compiler or for type checkers only.
_INERT_FIELDS = {"annotation", "ctx", "kind", "returns", "simple", "type_comment"}


def checksum(migration: Migration) -> str:
    """Return what is recorded of a migration that is applied, to know it again.

    Two SHA-256: of the file, by which nearly every comparison ends, and of what acts.
    Empty where there is no source to read.
    """
    source = _source_of(migration)
    acting = source_checksum(source, class_name=type(migration).__name__)
    return f"{_sha256(source)}-{acting}" if acting else ""


def is_changed(migration: Migration, recorded: str) -> bool:
    """Ask whether a migration does something else than what was recorded of it."""
    source = _source_of(migration)
    file, _, acting = recorded.partition("-")
    if _sha256(source) == file:
        return False
    now = source_checksum(source, class_name=type(migration).__name__)
    return now not in ("", acting)


def _source_of(migration: Migration) -> bytes:
    file = sys.modules[type(migration).__module__].__file__
    return Path(file).read_bytes() if file and file.endswith(".py") else b""


def _sha256(source: bytes) -> str:
    return hashlib.sha256(source).hexdigest()


def source_checksum(source: bytes, *, class_name: str = "Migration") -> str:
    """Return the SHA-256 of what acts in a source; empty where it has no such class.

    It is the same for every version of Python.
    """
    source_of = _Definitions()
    body = ast.parse(source).body
    classes = [
        each
        for each in body
        if isinstance(each, ast.ClassDef) and each.name == class_name
    ]
    if not classes:
        return ""
    (*_, migration) = classes
    source_of.read(each for each in body if each is not migration)
    source_of.read(migration.body)
    methods = [each.name for each in migration.body if isinstance(each, _Function)]
    return source_of.digest("operations", *methods, extra=migration.bases)


def changed(
    connection: BaseDatabaseWrapper, loader: MigrationLoader
) -> list[MigrationKey]:
    """Return the applied migrations that do something else than when they were applied.

    ``loader`` has read this database. Migrations that were applied before there was a
    history, or whose source is gone, are not among them.
    """
    return sorted(
        key
        for key, recorded in History(connection).latest_applied_checksums().items()
        if key in loader.applied_migrations
        and (migration := loader.disk_migrations.get(key))
        and is_changed(migration, recorded)
    )


class _Definitions:
    """What the names of a module and of the migration's class stand for."""

    def __init__(self) -> None:
        self._by_name: defaultdict[str, list[ast.AST | str]] = defaultdict(list)
        self._loose: list[ast.AST] = []  # statements that may change any of them

    def read(self, statements: Iterable[ast.stmt]) -> None:
        for statement in statements:
            match statement:
                case ast.Import(names=names):
                    for name in names:
                        bound = name.asname or name.name.partition(".")[0]
                        self._by_name[bound].append(name.name)
                case ast.ImportFrom(module=module, names=names, level=level):
                    for name in names:
                        self._by_name[name.asname or name.name].append(
                            f"{'.' * level}{module or ''}.{name.name}"
                        )
                case (
                    ast.FunctionDef(name=name)
                    | ast.AsyncFunctionDef(name=name)
                    | ast.ClassDef(name=name)
                ):
                    self._by_name[name].append(statement)
                case ast.Assign(targets=targets):
                    self._assign(statement, targets)
                case ast.AnnAssign(target=target) | ast.AugAssign(target=target):
                    self._assign(statement, [target])
                case ast.Expr(value=ast.Constant()):
                    pass  # a docstring
                case _:
                    self._loose.append(statement)

    def _assign(self, statement: ast.stmt, targets: list[ast.expr]) -> None:
        for target in targets:
            for node in ast.walk(target):
                if isinstance(node, ast.Name):
                    self._by_name[node.id].append(statement)

    def digest(self, *names: str, extra: Iterable[ast.AST]) -> str:
        """Hash these names and all that their definitions use, in turn."""
        parts: list[str] = []
        used: set[str] = set(names)
        for node in (*extra, *self._loose):
            _write(node, parts, used)
        by_name: dict[str, str] = {}
        while new := used - by_name.keys():
            for name in new:
                definition: list[str] = []
                for part in self._by_name.get(name, ()):
                    if isinstance(part, str):
                        definition.append(part)
                    else:
                        _write(part, definition, used)
                by_name[name] = " ".join(definition)
        parts += [
            f"{name}: {definition}"
            for name, definition in sorted(by_name.items())
            if definition  # the others are local names and built-in ones
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _write(node: object, parts: list[str], used: set[str]) -> None:
    """Append a tree to ``parts``, fields that are empty left out; collect its names.

    Not ast.dump(), whose text differs between versions of Python.
    """
    if isinstance(node, ast.Name):
        parts.append(node.id)
        used.add(node.id)
    elif isinstance(node, ast.Constant):
        parts.append(repr(node.value))
    elif isinstance(node, ast.AST):
        parts.append(type(node).__name__)
        parts.append("(")
        for field in node._fields:
            if field in _INERT_FIELDS:
                continue
            value = getattr(node, field, None)
            if value is not None and value != []:
                parts.append(field)
                _write(value, parts, used)
        parts.append(")")
    elif isinstance(node, list):
        parts.append("[")
        for each in node:
            if not (
                isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant)
            ):
                _write(each, parts, used)
        parts.append("]")
    else:
        parts.append(repr(node))
