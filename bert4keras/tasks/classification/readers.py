"""Texts and their labels from tables and JSON lines."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..._folding import fold_spelling
from ...data import DataFileError, read_json_rows, read_table
from ...data.text_files import is_header

PROBLEMS = ("single_label", "multi_label", "regression")
# Usual names of columns and of keys of JSON objects. The first one that is there counts.
TEXT_NAMES: tuple[str, ...] = (
    "text",
    "sentence",
    "content",
    "review",
    "title",
    "query",
    "question",
    "utterance",
)
TEXT_NAMES += ("文本", "句子", "内容", "评论", "标题", "问题")
PAIR_NAMES = (
    ("text_a", "text_b"),
    ("sentence1", "sentence2"),
    ("sentence_a", "sentence_b"),
    ("text1", "text2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("query", "title"),
    ("question", "sentence"),
    ("first", "second"),
)
_LABEL: tuple[str, ...] = (
    "label_desc",
    "label",
    "labels",
    "gold_label",
    "fine_label",
    "score",
    "similarity",
    "category",
    "class",
)
_LABEL += ("sentiment", "intent", "topic", "topics", "标签", "类别", "分类", "情感", "分数")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?")

Label = str | tuple[str, ...] | float


class LabelledText(NamedTuple):
    """A sample of `TextClassifier`.

    Attributes:
        text: a text, or a pair of texts.
        label: a label; a tuple of labels (multi-label); a number (regression).
    """

    text: str | tuple[str, str]
    label: Label


def read_labelled_texts(
    path: str | os.PathLike,
    problem: str = "single_label",
    pair: bool = False,
    columns: Sequence[int | str] | None = None,
    header: bool | None = None,
    encoding: str | None = None,
) -> list[LabelledText]:
    """Read the samples of a classification data set.

    A file whose name has `.json` or `.jsonl` in it holds JSON objects, one a line or in one array;
    `.csv` has commas; in any other file tabs part the columns. All may end in `.gz` or `.xz`.

    Args:
        path: the file.
        problem: kind of label, as in `TextClassifier`: "single_label"; "multi_label" (labels
            separated by commas, perhaps none, or a JSON list); "regression" (a number).
        pair: whether a sample has two texts.
        columns: where the text (or texts) and the label are, the label last: numbers of columns
            from 0, names of the header, or keys of the objects. None: found by their usual names
            (`text`, `sentence1`, `label`, `标签`, ...); without a header the texts come first, the
            label is last, and there is nothing else.
        header: whether the first row of a table is its header; None: if it has usual names.
        encoding: UTF-8 if None; GB18030 for most other Chinese files.

    Returns:
        The samples in the order of the file.

    Raises:
        DataFileError: no such file, no samples, or a row that cannot be read; names the line.
        ValueError: an unknown problem, or another number of columns.
    """
    if problem not in PROBLEMS:
        raise ValueError(f"problem={problem!r} must be one of {', '.join(PROBLEMS)}.")
    if columns is not None and len(columns) != 2 + pair:
        raise ValueError(f"columns={columns!r} must name {1 + pair} text(s) and the label.")
    name = os.path.basename(path).lower()
    if ".json" in name:
        rows = _objects(path, pair, columns, encoding)
    else:
        rows = _cells(path, pair, columns, header, encoding)
    samples = []
    for where, (*texts, label) in rows:
        try:
            texts = [_text(text) for text in texts]
            samples.append(
                LabelledText((texts[0], texts[1]) if pair else texts[0], _label(label, problem))
            )
        except ValueError as error:
            raise DataFileError(f"{where}: {error}") from None
    if not samples:
        raise DataFileError.at(path, None, "it has no rows of text and label")
    _check_spelling(path, samples, problem)
    return samples


def _objects(
    path: str | os.PathLike,
    pair: bool,
    columns: Sequence[int | str] | None,
    encoding: str | None,
) -> list[tuple[str, list[Any]]]:
    """Return the place and values of each JSON object."""
    found = []
    for where, row in read_json_rows(path, encoding):
        keys = columns or _usual_names(row, pair)
        missing = [key for key in keys or () if key not in row]
        if keys is None or missing:
            wanted = repr(missing[0]) if missing else "text and label"
            raise DataFileError(f"{where}: no {wanted} among {sorted(row)}; name them: columns=")
        found.append((where, [row[str(key)] for key in keys]))
    return found


def _cells(
    path: str | os.PathLike,
    pair: bool,
    columns: Sequence[int | str] | None,
    header: bool | None,
    encoding: str | None,
) -> list[tuple[str, list[Any]]]:
    """Return the place and cells of each row of a table."""
    table = read_table(path, encoding)
    names = [cell.strip() for cell in table[0][1]] if table else []
    named = any(isinstance(column, str) for column in columns or ())
    if header is None:
        header = named or is_header(names)
    table = table[1:] if header else table
    places = None
    if named:
        if unknown := [
            column for column in columns or () if column not in [*names, *range(len(names))]
        ]:
            raise DataFileError.at(path, 1, f"no column {unknown[0]!r} in the header {names}")
        places = [names.index(c) if isinstance(c, str) else c for c in columns or ()]
    elif columns is not None:
        places = [column for column in columns if isinstance(column, int)]
    elif header:
        usual = _usual_names(dict.fromkeys(names), pair)
        if usual is None:
            reason = f"which of {names} are text and label? Say so: columns="
            raise DataFileError.at(path, 1, reason)
        places = [names.index(name) for name in usual]
    found = []
    for line, cells in table:
        where = f"{os.fspath(path)}, line {line}"
        if places is None and len(cells) != 2 + pair:
            raise DataFileError(
                f"{where}: expected {1 + pair} text(s) and a label, not {len(cells)} columns: "
                f"{str(cells)[:80]}; say which ones: columns="
            )
        chosen = range(2 + pair) if places is None else places
        if max(chosen) >= len(cells):
            raise DataFileError(f"{where}: no column {max(chosen)} in {str(cells)[:80]}")
        found.append((where, [cells[place].strip() for place in chosen]))
    return found


def _usual_names(row: Mapping[str, Any], pair: bool) -> list[str] | None:
    """Return the keys of text(s) and label by their usual names; None if they are not there."""
    spelt = {re.sub(r"[\W_]+", "_", name.strip().lower()): name for name in row}
    label = next((spelt[name] for name in _LABEL if name in spelt), None)
    if label is None:
        return None
    for names in PAIR_NAMES if pair else [(name,) for name in TEXT_NAMES]:
        if all(name in spelt and spelt[name] != label for name in names):
            return [*(spelt[name] for name in names), label]
    return None


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"expected a text, not {str(value)[:40]!r}")
    return value


def _label(value: Any, problem: str) -> Label:
    if problem == "multi_label":
        parts = re.split("[,，]", value) if isinstance(value, str) else value
        if not isinstance(parts, list):
            raise ValueError(f"expected a list of labels, not {str(value)[:40]!r}")
        # A text may have no label; a label that is named twice counts once.
        return tuple(dict.fromkeys(_name(part) for part in parts if str(part).strip()))
    if problem == "regression":
        number = not isinstance(value, (str, bool)) and isinstance(value, (int, float))
        if not number and not (isinstance(value, str) and _NUMBER.fullmatch(value)):
            raise ValueError(f"expected a number, not {str(value)[:40]!r}")
        return float(value)
    return _name(value)


def _name(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)) or not str(value).strip():
        raise ValueError(f"expected a label, not {str(value)[:40]!r}")
    return str(value).strip()


def _check_spelling(path: str | os.PathLike, samples: Sequence[LabelledText], problem: str) -> None:
    """Refuse labels of lists that differ in case or blanks only: one is misspelt."""
    seen: dict[str, str] = {}
    lists = [sample.label for sample in samples if isinstance(sample.label, tuple)]
    for labels in lists if problem == "multi_label" else ():
        for label in labels:
            known = seen.setdefault(fold_spelling(label), label)
            if known != label:
                reason = f"the label {label!r} is also written {known!r}; use one of them"
                raise DataFileError.at(path, None, reason)
