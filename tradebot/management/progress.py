"""How far a command has come: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

LINE_EVERY_S = 5.0


class Progress:
    """Work of ``total`` steps, told on a stream such as the ``stderr`` of a command.

    ``things`` are what is counted besides.
    """

    def __init__(
        self, stream: Any, title: str, total: int, things: str = "candles"
    ) -> None:
        self._stream = stream
        self._title = title
        self._total = max(total, 1)
        self._things = things
        self._began = self._told = time.monotonic()
        self._bar: Bar | None = _bar(stream) if stream.isatty() else None

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
            self._bar.add_task(self._title, total=self._total, note="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()

    def update(self, done: int, things: int, total: int | None = None) -> None:
        """Say that so many steps are done, and how many things that were.

        ``total`` is how many steps there are, where that is known only now.
        """
        self._total = max(total or self._total, 1)
        now = time.monotonic()
        rate = things / max(now - self._began, 0.001)
        note = f"{things:,} {self._things}, {rate:,.0f}/s"
        if self._bar:
            self._bar.update(
                self._bar.task_ids[0], completed=done, total=self._total, note=note
            )
        elif now - self._told >= LINE_EVERY_S:
            self._told = now
            left = (now - self._began) * (self._total - done) / max(done, 1)
            self._stream.write(
                f"{self._title}: {done / self._total:.0%}, {note}, {left:,.0f} s left"
            )
            self._stream.flush()


def _bar(stream: Any) -> Bar:
    # Slow to import, and needed on a terminal only.
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    return Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[note]}", markup=False),
        TimeRemainingColumn(),
        console=Console(file=stream, force_terminal=True),
    )
