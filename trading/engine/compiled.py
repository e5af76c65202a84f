"""Compiles the engine's loops with numba, where that is installed.

numba is asked for at the first loop that runs, never at an import: it takes half a
second and memory that a web process has no use for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar, cast

_Function = TypeVar("_Function", bound=Callable[..., Any])


def is_available() -> bool:
    """Tell whether loops are compiled here."""
    try:
        import numba  # noqa: F401 -- whether it can be
    except ImportError:
        return False
    return True


def fast(function: _Function) -> _Function:
    """Return the function compiled, or as it is where numba is not installed.

    Compiled it takes arrays, which are fast there and slow in Python; as it is, it is
    to be given lists (``column``).
    """
    return cast(_Function, _compiled(function)) if is_available() else function


def column(array: Any) -> Any:
    """Return an array as ``fast`` functions like it: itself, or as a list."""
    return array if is_available() else array.tolist()


@cache
def _compiled(function: FunctionType) -> Any:
    import numba

    copy = _with_compiled_calls(function)
    # numba's cache looks at the file of the function, not at those of what it calls.
    copy.__qualname__ = f"{function.__name__}_{_source_digest()}"
    try:
        return numba.njit(cache=True, nogil=True)(copy)
    except RuntimeError:  # there is no folder that could be written to
        return numba.njit(nogil=True)(copy)


def _with_compiled_calls(function: FunctionType) -> FunctionType:
    """Return a copy that calls compiled copies of the engine's own functions."""
    import numba

    names = {
        name: numba.njit(nogil=True)(_with_compiled_calls(value))
        for name in function.__code__.co_names
        if isinstance(value := function.__globals__.get(name), FunctionType)
    }
    copy = FunctionType(function.__code__, {**function.__globals__, **names})
    copy.__module__ = function.__module__
    return copy


@cache
def _source_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
