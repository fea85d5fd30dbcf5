"""Mixup: train between two rows of a batch."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import keras
from keras import ops

from .._serialization import serializable
from .techniques import Objective, on_tensors


@serializable
@dataclasses.dataclass(frozen=True)
class Mixup(Objective):
    """Mix each row of a batch with another one, in some layer, and their losses alike.

        h'   = r h + (1 - r) h[order],     r ~ Beta(alpha, alpha), one for the batch
        loss = r L(y) + (1 - r) L(y[order])

    `order` is random. Losses are mixed and not labels, so labels may be integers; for the cross
    entropy it is the same, and for squares it has the same gradient. Masks are those of the first
    row: what the other has beyond it is not seen. Metrics in training see the mixed answers.

    Args:
        alpha: of the Beta distribution; 1 draws r evenly from 0 to 1.
        layer: name of the layer whose output is mixed, such as
            `"Transformer-2-FeedForward-Norm"` or that of a pooling; None: the looked-up vectors.

    Raises:
        ValueError: an alpha below 0.01.

    Source: Zhang et al., mixup: Beyond Empirical Risk Minimization, 2018 (arXiv:1710.09412);
    https://kexue.fm/archives/5693; in hidden layers: Verma et al., Manifold Mixup, 2019
    (arXiv:1806.05236).
    """

    alpha: float = 1.0
    layer: str | None = None

    own_loss: ClassVar[bool] = True

    def __post_init__(self):
        self.require(alpha=0.01)

    def prepare_batch(self, step: Any) -> None:
        count = ops.shape(step.inputs[0])[0]
        step.share = self.draw(step.seed)
        step.order = ops.argsort(keras.random.uniform((count,), seed=step.seed))
        step.others = {
            name: on_tensors(lambda x: ops.take(x, step.order, axis=0), getattr(step, name))
            for name in ("labels", "weights")
        }

    def draw(self, seed: Any) -> Any:
        """r, a float32 scalar.

        By Student's t with 2 alpha degrees of freedom (Bailey, 1994): compiled TensorFlow cannot
        draw from a Beta distribution.
        """
        u = keras.random.uniform((), 1e-12, 1.0, seed=seed)
        cosine = ops.cos(2 * math.pi * keras.random.uniform((), seed=seed))
        square = (u ** (-1 / self.alpha) - 1) * cosine**2
        return 0.5 + 0.5 * ops.sign(cosine) / ops.sqrt(1 + 1 / ops.maximum(square, 1e-30))

    def change_output(self, step: Any, layer: Any, output: Any) -> Any:
        if layer.name != (self.layer or step.embedding.name):
            return output
        return on_tensors(lambda x: self.mixed(step, x), output)

    def mixed(self, step: Any, x: Any) -> Any:
        """A tensor (B, ...) of rows mixed with others."""
        share = ops.cast(step.share, x.dtype)
        return share * x + (1 - share) * ops.take(x, step.order, axis=0)

    def loss(self, step: Any, outputs: Any) -> Any:
        first = super().loss(step, outputs)
        second = step.model_loss(step.others["labels"], outputs, step.others["weights"])
        return step.share * first + (1 - step.share) * second
