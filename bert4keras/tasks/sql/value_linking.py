"""From what a question says to the cell of the table that it means."""

from __future__ import annotations

from collections.abc import Sequence

from .numbers import number_text, plain_number, read_number
from .query import Condition, Table, canonical_value, is_empty

_LONGEST = 256  # characters of a value or a cell that is corrected; longer ones must be equal


def edit_distance(first: str, second: str, limit: int | None = None) -> int:
    """Return Levenshtein's distance: insertions, deletions and replacements of one character.

    Args:
        limit: largest distance of interest; any larger one is returned as `limit + 1`.
    """
    limit = max(len(first), len(second)) if limit is None else limit
    if abs(len(first) - len(second)) > limit:
        return limit + 1
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(second, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
        if min(row) > limit:
            return limit + 1
    return min(row[-1], limit + 1)


class ValueLinker:
    """Corrects conditions by the cells of a table.

    With `=` and `!=`, the value becomes a cell: one that says the same, of the preferred column
    before the others; else the closest cell by edit distance, where ties go to the preferred
    column, then to the first column, then to the first row. With `>` and `<` the value must be
    a number and the column one of numbers; a comparison with anything else becomes `=`.

    Args:
        table: without rows, a condition only gets the operator that suits its value.
        max_distance: how far a cell may be from the value, as a share of the longer one's
            length; a value without so near a cell stays unchanged. With 1 there is
            always a cell, of up to 256 characters.

    Example:
        >>> table = Table(("city", "population"), (("Lisbon", 545), ("Porto", 232)))
        >>> ValueLinker(table).link("lisbonn", "=", [0, 1])
        Condition(column=0, operator='=', value='Lisbon')
    """

    def __init__(self, table: Table, max_distance: float = 0.5):
        self.table, self.max_distance = table, max_distance
        # Of each column what it says -> how it is written, both of the first row that says so.
        self._cells: list[dict[str, str]] = [{} for _ in table.header]
        for row in table.rows:
            for cells, cell in zip(self._cells, row, strict=True):
                if not is_empty(cell):
                    for key in self._keys(cell):
                        cells.setdefault(key, str(cell))

    def link(self, value: str, operator: str, columns: Sequence[int]) -> Condition:
        """Return the condition that was meant.

        Args:
            value: as the question has it.
            operator: one of `OPERATORS`.
            columns: indices of columns, the most likely first.
        """
        number = read_number(value)
        if operator in "><":
            if number is not None:
                real = [c for c in columns if self.table.types[c] == "real"]
                known = bool(self.table.rows) and bool(real)
                return Condition(real[0] if known else columns[0], operator, number_text(number))
            operator = "="
        if not self.table.rows:
            return Condition(columns[0], operator, value)
        keys = self._keys(value)
        for column in columns:
            for key in keys:
                if key in self._cells[column]:
                    return Condition(column, operator, self._cells[column][key])
        column, cell = self._closest(keys[0], columns) or (columns[0], value)
        return Condition(column, operator, cell)

    @staticmethod
    def _keys(value) -> list[str]:
        """Return the text of a value or cell, and its number if it has a currency or %."""
        number = read_number(value)
        return [canonical_value(value)] + ([] if number is None else [canonical_value(number)])

    def _closest(self, key: str, columns: Sequence[int]) -> tuple[int, str] | None:
        """Return column and cell, if one is near enough."""
        preferred, number = columns[0], plain_number(key) is not None
        if len(key) > _LONGEST:
            return None
        best: tuple[int, str] | None = None
        least = float("inf")
        for column in [preferred, *(c for c in sorted(columns) if c != preferred)]:
            for cell, written in self._cells[column].items():
                allowed = min(self.max_distance * max(len(cell), len(key)), least - 1)
                # Another number is never meant, however near.
                other = number and plain_number(cell) is not None
                if allowed < 0 or len(cell) > _LONGEST or other:
                    continue
                distance = edit_distance(key, cell, int(min(allowed, 10**6)))
                if distance <= allowed:
                    best, least = (column, written), distance
        return best
