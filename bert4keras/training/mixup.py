"""Mixup: training on interpolations between two rows of a batch."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, ClassVar

import keras
from keras import ops

from .._serialization import serializable
from .._types import Tensor
from .techniques import Objective, on_tensors

if TYPE_CHECKING:
    from .step import TrainingStep


@serializable
@dataclasses.dataclass(frozen=True)
class Mixup(Objective):
    """Mixup: interpolate each row of a batch with another row, in some layer, and their losses.

        h'   = r h + (1 - r) h[order],     r ~ Beta(alpha, alpha), one for the batch
        loss = r L(y) + (1 - r) L(y[order])

    h is the output of the layer, y are the labels, and `order` is a random permutation of the rows.
    Losses are mixed instead of labels, so labels may be integers; for cross entropy the loss is the
    same, and for squared errors the gradient is. The mask is that of the first row, so positions
    that only the second row has are ignored. Training metrics see the mixed predictions.

    Args:
        alpha: of the Beta distribution; 1 draws r uniformly from 0 to 1.
        layer: name of the layer whose output is mixed, such as
            `"Transformer-2-FeedForward-Norm"` or that of a pooling; None: the embedding layer.

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

    def prepare_batch(self, step: TrainingStep) -> None:
        count = ops.shape(step.inputs[0])[0]
        step.share = self.draw(step.seed)
        step.order = ops.argsort(keras.random.uniform((count,), seed=step.seed))
        step.others = {
            name: on_tensors(lambda x: ops.take(x, step.order, axis=0), getattr(step, name))
            for name in ("labels", "weights")
        }

    def draw(self, seed: keras.random.SeedGenerator) -> Tensor:
        """Draw r from Beta(alpha, alpha), a float32 scalar.

        Compiled TensorFlow cannot draw from a Beta distribution. If t has Student's distribution
        with 2 alpha degrees of freedom, then 1/2 + 1/2 t / sqrt(2 alpha + t^2) has this one, and
        t^2 = 2 alpha (u^(-1/alpha) - 1) cos^2(2 pi v) for u and v uniform (Bailey, 1994). The sign
        of t is that of the cosine.
        """
        u = keras.random.uniform((), 1e-12, 1.0, seed=seed)
        cosine = ops.cos(2 * math.pi * keras.random.uniform((), seed=seed))
        square = (u ** (-1 / self.alpha) - 1) * cosine**2
        return 0.5 + 0.5 * ops.sign(cosine) / ops.sqrt(1 + 1 / ops.maximum(square, 1e-30))

    def change_output(self, step: TrainingStep, layer: keras.layers.Layer, output: Any) -> Any:
        if layer.name != (self.layer or step.embedding.name):
            return output
        return on_tensors(lambda x: self.mixed(step, x), output)

    def mixed(self, step: TrainingStep, x: Tensor) -> Tensor:
        """Interpolate the rows of a tensor (B, ...)."""
        share = ops.cast(step.share, x.dtype)
        return share * x + (1 - share) * ops.take(x, step.order, axis=0)

    def loss(self, step: TrainingStep, outputs: Any) -> Tensor:
        first = super().loss(step, outputs)
        second = step.model_loss(step.others["labels"], outputs, step.others["weights"])
        return step.share * first + (1 - step.share) * second
