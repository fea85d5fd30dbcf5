"""Questions to a table, as SQL."""

from __future__ import annotations

from .candidates import decode_sql, scored_candidates, sql_candidates
from .execution import Database, execute, execution_guided
from .labels import (
    EncodedQuestion,
    UnsupportedQuery,
    encode_question,
    encode_sql,
    scores_of_labels,
    select_labels_only,
)
from .metrics import same_result, sql_accuracy
from .nl2sql import NL2SQL
from .numbers import read_number
from .query import AGGREGATES, CONNECTIVES, OPERATORS, SQL, Condition, Table
from .readers import TableQuestion, TableSample, read_table_questions
from .task import SQLAnswer, TableQA
from .value_linking import ValueLinker, edit_distance

__all__ = [
    "AGGREGATES",
    "CONNECTIVES",
    "NL2SQL",
    "OPERATORS",
    "SQL",
    "Condition",
    "Database",
    "EncodedQuestion",
    "SQLAnswer",
    "Table",
    "TableQA",
    "TableQuestion",
    "TableSample",
    "UnsupportedQuery",
    "ValueLinker",
    "decode_sql",
    "edit_distance",
    "encode_question",
    "encode_sql",
    "execute",
    "execution_guided",
    "read_number",
    "read_table_questions",
    "same_result",
    "scored_candidates",
    "scores_of_labels",
    "select_labels_only",
    "sql_accuracy",
    "sql_candidates",
]
