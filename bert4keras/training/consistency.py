"""Consistency training: predictions for one text under two perturbations should agree."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

import keras
from keras import ops

from .._serialization import serializable
from .._types import Tensor
from .adversarial import perturbed
from .techniques import Objective, Technique, on_tensors, rescaled

if TYPE_CHECKING:
    from .step import TrainingStep


@serializable
@dataclasses.dataclass(frozen=True)
class VAT(Technique):
    """Virtual adversarial training: a small perturbation of the vectors should not change f.

    With E the embedding vectors of the batch and f(E) the class probabilities,

        loss = L + weight D(epsilon u / |u|),     D(d) = KL(f(E) || f(E + d)),

    where u is the direction in which D rises fastest. D and its gradient are 0 at d = 0, so near 0
    D(d) = 1/2 d^T H d with the Hessian H of D, and u is the eigenvector of H with the largest
    eigenvalue. It is found by power iteration: u starts from N(0, 1), and each iteration sets
    u to H u, up to a factor, which is the gradient of D at d = xi u / |u|. H is never formed.

    f(E) is a constant in D, |u| is the norm over all vectors of the batch, and KL the mean over its
    rows. The term needs no label, so texts without a label can train too: give them a negative
    label. These rows are left out of L, the mean over the rows with a label, and of the metrics.

    Args:
        epsilon: length of the perturbation; 0 switches the technique off.
        xi: length of the perturbation at which the gradient of D is taken.
        iterations: number of power iterations; each costs a third of a step.
        weight: of the term.
        from_logits: True if the model returns logits; None asks the compiled loss.

    Raises:
        ValueError: a negative epsilon or weight, xi = 0 or no iteration.

    Source: Miyato et al., Virtual Adversarial Training, 2018 (arXiv:1704.03976);
    https://kexue.fm/archives/7466.
    """

    epsilon: float = 1.0
    xi: float = 10.0
    iterations: int = 1
    weight: float = 1.0
    from_logits: bool | None = None

    role: ClassVar[str] = "consistency"
    one_output: ClassVar[bool] = True

    def __post_init__(self):
        self.require(epsilon=0, xi=1e-12, iterations=1, weight=0)

    @property
    def active(self) -> bool:
        return self.epsilon > 0

    def perturbation(
        self, step: TrainingStep, vectors: list[Tensor], outputs: Tensor
    ) -> list[Tensor]:
        """Return the perturbation that changes the prediction most, of the shapes of the vectors.

        Args:
            step: the step.
            vectors: E, (B, T, D) for each call of the embedding layer.
            outputs: f(E), the outputs without perturbation.
        """
        found = [
            keras.random.normal(ops.shape(x), dtype="float32", seed=step.seed) for x in vectors
        ]
        for _ in range(self.iterations):
            start = perturbed(vectors, rescaled(found, self.xi))
            _, found, _ = step.value_and_detached_grads(
                start, lambda others: self.divergence(step, outputs, others)
            )
        return rescaled(found, self.epsilon)

    def divergence(self, step: TrainingStep, outputs: Tensor, others: Tensor) -> Tensor:
        """Return D: KL from the outputs without perturbation (a constant) to other outputs."""
        logits = step.from_logits(self.from_logits)
        target = log_probabilities(ops.stop_gradient(outputs), logits)
        return weighted_mean(_kl(target, log_probabilities(others, logits)), step.all_weights)


@serializable
@dataclasses.dataclass(frozen=True)
class RDrop(Objective):
    """R-Drop: two copies of each row, under two dropout masks, should get the same prediction.

        loss = mean over all 2 B rows of the loss + alpha / 4 mean over B of (KL(p||q) + KL(q||p))

    with p and q the predictions for the two copies of a row.

    Args:
        alpha: weight.
        from_logits: True if the model returns logits; None asks the compiled loss.

    Raises:
        ValueError: a negative alpha.

    Source: Wu et al., R-Drop, 2021 (arXiv:2106.14448); https://kexue.fm/archives/8496.
    """

    alpha: float = 4.0
    from_logits: bool | None = None

    one_output: ClassVar[bool] = True

    def __post_init__(self):
        self.require(alpha=0)

    def prepare_batch(self, step: TrainingStep) -> None:
        def doubled(x):
            return ops.concatenate([x, x], axis=0)

        step.pair_weights = step.all_weights
        for name in ("inputs", "labels", "weights", "all_weights"):
            setattr(step, name, on_tensors(doubled, getattr(step, name)))

    def loss(self, step: TrainingStep, outputs: Tensor) -> Tensor:
        logs = log_probabilities(outputs, step.from_logits(self.from_logits))
        p, q = ops.split(logs, 2, axis=0)
        between = weighted_mean(_kl(p, q) + _kl(q, p), step.pair_weights)
        return super().loss(step, outputs) + self.alpha / 4 * between

    def metric_outputs(self, outputs: Tensor) -> Tensor:
        return ops.split(outputs, 2, axis=0)[0]


def log_probabilities(outputs: Tensor, from_logits: bool) -> Tensor:
    """Return the logarithms of class probabilities, float32 (..., C).

    Args:
        outputs: (..., C), probabilities or logits; (..., 1) is the positive of two classes.
        from_logits: True if they are logits.
    """
    outputs = ops.cast(outputs, "float32")
    two = outputs.shape[-1] == 1
    if from_logits:
        outputs = ops.concatenate([ops.zeros_like(outputs), outputs], axis=-1) if two else outputs
        return ops.log_softmax(outputs, axis=-1)
    outputs = ops.concatenate([1 - outputs, outputs], axis=-1) if two else outputs
    return ops.log(ops.clip(outputs, 1e-7, 1.0))


def _kl(p: Tensor, q: Tensor) -> Tensor:
    """Return Kullback-Leibler divergences KL(p || q), (...), of log-probabilities (..., C)."""
    return ops.sum(ops.exp(p) * (p - q), axis=-1)


def weighted_mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """Return the mean as Keras defines it for losses: the weighted sum divided by the number.

    Args:
        values: (B, ...).
        weights: (B,), or the shape of `values`; None: no weights.
    """
    if weights is None:
        return ops.mean(values)
    weights = ops.cast(weights, values.dtype)
    if weights.shape[-1:] == (1,) and len(weights.shape) == len(values.shape) + 1:
        weights = ops.squeeze(weights, axis=-1)
    while len(weights.shape) < len(values.shape):
        weights = ops.expand_dims(weights, axis=-1)
    return ops.mean(values * weights)
