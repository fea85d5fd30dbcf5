"""Baseline of questions about tables: names of columns and cells that occur in the question.

Command: python scripts/experiments/table_baseline.py TRAIN TEST
"""

from __future__ import annotations

import argparse
import collections
import re
from collections.abc import Callable, Iterator, Sequence

from bert4keras.tasks.sql import SQL, Table, TableSample, read_table_questions, sql_accuracy
from bert4keras.tasks.sql.query import canonical_value


def baseline(train: Sequence[TableSample]) -> Callable[[str, Table], SQL]:
    """Most frequent aggregate and operator, with the names that occur in the question.

    A cell of the table that the question names becomes a condition: the longest cell first, in the
    first of several columns. Without rows, a number or a quoted text becomes a condition on the
    last column named. The selected column is the one whose name shares most words with the
    question; in a tie, the one that training questions select most.
    """
    aggregates = collections.Counter(agg for s in train for agg in s.sql.agg)
    operators = collections.Counter(cond.operator for s in train for cond in s.sql.conds)
    places = collections.Counter(column for s in train for column in s.sql.sel)
    aggregate = aggregates.most_common(1)[0][0]
    operator = operators.most_common(1)[0][0] if operators else "="

    def guess(question: str, table: Table) -> SQL:
        said = canonical_value(question)
        words = set(re.findall(r"\w+", said))

        def named(column: int) -> float:
            title = re.findall(r"\w+", canonical_value(table.header[column]))
            return len(words.intersection(title)) / len(title) if title else 0.0

        conds = [(column, operator, cell) for column, cell in _named_cells(said, table)]
        taken = {column for column, _, _ in conds}
        free = [c for c in range(len(table.header)) if c not in taken] or [0]
        selected = max(free, key=lambda c: (named(c), places[c], -c))
        if not table.rows:
            rest = [c for c in free if c != selected] or [selected]
            column = max(rest, key=lambda c: (named(c), c))
            found = re.findall(r"\"([^\"]+)\"|(\d[\d,.]*\d|\d)", question)[:1]
            conds = [(column, operator, quoted or number) for quoted, number in found]
        return SQL((selected,), (aggregate,), tuple(conds), "and" if len(conds) > 1 else "")

    return guess


def _named_cells(said: str, table: Table) -> Iterator[tuple[int, str]]:
    """Return the columns and cells that a question names, none inside another."""
    cells = {}
    for column in range(len(table.header)):
        for row in table.rows:
            if row[column] is not None and (key := canonical_value(row[column])):
                cells.setdefault(key, (column, str(row[column])))
    for key in sorted(cells, key=lambda key: (-len(key), key)):
        # \b does not work next to a bracket, or between Chinese characters.
        pattern = rf"(?<![a-z0-9]){re.escape(key)}(?![a-z0-9])"
        if re.search(pattern, said):
            said = re.sub(pattern, "\0", said)
            yield cells[key]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train", help="file of bert4keras.tasks.sql.read_table_questions")
    parser.add_argument("test")
    options = parser.parse_args()
    guess, test = baseline(read_table_questions(options.train)), read_table_questions(options.test)
    found = [guess(sample.question, sample.table) for sample in test]
    scores = sql_accuracy(found, [s.sql for s in test], [s.table for s in test])
    print(", ".join(f"{name} {value:.4f}" for name, value in scores.items()))


if __name__ == "__main__":
    main()
