"""Answers to batches of columns, by a task that a process loads once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..tasks import load
from ..tasks.answers import to_json
from ..tasks.isolation import predict_each
from ..tasks.named_samples import named_texts, sample_of
from .threads import allotted_threads, limit_threads

ERROR = "error"
_ON_ERROR = ("skip", "stop")


class Predictor:
    """A task that answers batches of columns: the class for `map_batches` of Ray Data.

        dataset.map_batches(
            Predictor, fn_constructor_args=("names",), fn_constructor_kwargs={"column": "title"},
            batch_size=1024, num_cpus=1, compute=ray.data.ActorPoolStrategy(size=8),
        )

    Each actor loads the task once. A batch keeps its columns and gets the column `output`: answers
    as JSON texts; of a `SentenceEncoder` vectors, float32 (B, D). With `fields` it gets these parts
    of the answers instead, each as a column: numbers and texts as they are, lists and objects as
    JSON texts.

    Args:
        directory: a saved task, or anything else that `tasks.load` takes. Every machine must be
            able to read it.
        column: column of the text; several for pairs, or for questions and their passages, in the
            order in which the task reads them. None: columns with usual names, such as `text`.
        batch_size: rows that the model reads at once. The engine's batches should be several times
            as large: in each of them rows of similar length are read together.
        output: name of the new column.
        fields: names of parts of an answer, such as `("label", "score")`.
        on_error: "skip": a text that cannot be answered gets no answer (None; of a vector NaN), and
            the reason in the column `error`, which is None elsewhere. "stop": it is an error.
        threads: threads of the model. None: as many as the engine allots to the process
            (OMP_NUM_THREADS); outside an engine nothing is set.

    Raises:
        ValueError: an option has none of these values.
    """

    def __init__(
        self,
        directory: str | Path,
        column: str | Sequence[str] | None = "text",
        batch_size: int = 64,
        output: str = "answer",
        fields: Sequence[str] = (),
        on_error: str = "skip",
        threads: int | None = None,
    ):
        if on_error not in _ON_ERROR:
            raise ValueError(f"on_error={on_error!r} must be one of {', '.join(_ON_ERROR)}.")
        if isinstance(fields, str):
            raise ValueError(f"fields={fields!r} must be a list of names.")
        self.columns = (column,) if isinstance(column, str) else tuple(column or ())
        self.batch_size, self.on_error = batch_size, on_error
        self.output, self.fields = output, tuple(fields)
        threads = threads or allotted_threads()
        if threads:
            limit_threads(threads)
        self.task = load(directory, threads=threads)
        nothing: Any = self.task.predict([])  # of no texts: an array if answers are vectors
        vectors = isinstance(nothing, np.ndarray)
        self._no_vector = np.full(nothing.shape[1], np.nan, "float32") if vectors else None

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the new columns."""
        return (self.fields or (self.output,)) + ((ERROR,) if self.on_error == "skip" else ())

    def __call__(self, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Answer the rows of a batch.

        Args:
            batch: columns (B, ...) by name.

        Returns:
            These columns and the new ones.

        Raises:
            ValueError: a column is missing, or has the name of a new one; with on_error="stop" a
                row that cannot be answered.
        """
        if taken := [name for name in self.outputs if name in batch]:
            raise ValueError(
                f"the data has a column {taken[0]!r} already; choose other names by output= or "
                "fields=, or rename it."
            )
        answers: list[Any] = []
        errors: list[str | None] = []
        for number, answer in enumerate(self._answers(batch)):
            try:
                if isinstance(answer, Exception):
                    raise answer
                answers.append(answer if self._no_vector is not None else to_json(answer))
                errors.append(None)
            except (ValueError, TypeError) as error:
                if self.on_error == "stop":
                    raise ValueError(f"row {number} of a batch: {error}") from error
                answers.append(None)
                errors.append(str(error))
        new = {name: self._field(answers, name) for name in self.fields}
        new = new or {self.output: self._as_column(answers)}
        return {
            **batch,
            **new,
            **({ERROR: _object_array(errors)} if self.on_error == "skip" else {}),
        }

    def _answers(self, batch: Mapping[str, np.ndarray]) -> list[Any]:
        """Return an answer, or an error, for each row."""
        names = named_texts({name: name for name in batch}, self.columns, "column=")
        conditions = batch.get("condition", [None] * len(batch[names[0]]))
        made = [
            self._sample(list(map(_python_value, texts)), _python_value(condition))
            for *texts, condition in zip(*(batch[name] for name in names), conditions, strict=True)
        ]
        samples = [one for one in made if not isinstance(one, Exception)]
        found = iter(predict_each(self.task, samples, self.batch_size))
        return [one if isinstance(one, Exception) else next(found) for one in made]

    def _sample(self, texts: list[Any], condition: str | None) -> Any:
        try:
            return sample_of(self.task, texts, {"condition": condition})
        except ValueError as error:
            return error

    def _as_column(self, answers: Sequence[Any]) -> np.ndarray:
        """Return answers as a column: vectors (B, D), or JSON texts; None gives no answer."""
        if self._no_vector is None:
            return _object_array(None if one is None else _json_text(one) for one in answers)
        rows = [self._no_vector if one is None else one for one in answers]
        return np.stack(rows) if rows else self._no_vector[None][:0]

    def _field(self, answers: Sequence[Any], name: str) -> np.ndarray:
        """Return a part of each answer as a column."""
        for answer in answers:
            if answer is not None and (not isinstance(answer, dict) or name not in answer):
                parts = ", ".join(answer) if isinstance(answer, dict) else "no named parts"
                kind = type(self.task).__name__
                raise ValueError(f"fields: the answers of a {kind} have no {name!r}: {parts}.")
        values = [None if answer is None else answer[name] for answer in answers]
        return _object_array(_json_text(x) if isinstance(x, (list, dict)) else x for x in values)


def _python_value(value: Any) -> Any:
    """Return a cell without types of numpy, which engines use for lists and numbers."""
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def _json_text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _object_array(values: Iterable[Any]) -> np.ndarray:
    """Return an array (B,) of Python objects."""
    values = list(values)
    array = np.empty(len(values), object)
    array[:] = values
    return array
