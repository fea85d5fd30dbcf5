"""Integrated gradients: the contribution of each token to an output of a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from .._types import Tensor
from .gradients import value_and_grad
from .regularized import embedding_calls


@dataclasses.dataclass(frozen=True)
class Attributions:
    """Contributions of the tokens of B texts to one output each.

    Attributes:
        scores: (B, T), contribution of each token; negative if it lowers the output.
        targets: (B,), column of the output that is explained.
        outputs: (B,), output of the model in that column.
        baseline_outputs: (B,), its output for the baseline.
    """

    scores: np.ndarray
    targets: np.ndarray
    outputs: np.ndarray
    baseline_outputs: np.ndarray

    @property
    def gaps(self) -> np.ndarray:
        """Error of the integral, (B,): `outputs - baseline_outputs - scores.sum(axis=1)`.

        It falls to rounding error as the number of steps grows; if not, distrust the scores.
        """
        return self.outputs - self.baseline_outputs - self.scores.sum(axis=1)


class IntegratedGradients:
    """Integrated gradients with respect to the embedding vectors of the tokens.

    With e the embedding vectors of a text, b those of a baseline, and f an output, the score of
    token t is

        (e_t - b_t) . integral from 0 to 1 of  df/de_t at b + a (e - b)  da

    and the scores of all tokens sum to f(e) - f(b). Positions, segments and mask are those of the
    text in both. The integral is computed by Gauss-Legendre quadrature, which needs far fewer nodes
    than equal steps; nodes and texts go through the model together, in batches.

    Args:
        model: functional model with an embedding layer, such as `keras.Model(bert.input,
            head(bert.output))`; its output is (B, C), probabilities or logits.
        baseline: id of the token that replaces every token in the baseline, such as
            `tokenizer.token_to_id("[MASK]")`; None is a vector of zeros, as in the paper.
        kept: ids in the first input that the baseline keeps, such as those of [CLS] and [SEP].
            Their scores are 0.
        batch_size: rows (one text at one node) that go through the model at once.
        embedding: name of the embedding layer.

    Raises:
        ValueError: no such layer, or one that is called on several inputs, or an output that is not
            (B, C).

    Example:
        >>> explain = IntegratedGradients(classifier, baseline=tokenizer.token_to_id("[MASK]"))
        >>> found = explain([token_ids, segment_ids])
        >>> found.scores, found.gaps

    Source: Sundararajan et al., Axiomatic Attribution for Deep Networks, 2017 (arXiv:1703.01365).
    """

    def __init__(
        self,
        model: keras.Model,
        baseline: int | None = None,
        kept: Sequence[int] = (),
        batch_size: int = 32,
        embedding: str = "Embedding-Token",
    ):
        if not hasattr(model.output, "shape") or len(model.output.shape) != 2:
            raise ValueError(
                "integrated gradients need a model with one output (B, C), such as probabilities "
                f"of classes, not {keras.tree.map_structure(lambda y: y.shape, model.output)}."
            )
        self.model, self.kept, self.batch_size = model, list(kept), batch_size
        self._path = _PathGradients(model, embedding, baseline)

    def __call__(
        self, inputs: Any, targets: Sequence[int] | int | None = None, steps: int = 32
    ) -> Attributions:
        """Explain the output for some texts.

        Args:
            inputs: arrays, in the structure of the model's inputs.
            targets: column of the output to explain, (B,) or one for all rows; None is the column
                with the highest output.
            steps: number of nodes of the integral; more of them make the gaps smaller.

        Returns:
            The contributions of the tokens.

        Raises:
            ValueError: a column that the output does not have, or `steps` below 1.
        """
        if steps < 1:
            raise ValueError(f"steps={steps} must be at least 1.")
        inputs = [np.asarray(array) for array in keras.tree.flatten(inputs)]
        count, columns = len(inputs[0]), self.model.output.shape[-1]
        if targets is None:
            packed = keras.tree.pack_sequence_as(self.model.input, inputs)
            found = self.model.predict(packed, batch_size=self.batch_size, verbose=0)
            targets = found.argmax(axis=-1)
        targets = np.broadcast_to(np.asarray(targets, "int32"), (count,))
        if targets.min() < 0 or targets.max() >= columns:
            raise ValueError(
                f"targets={targets.tolist()} must be from 0 to {columns - 1}: the output has "
                f"{columns} columns."
            )
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        # Nodes on [0, 1] instead of [-1, 1], and its two ends with weight 0, for the outputs there.
        places, weights = [0.0, *(nodes + 1) / 2, 1.0], [0.0, *weights / 2, 0.0]
        rows = [np.repeat(array, steps + 2, axis=0) for array in (*inputs, targets)]
        rows += [np.tile(np.array(places, "float32"), count), np.isin(rows[0], self.kept)]
        # Padded to whole batches, because a smaller last batch would be compiled again.
        missing = -len(rows[0]) % self.batch_size
        rows = [np.concatenate([array, array[:1].repeat(missing, axis=0)]) for array in rows]
        slopes, outputs = self._path.predict(rows, batch_size=self.batch_size, verbose=0)
        slopes, outputs = (
            array[: count * (steps + 2)].reshape(count, steps + 2, *array.shape[1:])
            for array in (slopes, outputs)
        )
        scores = np.einsum("bst,s->bt", slopes, weights)
        return Attributions(scores, targets, outputs[:, -1], outputs[:, 0])


class _PathGradients(keras.Model):
    """Model of points b + a (e - b): (e_t - b_t) . df/de_t by token, (B, T), and the output f.

    One row is one point of one text. It is a Keras model because `predict` compiles whatever a
    model computes, gradients too.
    """

    def __init__(self, model: keras.Model, embedding: str, baseline: int | None):
        super().__init__(name="path_gradients")
        vectors = embedding_calls(model, embedding)
        if len(vectors) != 1:
            raise ValueError(
                f"the model calls {embedding!r} on {len(vectors)} inputs, but integrated gradients "
                "explain one sequence of tokens: give it a model with one."
            )
        self.lookup = keras.Model(model.inputs, vectors[0])
        self.rest = keras.Model([*vectors, *model.inputs], model.output)
        self.table, self.baseline = model.get_layer(embedding), baseline

    def call(self, rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        *inputs, target, place, kept = rows
        found = self.lookup(inputs, training=False)
        vectors = ops.cast(found, "float32")
        base = ops.zeros_like(vectors)
        if self.baseline is not None:
            base = base + ops.cast(
                self.table(ops.full_like(target[:1, None], self.baseline)), "float32"
            )
        path = ops.where(kept[..., None], 0.0, vectors - base)

        def output(vectors: Tensor) -> tuple[Tensor, Tensor]:
            y = self.rest([ops.cast(vectors, found.dtype), *inputs], training=False)
            y = ops.cast(y, "float32")
            y = ops.sum(y * ops.one_hot(target, y.shape[-1]), axis=-1)
            return ops.sum(y), y

        point = vectors - (1 - place[:, None, None]) * path
        (_, y), (slope,) = value_and_grad(output, [point], has_aux=True)
        return ops.sum(slope * path, axis=-1), y
