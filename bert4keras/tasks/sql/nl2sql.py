"""NL2SQL: four heads on one pass over question and header give the parts of a query."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
from keras import ops

from ..._labels import check_label_range
from ..._scores import lowest
from ..._serialization import serializable
from ...layers.masking import EndsMask, without_mask
from ...losses.zlpr import multilabel_categorical_crossentropy
from .candidates import sql_candidates
from .execution import Database, execution_guided
from .labels import TAGS, EncodedQuestion
from .query import AGGREGATES, CONNECTIVES, SQL, Table
from .value_linking import ValueLinker

_NO_COLUMN = lowest("float16")  # score of a column that does not exist, the same in every dtype


@serializable
class NL2SQL(EndsMask, keras.layers.Layer):
    """Heads for all parts of a query, on `[CLS] question [SEP] [CLS] header [SEP] ...`.

    With x the vectors of the tokens and h those of the headers, the mean from [CLS] to the last
    token of the name:

    - connective (B, 3) = x_0 W1, softmax: nothing, "and", "or";
    - select (B, C, 6) = h W2, ZLPR over all pairs of column and aggregate: above 0 is selected;
    - operator (B, T, 9) = x W3, softmax: outside, or the beginning or inside of a value with one
      of the operators >, <, =, != (`tasks.sql.labels`);
    - column (B, T, C) = v tanh(x U + h V), softmax over the columns: the column of the condition
      that the value is part of (additive attention).

    Args:
        units: size of the additive attention.
        kernel_initializer: initializer of all W, U, V and v.

    Call arguments:
        inputs: pair `[x, columns]`: x (B, T, D) and columns (B, C, 2), int, the positions of
            each header's [CLS] and [SEP]; zeros for padding.

    Returns:
        A dict of the four scores. To train: `model.compile(optimizer, loss=head.loss)` on a model
        whose output is this dict, with labels of `tasks.sql.labels.encode_sql`.

    Source: Su, https://kexue.fm/archives/6771, changed as in `tasks.sql.labels`. There h is
    only the vector of [CLS], which takes far longer to learn the meaning of the name.
    """

    def __init__(self, units: int = 256, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        if units < 1:
            raise ValueError(f"units={units} must be at least 1.")
        self.units = units
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.connective = self._dense(len(CONNECTIVES), "connective")
        self.select = self._dense(len(AGGREGATES), "select")
        self.operator = self._dense(TAGS, "operator")
        self.token = self._dense(units, "token")
        self.header = self._dense(units, "header", use_bias=False)
        self.attention = self._dense(1, "attention", use_bias=False)

    def _dense(self, size: int, name: str, **options) -> keras.layers.Dense:
        # A copy each: one initializer with a seed would give all layers the same weights.
        config = keras.initializers.serialize(self.kernel_initializer)
        kernel = keras.initializers.deserialize(config)
        options |= {"kernel_initializer": kernel, "dtype": self.dtype_policy, "name": name}
        return keras.layers.Dense(size, **options)

    def build(self, input_shape):
        size = input_shape[0][-1]
        for dense in (self.connective, self.select, self.operator, self.token, self.header):
            dense.build((None, size))
        self.attention.build((None, self.units))

    def call(self, inputs):
        x, columns = inputs
        columns = ops.cast(columns, "int32")
        exists = ops.greater(columns[..., 1], 0)
        headers = self.means(x, columns)
        mixed = ops.tanh(self.token(x)[:, :, None] + self.header(headers)[:, None])
        select, column = self.select(headers), self.attention(mixed)[..., 0]
        nothing = ops.cast(_NO_COLUMN, select.dtype)
        return {
            "connective": self.connective(x[:, 0]),
            "select": ops.where(exists[:, :, None], select, nothing),
            "operator": without_mask(self.operator(x)),
            "column": ops.where(exists[:, None], column, nothing),
        }

    @staticmethod
    def means(x, columns):
        """Return means over ranges [start, end): x (B, T, D), columns (B, C, 2) to (B, C, D)."""
        places = ops.arange(ops.shape(x)[1], dtype="int32")
        start, end = columns[..., :1], columns[..., 1:]
        inside = ops.logical_and(places >= start, places < end)
        count = ops.cast(ops.maximum(end - start, 1), x.dtype)
        return ops.matmul(ops.cast(inside, x.dtype), x) / count

    @property
    def loss(self) -> dict[str, Callable]:
        """The loss of each output, (B,) of (labels, scores); labels below 0 do not count.

        Cross-entropies, of tokens the mean over those with a label, and ZLPR of `select`. Their
        sum is what Keras minimises, or with `compile(loss_weights=...)` a weighted sum.
        """
        names = ("connective", "operator", "column")
        return {"select": pair_loss, **dict.fromkeys(names, token_loss)}

    def decode(
        self,
        scores: Mapping[str, Any],
        questions: Sequence[str],
        encoded: Sequence[EncodedQuestion],
        tables: Sequence[Table] | None = None,
        execution: bool = False,
        width: int = 4,
        max_select: int | None = None,
    ) -> list[SQL]:
        """Return the query of each question.

        Args:
            scores: the outputs as arrays, one row per question.
            questions: texts.
            encoded: results of `tasks.sql.labels.encode_question`.
            tables: tables of the questions, to whose cells values are linked (`ValueLinker`).
            execution: drop queries that do not run on the table or return nothing; with a table
                without rows the best query is kept.
            width: number of alternatives to each part, among which execution chooses.
            max_select: largest number of selected columns.

        Raises:
            ValueError: `execution` without tables.
        """
        if execution and tables is None:
            raise ValueError("execution=True needs tables to run the queries on.")
        scores = {name: ops.convert_to_numpy(part) for name, part in scores.items()}
        found = []
        for i, (question, one) in enumerate(zip(questions, encoded, strict=True)):
            table = tables[i] if tables is not None else None
            link = ValueLinker(table).link if table is not None else None
            own = {name: part[i] for name, part in scores.items()}
            runs = execution and table is not None and bool(table.rows)
            candidates = sql_candidates(own, question, one, link, max_select, width if runs else 1)
            if runs and table is not None:
                with Database(table) as database:
                    found.append(execution_guided(candidates, database)[0])
            else:
                found.append(next(candidates))
        return found

    def compute_output_shape(self, input_shape):
        (batch, length, _), columns = input_shape[0], input_shape[1][1]
        return {
            "connective": (batch, len(CONNECTIVES)),
            "select": (batch, columns, len(AGGREGATES)),
            "operator": (batch, length, TAGS),
            "column": (batch, length, columns),
        }

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


@serializable
def token_loss(y_true: Any, scores: Any) -> Any:
    """Return cross-entropy, the mean over what has a label: y_true (B,) or (B, T), scores (..., n).

    Returns:
        (B,), 0 where a row has no label.
    """
    labels = ops.cast(y_true, "int32")
    if len(scores.shape) == len(labels.shape):  # Keras drops a last axis of size 1
        scores = scores[..., None]
    check_label_range(labels, scores.shape[-1], "token_loss")
    known = ops.greater_equal(labels, 0)
    log_probs = ops.log_softmax(ops.cast(scores, "float32"), axis=-1)
    chosen = ops.take_along_axis(log_probs, ops.maximum(labels, 0)[..., None], axis=-1)[..., 0]
    # Not a product: padding may have any score.
    losses = ops.where(known, -chosen, 0.0)
    known = ops.cast(known, "float32")
    if len(labels.shape) == 1:
        return losses
    axes = tuple(range(1, len(labels.shape)))
    return ops.sum(losses, axis=axes) / ops.maximum(ops.sum(known, axis=axes), 1.0)


@serializable
def pair_loss(y_true: Any, scores: Any) -> Any:
    """Return ZLPR over all pairs of column and aggregate: y_true and scores (B, C, 6) to (B,)."""
    rows = (ops.shape(scores)[0], scores.shape[1] * scores.shape[2])
    return multilabel_categorical_crossentropy(ops.reshape(y_true, rows), ops.reshape(scores, rows))
