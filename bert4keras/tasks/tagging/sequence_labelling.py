"""Base of the heads that predict each label together with its neighbours'.

Symbols: B batch, T positions, C labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from ..._compat import raise_at_runtime
from ..._labels import check_label_range
from ..._scores import FORBIDDEN
from ..._serialization import HasStorableMethods, function_of, storable_method
from ..._types import Tensor
from ...layers.masking import EndsMask, without_mask
from .chain_decoding import ChainDecoding
from .packing import boundary_scores, pack_scores, packed_order, scan_chunks, unpack, whole_chunks


def _label_mask(y_true: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return labels int (B, T), their mask boolean (B, T), scores float32 (B, T, C).

    The mask is False where a label is negative. Labels may have a last axis of size 1. Keras drops
    the last axis of the *scores* if there is only one label; it is added again.
    """
    labels = ops.cast(y_true, "int32")
    scores = ops.cast(scores, "float32")
    if len(scores.shape) == 2:
        scores = scores[..., None]
    if len(labels.shape) == 3:
        labels = ops.squeeze(labels, axis=-1)
    return labels, labels >= 0, scores


def read_scores(scores: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return scores (B, T, C) as float32 and the mask (B, T) as bool; None becomes all True."""
    scores = ops.cast(scores, "float32")
    if mask is None:
        return scores, ops.ones_like(scores[..., 0], dtype="bool")
    return scores, ops.cast(mask, "bool")


class SequenceLabelling(ChainDecoding, EndsMask, HasStorableMethods, keras.layers.Layer):
    """Base of the heads with transition scores: weights, constraints, Viterbi, accuracy.

    Start and end of a sequence are one more label, the boundary. It precedes the first labelled
    position and follows the last one. So the scores of starting, of ending and of passing from
    label to label are one matrix (C + 1, C + 1), and padding is labelled with the boundary; see
    `packing`.

    A subclass defines `head_name`, `transitions` and `row_losses`.

    Args:
        lr_multiplier: factor on the learning rate of the transitions.
        allowed: boolean arrays start (C,), transitions (C, C) and end (C,), or only transitions.
    """

    head_name: str  # the option `head` of `Tagger` that builds this layer
    twice_differentiable: ClassVar[bool] = True  # whether `loss` has a correct second derivative

    def __init__(
        self,
        lr_multiplier: float = 1.0,
        allowed: Sequence[Any] | np.ndarray | None = None,
        **kwargs: Any,
    ):
        # Sums over a whole sequence need float32, whatever the dtype policy of the model.
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if not lr_multiplier > 0:
            raise ValueError(f"lr_multiplier={lr_multiplier} must be above 0.")
        self.lr_multiplier = lr_multiplier
        self.allowed = allowed if allowed is None else _read_allowed(allowed)

    def build(self, input_shape):
        self.labels = input_shape[-1]
        if len(input_shape) != 3 or self.labels is None:
            raise ValueError(
                f"{self.name} needs scores of shape (B, T, C), not {tuple(input_shape)}."
            )
        if self.allowed is not None and len(self.allowed[0]) != self.labels:
            raise ValueError(
                f"{self.name} has `allowed` for {len(self.allowed[0])} labels, but the scores have "
                f"{self.labels}. Make both equal."
            )
        self.forbidden = np.zeros((self.labels + 1, self.labels + 1), "float32")
        if self.allowed is not None:
            start, transitions, end = self.allowed
            rules = np.block([[transitions, end[:, None]], [start, np.array(True)]])
            self.forbidden = np.where(rules, 0.0, FORBIDDEN).astype("float32")
        self.built = True

    def add_scores(self, name: str, *shape: int, initializer: Any = "zeros") -> keras.Variable:
        """Add a weight that is stored divided by `lr_multiplier`; `scaled` multiplies it again.

        An optimizer like Adam, whose steps do not depend on the scale of the gradient, then changes
        the scaled value `lr_multiplier` times as fast.
        """
        initializer = keras.initializers.get(initializer)

        def divided(shape, dtype=None):
            return initializer(shape, dtype=dtype) / self.lr_multiplier

        return self.add_weight(name=name, shape=shape, initializer=divided, dtype="float32")

    def scaled(self, weight: keras.Variable) -> Tensor:
        """Return the true value of a weight that `add_scores` made."""
        return ops.cast(ops.convert_to_tensor(weight), "float32") * self.lr_multiplier

    @property
    def transitions(self) -> Tensor:
        """Transition scores (C, C), from the row's label to the column's."""
        raise NotImplementedError

    def start_and_end(self) -> tuple[Tensor, Tensor]:
        """Return the scores (C,) of each label as the first one, and as the last one."""
        return ops.zeros(self.labels), ops.zeros(self.labels)

    def transition_matrix(self) -> Tensor:
        """Return transition scores (C + 1, C + 1) with start, end and constraints.

        They lead from the row's label to the column's. The last row is the start, the last column
        the end.
        """
        start, end = self.start_and_end()
        matrix = ops.concatenate([self.transitions, end[:, None]], axis=1)
        row = ops.concatenate([start, ops.zeros(1)])
        return ops.add(ops.concatenate([matrix, row[None]], axis=0), self.forbidden)

    def call(self, scores):
        return without_mask(scores)

    def viterbi(self, scores: Tensor, mask: Tensor | None = None) -> Tensor:
        """Find the best labels with Keras operations, for a whole batch at once.

        The forward pass computes m_t[k] = w_t[k] + max_j (m_t-1[j] + G[j, k]), the score of the
        best labels of positions 1 .. t that end in k. The backtrace starts from the boundary at the
        end and goes back: y_t-1 = argmax_j (m_t-1[j] + G[j, y_t]). So no back pointers are stored.

        Args:
            scores: (B, T, C), the output of the layer.
            mask: boolean (B, T), True where a position has a label; None for all.

        Returns:
            int32 (B, T); -1 where the mask is False.

        Raises:
            ValueError: a score is NaN or infinity (not where XLA compiles for TensorFlow).
        """
        scores, mask = read_scores(scores, mask)
        wrong = ops.logical_not(ops.all(scores < float("inf"), axis=-1))
        raise_at_runtime(
            ops.any(ops.logical_and(wrong, mask)),
            f"{self.name} got scores that are NaN or infinity, so there are no best labels.",
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

    @storable_method
    def loss(self, y_true: Tensor, scores: Tensor) -> Tensor:
        """Compute the training loss of each row; see the class.

        Args:
            y_true: int (B, T) or (B, T, 1); labels below 0 are ignored.
            scores: (B, T, C), the output of the layer.

        Returns:
            float32 (B,); 0 for a row without labels.

        Raises:
            ValueError: a label of C or more (NaN where XLA compiles for TensorFlow).
        """
        labels, mask, scores = _label_mask(y_true, scores)
        count = scores.shape[-1]
        check_label_range(labels, count, self.name)
        # Scores at masked positions, even infinite ones, must not affect the gradient.
        scores = ops.where(mask[..., None], scores, 0.0)
        if scores.shape[0] == 0:
            return ops.sum(scores, axis=(1, 2))
        value = self.row_losses(ops.minimum(labels, count - 1), mask, scores)
        return ops.where(ops.any(labels >= count, axis=1), float("nan"), value)

    def row_losses(self, labels: Tensor, mask: Tensor, scores: Tensor) -> Tensor:
        """Compute the loss of each row.

        Args:
            labels: int (B, T), below C.
            mask: boolean (B, T), True where a label counts.
            scores: float32 (B, T, C).

        Returns:
            (B,).
        """
        raise NotImplementedError

    @staticmethod
    @function_of("SequenceLabelling")
    def accuracy(y_true: Tensor, scores: Tensor) -> Tensor:
        """Return the share of labels that have the highest score of their position.

        A cheap metric for `compile`. It ignores the transitions, because on JAX Keras hides the
        weights of a layer from metrics. For the accuracy of decoded labels, decode the model's
        output.
        """
        labels, mask, scores = _label_mask(y_true, scores)
        best = ops.cast(ops.argmax(scores, axis=-1), "int32")
        right = ops.logical_and(mask, ops.equal(best, labels))
        count = ops.sum(ops.cast(mask, "float32"))
        return ops.sum(ops.cast(right, "float32")) / ops.maximum(count, 1.0)

    @storable_method
    def sparse_loss(self, y_true: Tensor, scores: Tensor) -> Tensor:
        """Call `loss`; this is its name in bert4keras 0.11."""
        return self.loss(y_true, scores)

    @staticmethod
    @function_of("SequenceLabelling")
    def sparse_accuracy(y_true: Tensor, scores: Tensor) -> Tensor:
        """Call `accuracy`; this is its name in bert4keras 0.11."""
        return SequenceLabelling.accuracy(y_true, scores)

    @storable_method
    def dense_loss(self, y_true: Tensor, scores: Tensor) -> Tensor:
        """Compute `loss` of one-hot labels (B, T, C); positions of zeros are ignored."""
        return self.loss(_from_one_hot(y_true), scores)

    @staticmethod
    @function_of("SequenceLabelling")
    def dense_accuracy(y_true: Tensor, scores: Tensor) -> Tensor:
        """Compute `accuracy` of one-hot labels (B, T, C); positions of zeros are ignored."""
        return SequenceLabelling.accuracy(_from_one_hot(y_true), scores)

    def save_own_variables(self, store):
        """Store the true scores, independent of `lr_multiplier`."""
        for variable in self.variables:
            store[variable.name] = ops.convert_to_numpy(variable) * self.lr_multiplier

    def load_own_variables(self, store):
        names = [variable.name for variable in self.variables]
        if sorted(names) != sorted(store.keys()):
            raise ValueError(
                f"{self.name} needs the weights {names}, but the file has {sorted(store.keys())}."
            )
        for variable in self.variables:
            variable.assign(np.asarray(store[variable.name]) / self.lr_multiplier)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        allowed = self.allowed and [array.tolist() for array in self.allowed]
        config = {"lr_multiplier": self.lr_multiplier, "allowed": allowed}
        return {**super().get_config(), **config}


def _from_one_hot(y_true: Tensor) -> Tensor:
    return ops.where(ops.any(y_true > 0, axis=-1), ops.argmax(y_true, axis=-1), -1)


def _read_allowed(allowed: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return boolean start (C,), transitions (C, C) and end (C,), given all or only the second."""
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
            "from tasks.tagging.allowed_transitions, or only transitions."
        ) from None
    if not (start.any() and end.any()):
        raise ValueError("`allowed` must let at least one label begin and one end a sequence.")
    return start, transitions, end
