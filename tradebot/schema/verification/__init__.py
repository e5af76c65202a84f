"""Whether the migrations do what they have to, before they are released.

All is tried in scratch schemas that are rolled back: of PostgreSQL a server is needed
and nothing that is there is touched. What commits between its steps, such as an index
that is built concurrently, is tried in the plain form.
"""

from tradebot.schema.verification.code import Code, installed_code
from tradebot.schema.verification.results import (
    Problem,
    Result,
    as_json,
    format_end,
    format_result,
)
from tradebot.schema.verification.run import CHECKS, Check, verify

__all__ = [
    "CHECKS",
    "Check",
    "Code",
    "Problem",
    "Result",
    "as_json",
    "format_end",
    "format_result",
    "installed_code",
    "verify",
]
