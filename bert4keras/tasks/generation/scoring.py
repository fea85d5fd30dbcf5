"""Log-probabilities of given tokens, computed inside the model without the whole vocabulary."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from ...data import sequence_padding
from .prompts import NONE

_LENGTHS = (*range(16, 128, 16), *range(128, 1025, 64))


class TokenScorer:
    """Model that returns only the log-probabilities of labels.

    Args:
        model: a functional model with scores of tokens (B, T, V).
        from_logits: True if the scores are logits, False if they are probabilities.
        padding: padding value of each input.
        max_length: number of positions of the model; None if there is no limit.
    """

    def __init__(
        self,
        model: keras.Model,
        from_logits: bool,
        padding: Sequence[float],
        max_length: int | None = None,
    ):
        self.padding = padding
        self.lengths = [n for n in _LENGTHS if max_length is None or n <= max_length]
        labels = keras.Input((None,), dtype="int32", name="Input-Label")
        scores = ops.cast(model.output, "float32")
        chosen = ops.maximum(labels, 0)[..., None]
        gold = ops.squeeze(ops.take_along_axis(scores, chosen, axis=-1), axis=-1)
        if from_logits:
            gold = gold - ops.logsumexp(scores, axis=-1)
        else:
            gold = ops.log(ops.maximum(gold, 1e-30))
        self.model = keras.Model([*model.inputs, labels], gold)

    def __call__(
        self, rows: Sequence[tuple[Sequence[np.ndarray], Sequence[int]]], batch_size: int
    ) -> list[np.ndarray]:
        """Return log-probabilities of rows.

        Args:
            rows: inputs in the order of the model's, and labels (T,).
            batch_size: number of rows per batch.

        Returns:
            For each row an array of the log-probabilities of its labels that are not negative.
        """
        found: list[np.ndarray] = [np.zeros(0)] * len(rows)
        order = sorted(range(len(rows)), key=lambda i: len(rows[i][1]))
        for start in range(0, len(order), batch_size):
            part = order[start : start + batch_size]
            filled = 1 << (len(part) - 1).bit_length()
            chosen = [rows[i] for i in (*part, *part[-1:] * (filled - len(part)))]
            columns = zip(*(inputs for inputs, _ in chosen), strict=True)
            arrays = [
                self._padded(list(column), value)
                for column, value in zip(columns, self.padding, strict=True)
            ]
            labels = self._padded([np.asarray(labels) for _, labels in chosen], NONE)
            scores = np.asarray(self.model.predict_on_batch([*arrays, labels]))
            for i, row in zip(part, scores, strict=False):
                wanted = np.asarray(rows[i][1])
                found[i] = row[: len(wanted)][wanted >= 0].astype("float64")
        return found

    def _padded(self, column: list[np.ndarray], value: float) -> np.ndarray:
        if column[0].dtype.kind == "f":  # a condition, which has no tokens
            return np.stack(column)
        longest = max(map(len, column))
        length = next((n for n in self.lengths if n >= longest), longest)
        return sequence_padding(column, length=length, value=value).astype("int32")
