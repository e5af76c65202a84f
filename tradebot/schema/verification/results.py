"""What a check finds, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tradebot.schema.verification.code import BrokenError

Status = Literal["ok", "failed", "left out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that is wrong, and how to repair it."""

    message: str
    repair: str

    @classmethod
    def of(cls, error: BrokenError) -> Problem:
        """Return what an error says."""
        return cls(message=str(error), repair=error.repair)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The outcome of a check."""

    name: str
    proves: str
    problems: tuple[Problem, ...] = ()
    left_out: str = ""
    """Why it was not made; empty where it was."""
    seconds: float

    @property
    def status(self) -> Status:
        if self.left_out:
            return "left out"
        return "failed" if self.problems else "ok"

    def as_json(self) -> dict[str, Any]:
        return {"status": self.status, **asdict(self)}


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """Return all results for programs."""
    return {
        "ok": not any(each.problems for each in results),
        "seconds": sum(each.seconds for each in results),
        "checks": [each.as_json() for each in results],
    }


def format_result(result: Result) -> Iterator[str]:
    """Yield the lines of a result."""
    yield (
        f"{result.status:9} {result.name:11} {result.seconds:5.1f} s  "
        f"{result.left_out or result.proves}"
    )
    for each in result.problems:
        yield f"    {each.message}"
        yield f"        repair  {each.repair}"


def format_end(results: Sequence[Result]) -> str:
    """Return the last line of a report."""
    failed = [each.name for each in results if each.problems]
    left_out = [each.name for each in results if each.left_out]
    seconds = f"{sum(each.seconds for each in results):.1f} s"
    not_made = f" Left out: {', '.join(left_out)}." if left_out else ""
    if failed:
        return f"Failed: {', '.join(failed)}, in {seconds}.{not_made}"
    made = len(results) - len(left_out)
    return f"All {made} checks that were made are passed, in {seconds}.{not_made}"
