"""Questions to a table, as SQL."""

from __future__ import annotations

from .execution import (
    Database,
    execute,
    execution_guided,
)
from .labels import (
    EncodedQuestion,
    Inexpressible,
    decode_sql,
    encode_question,
    encode_sql,
    partial_labels,
    sql_candidates,
    sure_scores,
)
from .metrics import (
    same_result,
    sql_accuracy,
)
from .nl2sql import (
    NL2SQL,
)
from .numbers import (
    read_number,
)
from .query import (
    AGGREGATES,
    CONNECTIVES,
    OPERATORS,
    SQL,
    Condition,
    Table,
)
from .value_linking import (
    ValueLinker,
    edit_distance,
)

__all__ = [
    "AGGREGATES",
    "CONNECTIVES",
    "NL2SQL",
    "OPERATORS",
    "SQL",
    "Condition",
    "Database",
    "EncodedQuestion",
    "Inexpressible",
    "Table",
    "ValueLinker",
    "decode_sql",
    "edit_distance",
    "encode_question",
    "encode_sql",
    "execute",
    "execution_guided",
    "partial_labels",
    "read_number",
    "same_result",
    "sql_accuracy",
    "sql_candidates",
    "sure_scores",
]
