"""The graph of the migrations as people see it: lines of text, or shapes of a page.

Where things are is decided in ``graph.py``.
"""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from tradebot.schema.graph import Graph, MigrationState, Status
from tradebot.schema.revisions import MigrationKey

# --- Text -------------------------------------------------------------------------

_MARKS: dict[Status, str] = {
    "applied": "●",
    "adopted": "◆",
    "faked": "◇",
    "pending": "○",
}
_ASCII_MARKS: dict[Status, str] = {
    "applied": "*",
    "adopted": "a",
    "faked": "f",
    "pending": "o",
}
# By where there is a line: up 1, down 2, left 4, right 8.
_LINES = " ││││╯╮┤│╰╭├─┴┬┼"
_MINIMUM_TEXT = 40  # characters beside the lines, however many lanes there are


def format_graph(
    graph: Graph, *, width: int = 100, encoding: str = "utf-8"
) -> Iterator[str]:
    """Yield the lines of a graph, the oldest migration first.

    In ASCII where the encoding has no lines and marks.
    """
    text = _Text(graph, ascii_only=not _can_show(encoding))
    beside = max(width - 2 * len(graph.lanes) - 1, _MINIMUM_TEXT)
    for row, state in enumerate(graph.states):
        label = ".".join(state.key)
        if notes := state.notes():
            label += f"  ({', '.join(notes)})"
        label_lines = textwrap.wrap(
            label, beside, subsequent_indent="    ", break_on_hyphens=False
        )
        lanes = [text.row(row)]
        if text.turns_off(row):
            lanes.append(text.row_below(row))
        while len(lanes) < len(label_lines):
            lanes.append(text.between(row))
        label_lines += [""] * (len(lanes) - len(label_lines))
        for lane, line in zip(lanes, label_lines, strict=True):
            yield f"{lane} {line}".rstrip()
    if graph.states:
        legend = (f"{mark} {status}" for status, mark in text.marks.items())
        yield ""
        yield "   ".join(legend)


def _can_show(encoding: str) -> bool:
    try:
        "".join((_LINES, *_MARKS.values())).encode(encoding)
    except (LookupError, UnicodeEncodeError):
        return False
    return True


class _Text:
    """What is left of the names, row by row; two characters a column."""

    def __init__(self, graph: Graph, *, ascii_only: bool) -> None:
        self.marks = _ASCII_MARKS if ascii_only else _MARKS
        self._lines = " ||||+++|+++-+++" if ascii_only else _LINES
        self._graph = graph
        self._rows = {state.key: row for row, state in enumerate(graph.states)}
        self._ends: defaultdict[tuple[MigrationKey, int], int] = defaultdict(int)
        """The last row of what goes down from a migration in a column."""
        self._into: defaultdict[MigrationKey, set[int]] = defaultdict(set)
        self._out_of: defaultdict[MigrationKey, set[int]] = defaultdict(set)
        for edge in graph.edges:
            line = edge.parent, edge.column
            self._ends[line] = max(self._ends[line], self._rows[edge.child])
            self._into[edge.child].add(edge.column)
            self._out_of[edge.parent].add(edge.column)

    def row(self, row: int) -> str:
        """Draw a migration and what turns to it."""
        state = self._graph.states[row]
        passing = self._passing(row, row)
        into = self._into[state.key]
        at = self._graph.columns[state.key]
        return self._draw(passing, into, into & passing, at, self.marks[state.status])

    def turns_off(self, row: int) -> bool:
        """Ask whether what depends on a migration goes down in another column."""
        key = self._graph.states[row].key
        return bool(self._out_of[key] - {self._graph.columns[key]})

    def row_below(self, row: int) -> str:
        """Draw how what goes down from a migration turns into its columns."""
        key = self._graph.states[row].key
        at = self._graph.columns[key]
        return self._draw(self._passing(row, row), {at}, self._out_of[key], at)

    def between(self, row: int) -> str:
        """Draw what goes down from a row to the next."""
        passing = self._passing(row, row + 1)
        return self._draw(passing, set(), set())

    def _passing(self, row: int, until: int) -> set[int]:
        """Return the columns of the lines that begin above ``until`` and go on."""
        return {
            column
            for (key, column), end in self._ends.items()
            if self._rows[key] < until and end > row
        }

    def _draw(
        self,
        passing: set[int],
        up: set[int],
        down: set[int],
        at: int | None = None,
        mark: str = "",
    ) -> str:
        """Draw a row in which columns are joined, those that go up and those down.

        ``passing`` are those that go through it, joined or not; ``mark`` is drawn in
        column ``at``, which is joined with the others.
        """
        joined = up | down | ({at} if at is not None else set())
        first, last = min(joined, default=0), max(joined, default=0)
        text = ""
        for column in range(len(self._graph.lanes)):
            left, right = first < column <= last, first <= column < last
            if column == at and mark:
                text += mark
            elif column in joined:
                bits = (column in up) + 2 * (column in down) + 4 * left + 8 * right
                text += self._lines[bits]
            elif column in passing:
                text += self._lines[3]
            else:
                text += self._lines[12 if left and right else 0]
            text += self._lines[12 if right else 0]
        return text


# --- Shapes -----------------------------------------------------------------------

_PITCH = 26  # pixels between two rows, and between two lanes
_HEAD = 92  # pixels for the names of the lanes
_MARGIN = 20
_CURVE = 9
_LETTER = 7.3  # pixels, of the longest text at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A migration as it is drawn: its mark at ``x``, its text from ``text_x``.

    ``top`` is where its row begins and ``y`` the middle of it.
    """

    state: MigrationState
    x: int
    y: int
    text_x: int
    top: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A dependency as it is drawn; ``path`` is the ``d`` of an SVG path."""

    parent: MigrationKey
    child: MigrationKey
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """All that is drawn, in pixels."""

    width: int
    height: int
    pitch: int
    head: int
    lanes: tuple[tuple[int, str], ...]
    """The ``x`` of each app and its name."""
    shapes: tuple[Shape, ...]
    lines: tuple[Line, ...]


def draw_graph(graph: Graph) -> Picture:
    """Return the graph as shapes with their places."""
    xs = [_MARGIN + _PITCH * number for number in range(len(graph.lanes))]
    text_x = _MARGIN + _PITCH * len(graph.lanes)
    ys = {
        state.key: _HEAD + _PITCH * row + _PITCH // 2
        for row, state in enumerate(graph.states)
    }
    shapes = tuple(
        Shape(
            state=state,
            x=xs[graph.columns[state.key]],
            y=ys[state.key],
            text_x=text_x,
            top=ys[state.key] - _PITCH // 2,
        )
        for state in graph.states
    )
    longest = max((len(_label(state)) for state in graph.states), default=0)
    named = dict.fromkeys(graph.lanes)  # an app's first lane, not those of its branches
    return Picture(
        width=text_x + round(longest * _LETTER) + _MARGIN,
        height=_HEAD + _PITCH * len(graph.states) + _MARGIN // 2,
        pitch=_PITCH,
        head=_HEAD,
        lanes=tuple((xs[graph.lanes.index(app)], app) for app in named),
        shapes=shapes,
        lines=tuple(
            Line(
                parent=edge.parent,
                child=edge.child,
                path=_path(
                    xs[graph.columns[edge.parent]],
                    ys[edge.parent],
                    xs[edge.column],
                    xs[graph.columns[edge.child]],
                    ys[edge.child],
                ),
            )
            for edge in graph.edges
        ),
    )


def _label(state: MigrationState) -> str:
    return "  ".join((".".join(state.key), *state.notes()))


def _path(from_x: int, from_y: int, x: int, to_x: int, to_y: int) -> str:
    """Return a path that leaves a mark, goes down at ``x`` and turns to a mark."""
    parts = [f"M{from_x} {from_y}"]
    if x != from_x:
        side = _CURVE if x > from_x else -_CURVE
        turn = from_y + _PITCH // 2
        parts.append(f"V{turn - _CURVE}Q{from_x} {turn} {from_x + side} {turn}")
        parts.append(f"H{x - side}Q{x} {turn} {x} {turn + _CURVE}")
    if x != to_x:
        side = _CURVE if to_x > x else -_CURVE
        parts.append(f"V{to_y - _CURVE}Q{x} {to_y} {x + side} {to_y}H{to_x}")
    else:
        parts.append(f"V{to_y}")
    return "".join(parts)
