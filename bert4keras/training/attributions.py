"""Integrated gradients: how much each token contributed to what a model answered."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from .gradients import value_and_grad
from .regularized import embedding_calls


@dataclasses.dataclass(frozen=True)
class Attributions:
    """What the tokens of B texts contributed.

    Attributes:
        scores: (B, T), the part of each token; negative where it spoke against the target.
        targets: (B,), the column of the output that is explained.
        outputs: (B,), what the model says there.
        baseline_outputs: (B,), what it says there of the baseline.
    """

    scores: np.ndarray
    targets: np.ndarray
    outputs: np.ndarray
    baseline_outputs: np.ndarray

    @property
    def gaps(self) -> np.ndarray:
        """(B,), what is missing to completeness: `outputs - baseline_outputs - scores.sum(1)`.

        It falls to rounding error as the steps grow; if it does not, the scores mean little.
        """
        return self.outputs - self.baseline_outputs - self.scores.sum(axis=1)


class IntegratedGradients:
    """Splits the output of a model among the vectors looked up for its tokens.

    With e the looked-up vectors of a text, b those of a baseline, and f an output, token t gets

        (e_t - b_t) . integral from 0 to 1 of  df/de_t at b + a (e - b)  da

    and the sum over all tokens is f(e) - f(b). Positions, segments and the mask are the text's in
    both. The integral is a sum over Gauss-Legendre nodes, which needs far fewer of them than one
    over equal steps; nodes and texts go through the model together, in batches.

    Args:
        model: functional model on looked-up vectors, such as `keras.Model(bert.input,
            head(bert.output))`; its output is (B, C), probabilities or scores.
        baseline: id of the token that every token is compared with, such as
            `tokenizer.token_to_id("[MASK]")`; None is a vector of zeros, as in the paper.
        kept: ids of tokens that the baseline keeps, such as those of [CLS] and [SEP]. They get no
            part. They are looked for in the first input.
        batch_size: rows (a text at one node) that go through the model at once.
        embedding: name of the layer that looks the vectors up.

    Raises:
        ValueError: no such layer, or one that reads more than one input, or another output than
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
        self._slopes = _Slopes(model, embedding, baseline)

    def __call__(self, inputs: Any, targets: Any = None, steps: int = 32) -> Attributions:
        """Explain the output for some texts.

        Args:
            inputs: what `model.predict` takes, as arrays.
            targets: (B,) column of the output to explain in each row, or one for all; None is the
                largest.
            steps: nodes of the integral; more of them make the gaps smaller.

        Returns:
            The parts of the tokens.

        Raises:
            ValueError: a column that the output has not, or no steps.
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
            raise ValueError(f"targets={targets.tolist()}: the output has {columns} columns.")
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        # And the two ends, for the outputs there.
        places, weights = [0.0, *(nodes + 1) / 2, 1.0], [0.0, *weights / 2, 0.0]
        rows = [np.repeat(array, steps + 2, axis=0) for array in (*inputs, targets)]
        rows += [np.tile(np.array(places, "float32"), count), np.isin(rows[0], self.kept)]
        # Filled up to whole batches, lest the last be compiled anew.
        missing = -len(rows[0]) % self.batch_size
        rows = [np.concatenate([array, array[:1].repeat(missing, axis=0)]) for array in rows]
        slopes, outputs = self._slopes.predict(rows, batch_size=self.batch_size, verbose=0)
        slopes, outputs = (
            array[: count * (steps + 2)].reshape(count, steps + 2, *array.shape[1:])
            for array in (slopes, outputs)
        )
        scores = np.einsum("bst,s->bt", slopes, weights)
        return Attributions(scores, targets, outputs[:, -1], outputs[:, 0])


class _Slopes(keras.Model):
    """How fast the output rises along the path, by token, and the output; one row is one point.

    A Keras model, since `predict` compiles whatever a model computes, gradients too.
    """

    def __init__(self, model: keras.Model, embedding: str, baseline: int | None):
        super().__init__(name="slopes")
        vectors = embedding_calls(model, embedding)
        if len(vectors) != 1:
            raise ValueError(
                f"{embedding!r} looks up vectors {len(vectors)} times in this model; integrated "
                "gradients explain one sequence of tokens."
            )
        self.lookup = keras.Model(model.inputs, vectors[0])
        self.rest = keras.Model([*vectors, *model.inputs], model.output)
        self.table, self.baseline = model.get_layer(embedding), baseline

    def call(self, rows: Sequence[Any]) -> tuple[Any, Any]:
        *inputs, target, place, kept = rows
        found = self.lookup(inputs, training=False)
        vectors = ops.cast(found, "float32")
        base = ops.zeros_like(vectors)
        if self.baseline is not None:
            base = base + ops.cast(
                self.table(ops.full_like(target[:1, None], self.baseline)), "float32"
            )
        way = ops.where(kept[..., None], 0.0, vectors - base)

        def output(vectors: Any) -> tuple[Any, Any]:
            y = self.rest([ops.cast(vectors, found.dtype), *inputs], training=False)
            y = ops.cast(y, "float32")
            y = ops.sum(y * ops.one_hot(target, y.shape[-1]), axis=-1)
            return ops.sum(y), y

        point = vectors - (1 - place[:, None, None]) * way
        (_, y), (slope,) = value_and_grad(output, [point], has_aux=True)
        return ops.sum(slope * way, axis=-1), y
