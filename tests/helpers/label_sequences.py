"""All label sequences of a few positions: what recursions over them are held against."""

from __future__ import annotations

import itertools

import keras
import numpy as np

# Of five positions: all, without the first ones, without some in the middle, without the last
# ones, with every second, with one, with none.
MASK = np.array(
    [
        [1, 1, 1, 1, 1],
        [0, 0, 1, 1, 1],
        [1, 1, 0, 0, 1],
        [1, 1, 1, 0, 0],
        [0, 1, 0, 1, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0],
    ],
    bool,
)


def every(labels: int, length: int) -> np.ndarray:
    """All sequences of labels: int (labels ** length, length)."""
    found = [*itertools.product(range(labels), repeat=int(length))]
    return np.array(found, int).reshape(len(found), length)


def chain_scores(paths, f, g, start, end) -> np.ndarray:
    """start[y_1] + sum f_t[y_t] + sum g[y_t-1, y_t] + end[y_n] of each row y of paths (N, n).

    Args:
        paths: int (N, n).
        f: (n, C).
        g: (C, C).
        start: (C,).
        end: (C,).

    Returns:
        float64 (N,).
    """
    if not paths.shape[1]:
        return np.zeros(len(paths))
    f, g, start, end = (np.asarray(x, "float64") for x in (f, g, start, end))
    inner = f[np.arange(paths.shape[1]), paths].sum(1) + g[paths[:, :-1], paths[:, 1:]].sum(1)
    return start[paths[:, 0]] + inner + end[paths[:, -1]]


def log_sum(x: np.ndarray) -> float:
    return float(x.max() + np.log(np.exp(x - x.max()).sum()))


class FreeScores:
    """A model of a head and of scores that are weights, to read gradients off a step of SGD.

    Args:
        head: a layer that takes scores (B, T, C).
        scores: (B, T, C).
    """

    def __init__(self, head: keras.layers.Layer, scores: np.ndarray):
        self.shape = scores.shape
        ids = keras.Input(self.shape[1:2], dtype="int32")
        self.table = keras.layers.Embedding(self.shape[0] * self.shape[1], self.shape[2])
        self.model = keras.Model(ids, head(self.table(ids)))
        self.table.embeddings.assign(scores.reshape(-1, self.shape[2]))
        self.head = head

    def gradients(self, labels: np.ndarray, **compiled) -> tuple[float, list[np.ndarray]]:
        """The sum of the rows' losses and its gradient by the scores and the head's weights."""
        batch, length = self.shape[:2]
        weights = [self.table.embeddings, *self.head.trainable_weights]
        before = [keras.ops.convert_to_numpy(weight) for weight in weights]
        self.model.compile(keras.optimizers.SGD(1.0), loss=self.head.loss, **compiled)
        ids = np.arange(batch * length, dtype="int32").reshape(batch, length)
        history = self.model.fit(ids, labels, batch_size=batch, epochs=1, verbose=0).history
        after = [keras.ops.convert_to_numpy(weight) for weight in weights]
        # Keras trains on the mean of the rows.
        steps = [batch * (old - new) for old, new in zip(before, after, strict=True)]
        return batch * history["loss"][0], [steps[0].reshape(self.shape), *steps[1:]]
