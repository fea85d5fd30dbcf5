"""Base of the heads that label every token in view of its neighbours' labels.

Legend: B batch, T length, C labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ..._compat import raise_when_run
from ..._labels import check_labels
from ..._scores import FORBIDDEN, lowest
from ..._serialization import HasStorableMethods, function_of, storable_method
from ...layers.masking import EndsMask, without_mask
from .viterbi import Path, viterbi, viterbi_k_best

# Score that keeps the boundary label out of real positions and real labels out of boundary
# positions. It is below FORBIDDEN times the length of a text; otherwise a text whose labels have
# to break a rule would be decoded as boundary.
IMPOSSIBLE = lowest("float32")
_CHUNK = 8  # positions


def _label_mask(y_true: Any, scores: Any) -> tuple[Any, Any, Any]:
    """Labels int (B, T), boolean mask (B, T) of those that count, scores float32 (B, T, C).

    Labels may have a last axis of size 1. Keras takes that axis off the *scores* where there is
    one label only; it is put back.
    """
    labels = ops.cast(y_true, "int32")
    scores = ops.cast(scores, "float32")
    if len(scores.shape) == 2:
        scores = scores[..., None]
    if len(labels.shape) == 3:
        labels = ops.squeeze(labels, axis=-1)
    return labels, labels >= 0, scores


def read_scores(scores: Any, mask: Any | None) -> tuple[Any, Any]:
    """Scores (B, T, C) in float32, and the boolean mask (B, T), True everywhere for None."""
    scores = ops.cast(scores, "float32")
    if mask is None:
        return scores, ops.ones_like(scores[..., 0], dtype="bool")
    return scores, ops.cast(mask, "bool")


def packed_order(mask: Any) -> tuple[Any, Any]:
    """Order that moves valid positions to the front.

    Args:
        mask: boolean (B, T).

    Returns:
        The position (B, T) that each new one takes its content from, and the mask after that.
    """
    length = ops.shape(mask)[1]
    # Not argsort: whether that keeps equal keys in order differs between backends.
    keys = ops.sort(ops.where(mask, 0, length) + ops.arange(length), axis=1)
    return keys % length, keys < length


def pack_labels(labels: Any, order: Any, valid: Any, boundary: int) -> Any:
    """Labels (B, T) with the valid ones in front and `boundary` behind them."""
    return ops.where(valid, gather_positions(labels, order), boundary)


def pack_scores(scores: Any, order: Any, valid: Any) -> Any:
    """Scores (B, T, C) as (T, C + 1, B): valid positions in front, the boundary behind them.

    Rows come last since then every sum over labels adds up whole vectors.
    """
    scores = ops.concatenate([scores, ops.full_like(scores[..., :1], IMPOSSIBLE)], axis=-1)
    edge = boundary_scores(scores.shape[-1])
    packed = ops.where(valid[..., None], gather_positions(scores, order), edge)
    return ops.transpose(packed, (1, 2, 0))


def one_hot(labels: Any, count: int) -> Any:
    """Labels (...) as float32 (..., count); faster than `ops.one_hot` on torch and TensorFlow."""
    return ops.cast(ops.equal(labels[..., None], ops.arange(count)), "float32")


def boundary(size: int) -> Any:
    """The boundary in one-hot form (C + 1,)."""
    return ops.cast(ops.arange(size) == size - 1, "float32")


def boundary_scores(size: int) -> Any:
    """Scores (C + 1,) under which only the last label, the boundary, is possible."""
    return (1.0 - boundary(size)) * IMPOSSIBLE


def whole_chunks(x: Any, edge: Any) -> Any:
    """x (T, ...) with as many `edge` (...) behind it as fill the last chunk."""
    length = ops.shape(x)[0]
    edges = ops.zeros_like(ops.take(x, [0] * _CHUNK, axis=0)) + edge
    return ops.concatenate([x, edges], axis=0)[: (length + _CHUNK - 1) // _CHUNK * _CHUNK]


def scan_chunks(step: Callable, begin: Any, read: Any) -> Any:
    """All states of a recursion; _CHUNK positions in a step of `ops.scan`, whose own cost is high.

    Args:
        step: function (state, what is read, its place in the chunk) -> the next state.
        begin: the state (...) before the first position.
        read: (T, ...), T as of `whole_chunks`.

    Returns:
        The states (T, ...) behind each position.
    """

    def several(states, chunk):
        state, states = states[-1], []
        for place in range(_CHUNK):
            state = step(state, chunk[place], place)
            states.append(state)
        return tuple(states), tuple(states)

    chunks = ops.reshape(read, (-1, _CHUNK, *ops.shape(read)[1:]))
    _, states = ops.scan(several, (begin,) * _CHUNK, chunks)
    return ops.reshape(ops.stack(states, axis=1), (-1, *ops.shape(begin)))


def unpack(x: Any, mask: Any) -> Any:
    """Undo the packing of x (B, T, ...); what stands where the mask is False is open."""
    return gather_positions(x, ops.maximum(ops.cumsum(ops.cast(mask, "int32"), axis=1) - 1, 0))


def gather_positions(x: Any, places: Any) -> Any:
    """x[b, places[b, t]] for x (B, T, ...) and places (B, T)."""
    shape = ops.shape(x)
    places = places + ops.arange(shape[0])[:, None] * shape[1]
    return ops.take(ops.reshape(x, (-1, *shape[2:])), places, axis=0)


class SequenceLabelling(EndsMask, HasStorableMethods, keras.layers.Layer):
    """Base of the heads with scores of label pairs: weights, constraints, Viterbi, accuracy.

    Begin and end of a sequence are one more label, the boundary, which stands before the first
    and behind the last valid position: scores of beginning, ending and passing from label to
    label are one matrix (C + 1, C + 1), and padding is labelled with the boundary for certain. So
    no step of a recursion asks where a sequence ends.
    """

    def __init__(
        self,
        lr_multiplier: float = 1.0,
        allowed: Sequence[Any] | np.ndarray | None = None,
        **kwargs: Any,
    ):
        # Sums over a whole sequence need float32 whatever the policy of the model.
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if not lr_multiplier > 0:
            raise ValueError(f"lr_multiplier={lr_multiplier} must be above 0.")
        self.lr_multiplier = lr_multiplier
        self.allowed = allowed if allowed is None else _read_allowed(allowed)

    def build(self, input_shape):
        self.labels = input_shape[-1]
        if len(input_shape) != 3 or self.labels is None:
            raise ValueError(f"{self.name} takes scores (B, T, C), not {tuple(input_shape)}.")
        if self.allowed is not None and len(self.allowed[0]) != self.labels:
            raise ValueError(
                f"{self.name} has `allowed` for {len(self.allowed[0])} labels and gets scores of "
                f"{self.labels}."
            )
        self.forbidden = np.zeros((self.labels + 1, self.labels + 1), "float32")
        if self.allowed is not None:
            start, transitions, end = self.allowed
            rules = np.block([[transitions, end[:, None]], [start, np.array(True)]])
            self.forbidden = np.where(rules, 0.0, FORBIDDEN).astype("float32")
        self.built = True

    def add_scores(self, name: str, *shape: int, initializer: Any = "zeros") -> Any:
        """A weight which the optimizer sees divided by `lr_multiplier`; `scaled` undoes that."""
        initializer = keras.initializers.get(initializer)

        def divided(shape, dtype=None):
            return initializer(shape, dtype=dtype) / self.lr_multiplier

        return self.add_weight(name=name, shape=shape, initializer=divided, dtype="float32")

    def scaled(self, weight: Any) -> Any:
        """The value of a weight of `add_scores`."""
        return ops.cast(ops.convert_to_tensor(weight), "float32") * self.lr_multiplier

    @property
    def transitions(self) -> Any:
        """Scores (C, C) of a label, the row's, and the next one, the column's."""
        raise NotImplementedError

    def start_and_end(self) -> tuple[Any, Any]:
        """Scores (C,) of the first label and of the last one."""
        return ops.zeros(self.labels), ops.zeros(self.labels)

    def transition_matrix(self) -> Any:
        """Scores (C + 1, C + 1) from the row's label to the column's, constraints included.

        The last row is the start, the last column the end.
        """
        start, end = self.start_and_end()
        matrix = ops.concatenate([self.transitions, end[:, None]], axis=1)
        row = ops.concatenate([start, ops.zeros(1)])
        return ops.add(ops.concatenate([matrix, row[None]], axis=0), self.forbidden)

    def call(self, scores):
        return without_mask(scores)

    def viterbi(self, scores: Any, mask: Any | None = None) -> Any:
        """The best label of every position, batched and in the graph.

        Args:
            scores: (B, T, C), as the layer returns them.
            mask: boolean (B, T), the positions that have a label; None for all.

        Returns:
            int32 (B, T); -1 where the mask is False.
        """
        scores, mask = read_scores(scores, mask)
        wrong = ops.logical_not(ops.all(scores < float("inf"), axis=-1))
        raise_when_run(
            ops.any(ops.logical_and(wrong, mask)),
            f"{self.name} got scores that are NaN or infinity, so no labels are best.",
        )
        steps, matrix = pack_scores(scores, *packed_order(mask)), self.transition_matrix()
        edge = boundary_scores(self.labels + 1)[:, None]

        def forward(before, step, place):
            return ops.max(before[:, None] + matrix[..., None], axis=0) + step

        def backward(label, after, place):
            previous = ops.argmax(after + ops.take(matrix, label, axis=1), axis=0)
            return ops.cast(previous, "int32")

        best = scan_chunks(forward, ops.zeros_like(steps[0]) + edge, whole_chunks(steps, edge))
        end = ops.zeros_like(mask[:, 0], dtype="int32") + self.labels
        labels = ops.flip(scan_chunks(backward, end, ops.flip(best, axis=0)), axis=0)
        labels = ops.transpose(labels[: ops.shape(steps)[0]])
        return ops.where(mask, unpack(labels, mask), -1)

    def decode(self, scores: Any, mask: Any | None = None) -> list[np.ndarray]:
        """The best labels of each row, in numpy.

        Args:
            scores: (B, T, C), as the model predicts them.
            mask: boolean (B, T), the positions that have a label; None for all.

        Returns:
            For each row an int array, as long as the row has valid positions.
        """
        return viterbi(to_numpy(scores), mask=to_numpy(mask), **self._numpy_scores())

    def k_best(self, scores: Any, k: int, mask: Any | None = None) -> list[list[Path]]:
        """As `decode`, but for each row the k best sequences as pairs of labels and score."""
        scores, mask = to_numpy(scores), to_numpy(mask)
        return viterbi_k_best(scores, k=k, mask=mask, **self._numpy_scores())

    def _numpy_scores(self) -> dict[str, np.ndarray]:
        matrix = to_numpy(self.transition_matrix()).astype("float64")
        return {"transitions": matrix[:-1, :-1], "start": matrix[-1, :-1], "end": matrix[:-1, -1]}

    @storable_method
    def loss(self, y_true: Any, scores: Any) -> Any:
        """The training loss of each row; see the class.

        Args:
            y_true: int (B, T) or (B, T, 1); labels below 0 are ignored.
            scores: (B, T, C), as the layer returns them.

        Returns:
            float32 (B,); 0 for a row without labels.

        Raises:
            ValueError: a label of C or more (NaN where XLA compiles for TensorFlow).
        """
        labels, mask, scores = _label_mask(y_true, scores)
        count = scores.shape[-1]
        check_labels(labels, count, self.name)
        # Whatever stands at masked positions, infinity too, has no part in the gradient.
        scores = ops.where(mask[..., None], scores, 0.0)
        if scores.shape[0] == 0:
            return ops.sum(scores, axis=(1, 2))
        value = self.row_losses(ops.minimum(labels, count - 1), mask, scores)
        return ops.where(ops.any(labels >= count, axis=1), float("nan"), value)

    def row_losses(self, labels: Any, mask: Any, scores: Any) -> Any:
        """The loss (B,) of labels below C (B, T), where `mask` (B, T) is True; scores (B, T, C)."""
        raise NotImplementedError

    @staticmethod
    @function_of("SequenceLabelling")
    def accuracy(y_true: Any, scores: Any) -> Any:
        """Share of the batch's labels whose score is the highest of their position's.

        A metric for `compile`: what is seen of `fit` at no cost. Pairs of labels have no part in
        it, since on JAX Keras hides the weights of a layer from metrics; to count what `viterbi`
        finds, decode what the model predicts.
        """
        labels, mask, scores = _label_mask(y_true, scores)
        best = ops.cast(ops.argmax(scores, axis=-1), "int32")
        right = ops.logical_and(mask, ops.equal(best, labels))
        count = ops.sum(ops.cast(mask, "float32"))
        return ops.sum(ops.cast(right, "float32")) / ops.maximum(count, 1.0)

    @storable_method
    def sparse_loss(self, y_true: Any, scores: Any) -> Any:
        """`loss`, under the name that it has in bert4keras 0.11."""
        return self.loss(y_true, scores)

    @staticmethod
    @function_of("SequenceLabelling")
    def sparse_accuracy(y_true: Any, scores: Any) -> Any:
        """`accuracy`, under the name that it has in bert4keras 0.11."""
        return SequenceLabelling.accuracy(y_true, scores)

    @storable_method
    def dense_loss(self, y_true: Any, scores: Any) -> Any:
        """`loss` for labels in one-hot form (B, T, C); rows of zeros are ignored."""
        return self.loss(_from_one_hot(y_true), scores)

    @staticmethod
    @function_of("SequenceLabelling")
    def dense_accuracy(y_true: Any, scores: Any) -> Any:
        """`accuracy` for labels in one-hot form (B, T, C); rows of zeros are ignored."""
        return SequenceLabelling.accuracy(_from_one_hot(y_true), scores)

    def save_own_variables(self, store):
        """Files hold the true scores, whatever `lr_multiplier` they were trained with."""
        for variable in self.variables:
            store[variable.name] = ops.convert_to_numpy(variable) * self.lr_multiplier

    def load_own_variables(self, store):
        names = [variable.name for variable in self.variables]
        if sorted(names) != sorted(store.keys()):
            raise ValueError(f"{self.name} needs {names}, the file has {sorted(store.keys())}.")
        for variable in self.variables:
            variable.assign(np.asarray(store[variable.name]) / self.lr_multiplier)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        allowed = self.allowed and [array.tolist() for array in self.allowed]
        config = {"lr_multiplier": self.lr_multiplier, "allowed": allowed}
        return {**super().get_config(), **config}


def _from_one_hot(y_true: Any) -> Any:
    return ops.where(ops.any(y_true > 0, axis=-1), ops.argmax(y_true, axis=-1), -1)


def to_numpy(x: Any) -> Any:
    return x if x is None or isinstance(x, np.ndarray) else ops.convert_to_numpy(x)


def _read_allowed(allowed: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boolean start (C,), transitions (C, C), end (C,) from those three or from the second."""
    if isinstance(allowed, np.ndarray) and allowed.ndim == 2:
        everything = np.ones(len(allowed), bool)
        allowed = (everything, allowed, everything)
    try:
        start, transitions, end = (np.asarray(part, dtype=bool) for part in allowed)
        if transitions.shape != start.shape * 2 or start.shape != end.shape or start.ndim != 1:
            raise ValueError
    except (TypeError, ValueError):
        raise ValueError(
            "`allowed` must be boolean arrays start (C,), transitions (C, C) and end (C,), as "
            "from tasks.tagging.allowed_transitions, or transitions alone."
        ) from None
    if not (start.any() and end.any()):
        raise ValueError("`allowed` lets no label begin or end a sequence.")
    return start, transitions, end
