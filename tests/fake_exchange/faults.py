"""What may go wrong between a client and the exchange."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    REJECT = "reject"  # not taken, by ``code``, ``message`` and ``status`` (400)
    HANG_BEFORE = "hang before"  # no answer for ``wait_s``, not taken
    HANG_AFTER = "hang after"  # taken, no answer
    HELD_UP = "held up"  # comes to the exchange ``wait_s`` later than it was sent
    ERROR_BEFORE = "error before"  # ``status`` without being taken
    ERROR_AFTER = "error after"  # taken, and ``status``
    RESET_BEFORE = "reset before"  # the connection
    RESET_AFTER = "reset after"
    MALFORMED = "malformed"  # taken; the JSON of the answer ends half-way
    REPEAT = "repeat"  # an order comes twice; rows of an answer are there twice
    LAG = "lag"  # taken; queries know the order ``wait_s`` later


@dataclass
class Fault:
    """One fault of one endpoint such as ``POST /api/v3/order``.

    ``call`` is the first of its requests from now on that is concerned, ``times`` how
    many are.
    """

    endpoint: str
    kind: Kind
    call: int = 1
    times: int = 1
    status: int = 503
    code: int | None = None
    message: str = "Unknown error, please check your request or try again later."
    retry_after_s: int | None = None
    wait_s: float = 5
    calls: int = 0

    def __post_init__(self) -> None:
        if self.kind is Kind.REJECT and self.status == 503:
            self.status = 400


class Faults:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def of(self, endpoint: str) -> Fault | None:
        """Count a request; return what goes wrong with it."""
        found = None
        with self._lock:
            for fault in self._faults:
                if fault.endpoint in {endpoint, "*"}:
                    fault.calls += 1
                    if 0 <= fault.calls - fault.call < fault.times:
                        found = found or fault
        return found
