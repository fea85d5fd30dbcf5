"""All rows of a labelled file that its reader refuses, and the samples of the others.

A reader ends at the first bad row. So the file is read again without it, from a copy, until nothing
is refused: each error is the reader's own, with the number of the line in the file.
"""

from __future__ import annotations

import csv
import dataclasses
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .data import Kind, Reading

if TYPE_CHECKING:
    from ..data import DataFileError

MAX_BAD_ROWS = 20  # bad rows of a file that are listed
_COMPRESSED = (".gz", ".xz")


def read_good_rows(
    kind: Kind, path: Path, how: Reading, most: int = MAX_BAD_ROWS
) -> tuple[list[Any], list[DataFileError]]:
    """Read a file without its bad rows.

    Args:
        kind, path, how: as for `kind.read`.
        most: number of bad rows at which it ends.

    Returns:
        The samples of the other rows, and the error of each bad one. The samples are none if there
        are more bad rows, or the file cannot be read at all.
    """
    from ..data import DataFileError, read_text

    try:
        return kind.read(path, how), []
    except DataFileError as error:
        errors = [error]
    if errors[0].line is None or kind.name == "table-qa":  # its tables lie beside the file
        return [], errors
    try:
        lines = read_text(path, how.encoding).split("\n")
    except DataFileError:
        return [], errors
    first = next((number for number, line in enumerate(lines, 1) if line.strip()), 1)
    with tempfile.TemporaryDirectory() as directory:
        name = path.name.removesuffix(path.suffix) if path.suffix in _COMPRESSED else path.name
        copy, how = Path(directory) / name, dataclasses.replace(how, encoding=None)
        while len(errors) <= most:
            number = errors[-1].line
            # Without its header, a table would be read in another way.
            if number is None or (number == first and _has_header(lines[first - 1], how)):
                return [], errors
            start, end = _rows_of_sample(kind, copy, lines, number)
            lines[start:end] = [""] * (end - start)
            if not any(map(str.strip, lines)):
                return [], errors
            copy.write_text("\n".join(lines), encoding="utf-8", newline="")
            try:
                return kind.read(copy, how), errors
            except DataFileError as error:
                message = str(error).replace(os.fspath(copy), os.fspath(path))
                errors.append(DataFileError(message))
    return [], errors[:most]


def _has_header(line: str, how: Reading) -> bool:
    from ..data.text_files import is_header

    named = any(isinstance(column, str) for column in how.columns or ())
    return bool(how.header) or named or is_header(line.replace(",", "\t").split("\t"))


def _rows_of_sample(kind: Kind, path: Path, lines: Sequence[str], number: int) -> tuple[int, int]:
    """Return the range of lines, from 0, of the sample that a line, from 1, belongs to."""
    begin = next(line.lstrip()[0] for line in lines if line.strip())
    if path.suffix == ".conllu" or (kind.name == "tagger" and begin not in "{["):
        # A line has one token: the sentence goes from one empty line to the next.
        start = next((i for i in range(number - 1, 0, -1) if not lines[i - 1].strip()), 0)
        end = next((i for i in range(number, len(lines)) if not lines[i].strip()), len(lines))
        return start, end
    if ".csv" in path.suffixes:  # a row may go on over several lines, and counts by its last
        start = 0
        reader = csv.reader(line + "\n" for line in lines)
        for _ in reader:
            if reader.line_num >= number:
                return start, reader.line_num
            start = reader.line_num
    return number - 1, number
