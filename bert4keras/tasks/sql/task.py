"""Questions about a table, answered by a query and its result."""

from __future__ import annotations

import collections
import math
import sqlite3
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np

from ...data import DataGenerator
from ...tokenizers.base import TokenizerBase
from ..base import Encoded, Task, TaskError, register_task
from ..pretrained import open_encoder
from .candidates import scored_candidates
from .execution import Database, execution_guided
from .labels import (
    EncodedQuestion,
    UnsupportedQuery,
    encode_question,
    encode_sql,
    select_labels_only,
)
from .metrics import sql_accuracy
from .nl2sql import NL2SQL
from .query import SQL, Table
from .value_linking import ValueLinker

COLUMNS = "Columns"  # name of the input with the positions of the headers
SCORES = ("connective", "select", "operator", "column")


@dataclass(frozen=True)
class SQLAnswer:
    """The answer of a `TableQA`.

    Attributes:
        sql: the query.
        text: the query as text.
        rows: result of the query; None if the table has no rows, or SQLite refuses the query.
        score: probability of the query: the product of those of its parts
            (`tasks.sql.candidates.scored_candidates`).
    """

    sql: SQL
    text: str
    rows: list[tuple] | None
    score: float

    def __str__(self) -> str:
        rows = "" if self.rows is None else f" -> {self.rows[:5]}" + " ..." * (len(self.rows) > 5)
        return f"{self.text}{rows} ({self.score:.2f})"


@register_task
class TableQA(Task[SQLAnswer]):
    """Convert questions about a table to SQL: one pass over question and headers, four heads.

    A sample is a pair (question, `Table`), its label an `SQL`. If the table has rows, values of
    conditions become cells, and queries that return nothing are skipped.

    Args:
        tokenizer, model, maxlen: of `Task`; the tokenizer must have a start and an end token. The
            model's output are the scores of `NL2SQL` as a dict, and it has a further input
            (C, 2) of name "Columns" for the places of the C headers.
        max_select: largest number of selected columns; None: any number.
        execution_guided: skip queries that return nothing.
        width: number of alternatives to each part of a query among which it chooses.

    Raises:
        TaskError: model or tokenizer do not fit.

    Example:
        >>> task = TableQA.build("bert")
        >>> task.model.compile("adam", task.loss)
        >>> table = Table(("city", "people"), (("Lisbon", 545), ("Porto", 232)))
        >>> task.model.fit(task.batches([(("people of Porto?", table),
        ...                               SQL((1,), ("",), [(0, "=", "Porto")]))]))
        >>> task(("people of Lisbon?", table))
        SQLAnswer(sql=SQL(...), text='SELECT "people" FROM ...', rows=[(545.0,)], score=0.9)
    """

    extra_inputs: ClassVar[Mapping[str, float]] = {COLUMNS: 0}

    def __init__(
        self,
        tokenizer: TokenizerBase,
        model: keras.Model,
        max_select: int | None = None,
        execution_guided: bool = True,
        width: int = 4,
        maxlen: int | None = None,
    ):
        super().__init__(tokenizer, model, maxlen)
        if COLUMNS not in self.encoder.inputs or set(SCORES) - set(
            model.output if isinstance(model.output, dict) else ()
        ):
            raise TaskError(
                f"the model must have an input keras.Input((None, 2), name={COLUMNS!r}) and give a "
                f"dict of {', '.join(SCORES)}: NL2SQL()([vectors, columns])."
            )
        if tokenizer.cls_token_id is None or tokenizer.sep_token_id is None:
            raise TaskError(
                f"a question and the headers need a start and an end token around them, and this "
                f"{type(tokenizer).__name__} lacks one. Take an encoder such as BERT or RoBERTa."
            )
        if self.encoder.mask.is_causal:
            raise TaskError(
                "the encoder reads from left to right only, so a question does not see the headers "
                "behind it. Take an encoder such as BERT or RoBERTa."
            )
        for name, value in (("max_select", max_select), ("width", width)):
            if value is not None and value < 1:
                raise TaskError(f"{name}={value} must be at least 1.")
        self.max_select, self.execution_guided, self.width = max_select, execution_guided, width

    @classmethod
    def build(
        cls,
        checkpoint: Any,
        max_select: int | None = None,
        execution_guided: bool = True,
        maxlen: int | None = None,
        tokenizer: TokenizerBase | None = None,
        units: int = 256,
        dropout: float = 0.1,
        **options: Any,
    ) -> TableQA:
        """Put new heads on a pretrained encoder.

        Args:
            checkpoint: directory, `hf://org/name`, a name that `checkpoints.fetch` knows, or a
                `Backbone`, for which `tokenizer` is given.
            max_select, execution_guided, maxlen: as in the class.
            tokenizer: in place of the checkpoint's own.
            units: of `NL2SQL`.
            dropout: rate before the heads.
            **options: of `build_transformer_model`.
        """
        tokenizer, bert = open_encoder(checkpoint, tokenizer, options)
        columns = keras.Input((None, 2), dtype="int32", name=COLUMNS)
        x = keras.layers.Dropout(dropout, name="SQL-Dropout")(bert.output)
        model = keras.Model([*bert.inputs, columns], NL2SQL(units, name="SQL")([x, columns]))
        return cls(tokenizer, model, max_select, execution_guided, maxlen=maxlen)

    @property
    def loss(self) -> dict[str, Any]:
        """The losses of the four scores, for `model.compile`."""
        return NL2SQL().loss

    def encode(self, sample: tuple[str, Table]) -> Encoded:
        """Encode a question and the headers of its table.

        Warns:
            UserWarning: names of columns are cut, since not all fit into `maxlen` tokens.
        """
        try:
            question, table = sample
            if not isinstance(question, str) or not isinstance(table, Table):
                raise TypeError
        except (TypeError, ValueError):
            raise TaskError(
                f"a sample is a pair (question, Table), not {type(sample).__name__} {sample!r:.60}."
            ) from None
        try:
            one = encode_question(self.tokenizer, question, table.header, self.maxlen)
        except ValueError as error:
            raise TaskError(f"table {table.name!r}: {error}") from None
        self._check_room(question, table, one)
        row = self.encoder.select(one.token_ids, one.segment_ids, **{COLUMNS: one.columns})
        return Encoded(sample, [row], [one.offsets], one)

    def _check_room(self, question: str, table: Table, one: EncodedQuestion) -> None:
        """Raise if the question was cut; warn if headers were."""
        from_question, from_names = one.dropped
        if from_question:
            raise TaskError(
                f"the question {question[:40]!r}... of {from_question + len(one.offsets)} tokens "
                f"does not fit beside the {len(one.columns)} columns of table {table.name!r} into "
                f"maxlen={self.maxlen}. Shorten it, or take a larger maxlen."
            )
        if from_names:
            warnings.warn(
                f"names of columns are cut to fit into maxlen={self.maxlen} tokens.",
                stacklevel=4,
            )

    def batches(
        self,
        samples: Sequence[tuple[tuple[str, Table], SQL]],
        batch_size: int = 32,
        shuffle: bool = False,
        seed: int = 0,
        **options: Any,
    ) -> DataGenerator:
        """Return batches for `model.fit`.

        If the labels cannot express the conditions of a query, because a value is not in the
        question, only its selected columns and connective are trained.

        Args:
            samples: pairs ((question, table), query), such as `TableSample`.
            batch_size, shuffle, seed, **options: of `DataGenerator`.

        Warns:
            UserWarning: how many queries these are, and why.
        """
        self._unsupported: collections.Counter = collections.Counter()
        made = super().batches(samples, batch_size, shuffle, seed, **options)
        if self._unsupported:
            reasons = ", ".join(f"{n} since {reason}" for reason, n in self._unsupported.items())
            warnings.warn(
                f"{self._unsupported.total()} of {len(samples)} queries are trained without their "
                f"conditions: {reasons}.",
                stacklevel=2,
            )
        return made

    def training_windows(self, label: Any, encoded: Encoded) -> Iterable[int]:
        try:
            self.encode_label(label, encoded, supported=True)
        except UnsupportedQuery as error:
            self._unsupported[str(error)] += 1
        return [0]

    def encode_label(
        self, label: SQL, encoded: Encoded, window: int = 0, supported: bool = False
    ) -> dict[str, np.ndarray]:
        """Return labels of the four scores.

        Args:
            label: a query.
            encoded: its question.
            window: 0.
            supported: raise `UnsupportedQuery` instead of leaving conditions out.
        """
        question, table = encoded.sample
        if not isinstance(label, SQL):
            raise TaskError(f"a label is an SQL, not {type(label).__name__} {label!r:.60}.")
        try:
            return encode_sql(label, question, encoded.extra)
        except UnsupportedQuery:
            if supported:
                raise
            return select_labels_only(label, encoded.extra)
        except ValueError as error:
            raise TaskError(f"table {table.name!r}: {error}") from None

    def decode(self, outputs: Sequence[Any], encoded: Encoded) -> SQLAnswer:
        (scores,), (question, table) = outputs, encoded.sample
        guided = self.execution_guided and bool(table.rows)
        log_probabilities: dict[SQL, float] = {}

        def candidates():
            link, width = ValueLinker(table).link, self.width if guided else 1
            named = {name: np.asarray(scores[name], "float64") for name in SCORES}
            for score, sql in scored_candidates(
                named, question, encoded.extra, link, self.max_select, width
            ):
                log_probabilities.setdefault(sql, score)
                yield sql

        if not table.rows:
            sql, rows = next(candidates()), None
        else:
            with Database(table) as database:
                sql, rows = (
                    execution_guided(candidates(), database)
                    if guided
                    else (next(candidates()), None)
                )
                if rows is None:
                    rows = _rows(sql, database)
        score = math.exp(min(0.0, log_probabilities[sql]))
        return SQLAnswer(sql, sql.text(table.header), rows, score)

    def evaluate(
        self, samples: Iterable[tuple[tuple[str, Table], SQL]], batch_size: int = 64
    ) -> dict[str, float]:
        """Return accuracies of logical form, execution and parts; see `tasks.sql.sql_accuracy`.

        Args:
            samples: pairs ((question, table), query), such as `TableSample`.
            batch_size: as in `predict`.
        """
        samples = list(samples)
        if not samples:
            raise TaskError("evaluate() got no samples.")
        answers = self.predict([asked for asked, _ in samples], batch_size)
        labels, tables = [sql for _, sql in samples], [table for (_, table), _ in samples]
        found = sql_accuracy([answer.sql for answer in answers], labels, tables)
        main = [name for name in ("logical_form", "execution") if name in found]
        return {**{name: found[name] for name in main}, **found}

    def metrics(self, answers: Sequence[SQLAnswer], labels: Sequence[SQL]) -> dict[str, float]:
        """Return the accuracy of logical form and of the parts, which needs no table."""
        return sql_accuracy([answer.sql for answer in answers], labels)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "max_select": self.max_select,
            "execution_guided": self.execution_guided,
            "width": self.width,
        }


def _rows(sql: SQL, database: Database) -> list[tuple] | None:
    """Return the rows of a query, or None where SQLite refuses it."""
    try:
        return database.execute(sql)
    except (sqlite3.Error, ValueError):
        return None
