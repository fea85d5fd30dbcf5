"""Answers as lines of a file, one for each record: JSON lines, CSV, TSV or plain text."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator
from typing import IO, Any

from .errors import Failure
from .records import TEXT_FORMATS, Record

_ESCAPES = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r"})
_COLUMNS = ("line", "answer", "score", "error")


def format_of(path: str) -> str:
    """Return the format of an output by its name; JSON lines if it says none."""
    suffix = os.path.splitext(path.lower())[1].removeprefix(".")
    return {"txt": "text"}.get(suffix, suffix if suffix in TEXT_FORMATS else "jsonl")


def header_of(form: str) -> str:
    """Return the first line of a file in a format; "" if it has none."""
    return {"csv": _csv_row(_COLUMNS), "tsv": _tsv_row(_COLUMNS)}.get(form, "")


def line_of(form: str, record: Record, answer: object) -> str:
    """Return the line of a record, with its newline.

    Args:
        form: one of `TEXT_FORMATS`.
        record: the record.
        answer: its answer, or an exception.
    """
    error = answer if isinstance(answer, Exception) else None
    reason = " ".join(str(error).split()) if error else ""
    if form == "text":
        return ("" if error else _in_one_line(answer)) + "\n"
    from ..tasks.answers import to_json

    if form == "jsonl":
        values: dict[str, Any] = {"line": record.line}
        if record.id is not None:
            values["id"] = record.id
        values |= {"error": reason} if error else {"answer": to_json(answer)}
        return json.dumps(values, ensure_ascii=False) + "\n"
    plain = None if error else to_json(answer)
    score = plain.get("score") if isinstance(plain, dict) else None
    cells = ["" if error else _cell(plain), "" if score is None else str(score), reason]
    return (_csv_row if form == "csv" else _tsv_row)((str(record.line), *cells))


def _in_one_line(answer: Any) -> str:
    """Return an answer for people: a label, a text, or what the parts of a list print."""
    from ..display.texts import escape_control_characters

    label = getattr(answer, "label", None)
    if hasattr(answer, "brackets"):
        text = answer.brackets
    elif hasattr(answer, "scores") and label is not None:
        text = ", ".join(label) if isinstance(label, tuple) else str(label)
    elif isinstance(answer, (list, tuple)):
        text = "; ".join(map(str, answer))
    elif hasattr(answer, "tolist"):
        text = " ".join(map(str, answer.tolist()))
    else:
        text = str(answer)
    return escape_control_characters(text).replace("\n", "\\n")


def _cell(plain: Any) -> str:
    """Return an answer's main value if it has one, else all of it as JSON."""
    if isinstance(plain, dict):
        names = [name for name in ("label", "is_novel", "text") if plain.get(name) is not None]
        plain = plain[names[0]] if names else plain
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _csv_row(cells: tuple[str, ...]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()


def _tsv_row(cells: tuple[str, ...]) -> str:
    escaped = (
        cell.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r") for cell in cells
    )
    return "\t".join(escaped) + "\n"


def open_output(path: str, form: str, resume: bool, overwrite: bool) -> tuple[IO[bytes], int, int]:
    """Open an output to write behind what is complete in it.

    Args:
        path: the file.
        form: one of `TEXT_FORMATS`.
        resume: keep the complete lines; a half-written last one is cut off.
        overwrite: start anew.

    Returns:
        The open file, how many records are complete in it, and the number of the line of the last
        (0 if it is not known).

    Raises:
        Failure: there is something in the file, and neither option is given; or it is no output in
            this format.
    """
    exists = os.path.exists(path) and os.path.getsize(path) > 0
    if exists and not (resume or overwrite):
        raise Failure(
            f"{path} exists: --resume goes on where it ends, --overwrite starts anew, "
            "--output names another file."
        )
    head = header_of(form).encode()
    kept, count, last = 0, 0, b""
    if exists and resume:
        with open(path, "rb") as old:
            for end, row in _complete_rows(old, form):
                kept, count, last = end, count + 1, row
                if head and count == 1 and row != head:
                    raise Failure(f"{path} does not begin like an answer file; name another file.")
        count -= bool(head and count)
    line = _line_number(path, form, last) if count else 0
    file = open(path, "r+b" if kept else "wb")  # noqa: SIM115 - the caller closes it
    file.truncate(kept)
    file.seek(kept)
    if not kept:
        file.write(head)
    return file, count, line


def _complete_rows(file: IO[bytes], form: str) -> Iterator[tuple[int, bytes]]:
    """Yield (place behind it, its bytes) of each row that ends with a newline.

    A row of CSV that has an odd number of quotation marks so far goes on in the next line.
    """
    end, row = 0, b""
    for line in file:
        end, row = end + len(line), row + line
        if line.endswith(b"\n") and not (form == "csv" and row.count(b'"') % 2):
            yield end, row
            row = b""


def _line_number(path: str, form: str, row: bytes) -> int:
    """Return the number of the record that a line of an output is about; 0 if it does not say."""
    read: dict[str, Callable[[str], Any]] = {
        "jsonl": lambda text: json.loads(text)["line"],
        "csv": lambda text: text.split(",")[0],
        "tsv": lambda text: text.split("\t")[0],
        "text": lambda text: 0,
    }
    try:
        return int(read[form](row.decode()))
    except (ValueError, KeyError, TypeError):
        raise Failure(f"{path}: its last line is not an answer; name another file.") from None
