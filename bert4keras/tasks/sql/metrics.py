"""Accuracy of predicted queries: as a whole, by their parts, and by what they return.

Source: Zhong et al., Seq2SQL, 2017 (arXiv:1709.00103), for logical form and execution accuracy;
the parts are those of Xu et al., SQLNet, 2017 (arXiv:1711.04436).
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence

from .execution import Database
from .query import SQL, Table, canonical_value


def sql_accuracy(
    predictions: Sequence[SQL],
    references: Sequence[SQL],
    tables: Sequence[Table] | None = None,
) -> dict[str, float]:
    """Return shares of right queries and of right parts.

    Args:
        predictions, references: queries of the same questions.
        tables: one for each; with them, what the queries return is compared too.

    Returns:
        Numbers between 0 and 1:
        `logical_form`: everything is equal (`SQL.logical_form`: neither the order of columns and
        conditions counts nor the case of values);
        `select`: columns and their aggregates; `select_column`; `aggregate`;
        `connective`; `conditions`: the set of conditions; `condition_number`;
        `condition_column`, `condition_operator`, `condition_value`: the multisets of these;
        `execution`, with tables: both return the same rows, in any order. It leaves out the
        questions whose table has no rows, and is absent if none has; a query that SQLite refuses
        counts as wrong.

    Raises:
        ValueError: no predictions, or not as many references or tables.
    """
    if not predictions or len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions for {len(references)} references.")
    if tables is not None and len(tables) != len(references):
        raise ValueError(f"{len(tables)} tables for {len(references)} references.")
    right: Counter = Counter()
    for found, wanted in zip(predictions, references, strict=True):
        ours, theirs = _parts(found), _parts(wanted)
        right.update({name: int(ours[name] == theirs[name]) for name in theirs})
    result = {name: count / len(references) for name, count in right.items()}
    runs = [
        same_result(found, wanted, table)
        for found, wanted, table in zip(predictions, references, tables or (), strict=False)
        if table.rows
    ]
    return {**result, "execution": sum(runs) / len(runs)} if runs else result


def same_result(first: SQL, second: SQL, table: Table) -> bool:
    """Tell whether two queries return the same rows, in any order of rows and columns.

    Columns are compared in the order of the table, so the order of selection does not matter.
    """
    if first.logical_form() == second.logical_form():
        return True
    with Database(table) as database:
        try:
            results = [database.execute(_in_order(sql)) for sql in (first, second)]
        except (sqlite3.Error, ValueError):
            return False
    return Counter(results[0]) == Counter(results[1])


def _in_order(sql: SQL) -> SQL:
    sel, agg = zip(*sorted(sql.selected), strict=True)
    return SQL(sel, agg, sql.conds, sql.conn)


def _parts(sql: SQL) -> dict:
    conn, selected, conds = sql.logical_form()
    return {
        "logical_form": (conn, selected, conds),
        "select": selected,
        "select_column": {column for column, _ in selected},
        "aggregate": Counter(aggregate for _, aggregate in selected),
        "connective": conn,
        "conditions": conds,
        "condition_number": len(conds),
        "condition_column": Counter(column for column, _, _ in conds),
        "condition_operator": Counter(operator for _, operator, _ in conds),
        "condition_value": Counter(canonical_value(value) for _, _, value in conds),
    }
