"""Samples for a task out of named values: a row of a table, an object of JSON.

texts = named_texts({"question": "Who?", "passage": "It was me."})
task(sample_of(task, texts))
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .base import Task
from .classification.readers import PAIR_NAMES, TEXT_NAMES
from .generation import Prompt
from .reading import Question
from .sql import Table, TableQuestion

_PAIRS = (
    ("text", "text_pair"),
    ("question", "passages"),
    ("question", "passage"),
    ("question", "context"),
    ("question", "table"),
    ("query", "texts"),
    ("query", "text"),
)


def named_texts(
    value: Mapping[Any, Any], columns: Sequence[int | str] = (), option: str = "columns"
) -> list[Any]:
    """Return the values of a row that are the texts of a sample.

    Args:
        value: values by name, such as `{"text": ...}`, `{"text": ..., "text_pair": ...}`,
            `{"question": ..., "passage": ...}` or `{"query": ..., "texts": [...]}`.
        columns: names of the texts; empty: those names and others in use.
        option: name of the option that gives `columns`, for messages.

    Raises:
        ValueError: a column is missing, or none has a usual name.
    """
    if columns:
        missing = [column for column in columns if column not in value]
        if missing:
            raise ValueError(f"there is no {missing[0]!r} among {_listed(value)}")
        return [value[column] for column in columns]
    spelt = {re.sub(r"[\W_]+", "_", str(name).strip().lower()): name for name in value}
    for names in (*_PAIRS, *PAIR_NAMES, *((name,) for name in (*TEXT_NAMES, "prompt", "source"))):
        if all(name in spelt for name in names):
            return [value[spelt[name]] for name in names]
    numbers = [name for name in value if isinstance(name, int)]
    if numbers and len(numbers) <= 2:
        return [value[name] for name in numbers]
    raise ValueError(f"which of {_listed(value)} is the text? Say so: {option}")


def sample_of(task: Task, texts: Sequence[Any], value: Mapping[Any, Any] | None = None) -> Any:
    """Make a sample, as `task.predict` takes it, out of its texts.

    Args:
        task: the task.
        texts: one or more texts, in the order in which the task reads them; the last may be a list
            of passages or of documents, or a table `{"header": [...], "rows": [...]}`.
        value: all values by name, of which a `Generator` takes "condition".

    Raises:
        ValueError: a text is empty or none, or there are not as many as the task needs.
    """
    for one in texts:
        for text in one if isinstance(one, list) else [one]:
            _check_text(text)
    return _SAMPLES.get(type(task).__name__, _plain_sample)(texts, value or {})


def _listed(value: Mapping[Any, Any]) -> str:
    return ", ".join(map(str, [name for name in value if isinstance(name, str)] or value)) or "{}"


def _check_text(text: Any) -> None:
    if isinstance(text, str):
        if not text.strip():
            raise ValueError("the text is empty")
    elif not isinstance(text, Mapping):
        raise ValueError(f"expected a text, not {str(text)[:60]!r}")


def _plain_sample(texts: Sequence[Any], value: Mapping[Any, Any]) -> Any:
    return texts[0] if len(texts) == 1 else tuple(texts)


def _two(texts: Sequence[Any], what: str) -> Sequence[Any]:
    if len(texts) != 2:
        raise ValueError(f"this task needs {what}: two columns of a table, or a JSON object")
    return texts


def _question(texts: Sequence[Any], value: Mapping[Any, Any]) -> Question:
    text, passages = _two(texts, "a question and its passage")
    return Question(text, tuple(passages) if isinstance(passages, list) else (passages,))


def _table_question(texts: Sequence[Any], value: Mapping[Any, Any]) -> TableQuestion:
    text, table = _two(texts, 'a question and a table {"header": [...], "rows": [...]}')
    if not isinstance(table, Mapping) or "header" not in table:
        raise ValueError('expected a table {"header": [...], "rows": [...]}')
    return TableQuestion(text, Table(table["header"], table.get("rows", ())))


def _query_with_texts(texts: Sequence[Any], value: Mapping[Any, Any]) -> tuple[Any, Any]:
    query, documents = _two(texts, "a query and a text, or a list of texts")
    return query, documents


def _prompt(texts: Sequence[Any], value: Mapping[Any, Any]) -> Prompt:
    return Prompt(texts[0], texts[1] if len(texts) > 1 else None, value.get("condition"))


_SAMPLES: dict[str, Callable[[Sequence[Any], Mapping[Any, Any]], Any]] = {
    "ExtractiveQA": _question,
    "TableQA": _table_question,
    "Reranker": _query_with_texts,
    "Generator": _prompt,
}
