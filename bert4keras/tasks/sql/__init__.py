"""Questions to a table, as SQL."""

from __future__ import annotations

from .execution import Database, execute
from .labels import UnsupportedQuery
from .metrics import same_result, sql_accuracy
from .nl2sql import NL2SQL
from .query import AGGREGATES, CONNECTIVES, OPERATORS, SQL, Condition, Table
from .readers import TableQuestion, TableSample, read_table_questions
from .task import SQLAnswer, TableQA

__all__ = [
    "AGGREGATES",
    "CONNECTIVES",
    "NL2SQL",
    "OPERATORS",
    "SQL",
    "Condition",
    "Database",
    "SQLAnswer",
    "Table",
    "TableQA",
    "TableQuestion",
    "TableSample",
    "UnsupportedQuery",
    "execute",
    "read_table_questions",
    "same_result",
    "sql_accuracy",
]
