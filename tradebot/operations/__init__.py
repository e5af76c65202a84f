"""Migration operations that Django has not.

On PostgreSQL each is a list of steps (``tradebot.schema.steps``) that hold up nobody
who uses the table and can be taken up again after a crash; on SQLite, which has one
writer at a time and small databases, they are Django's own operations. A migration with
one of more than one step needs ``atomic = False``.
"""

from tradebot.operations.columns import (
    AddFieldIfMissing,
    ConvertToIdentity,
    ConvertToTimestampWithZone,
    FillAndRequire,
)
from tradebot.operations.constraints import (
    AddCheck,
    AddUniqueIndex,
    ConvertToDjangoForeignKey,
)
from tradebot.operations.indexes import (
    BuildIndexConcurrently,
    DropIndexConcurrently,
    ReindexOnSQLite,
)
from tradebot.operations.json_columns import ConvertToJSONB
from tradebot.operations.unique_keys import RelaxUnique

__all__ = [
    "AddCheck",
    "AddFieldIfMissing",
    "AddUniqueIndex",
    "BuildIndexConcurrently",
    "ConvertToDjangoForeignKey",
    "ConvertToIdentity",
    "ConvertToJSONB",
    "ConvertToTimestampWithZone",
    "DropIndexConcurrently",
    "FillAndRequire",
    "ReindexOnSQLite",
    "RelaxUnique",
]
