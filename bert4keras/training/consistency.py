"""Consistency training: the answers to one text under two disturbances shall agree."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import keras
from keras import ops

from .._serialization import serializable
from .adversarial import perturbed
from .techniques import Objective, Technique, on_tensors, rescaled


@serializable
@dataclasses.dataclass(frozen=True)
class VAT(Technique):
    """Virtual adversarial training: no small move of the vectors E shall change the answer f.

        u ~ N(0, 1);  `iterations` times: u <- gradient of KL(f(E) || f(E + xi u / |u|)) by u
        loss = L + weight KL(f(E) || f(E + epsilon u / |u|))

    f(E) is a constant there, |u| the norm over all vectors of the batch, KL the mean over its
    rows. It knows no label, so texts without one train too: give them a negative label. These rows
    are left out of L, which is the mean over the rows with a label, and of the metrics.

    Args:
        epsilon: length of the move; 0 switches the technique off.
        xi: length of the move by which the direction is found.
        iterations: number of power iterations, one third more of a step's cost each.
        weight: of the term.
        from_logits: whether the model returns scores; None asks the compiled loss.

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

    def perturbation(self, step: Any, vectors: list[Any], outputs: Any) -> list[Any]:
        """The move that changes the answer most, given the answers to the batch as it is."""
        found = [
            keras.random.normal(ops.shape(x), dtype="float32", seed=step.seed) for x in vectors
        ]
        for _ in range(self.iterations):
            start = perturbed(vectors, rescaled(found, self.xi))
            _, found, _ = step.value_and_detached_grads(
                start, lambda others: self.divergence(step, outputs, others)
            )
        return rescaled(found, self.epsilon)

    def divergence(self, step: Any, outputs: Any, others: Any) -> Any:
        """KL of the answers as they are, and others."""
        logits = step.from_logits(self.from_logits)
        target = log_probabilities(ops.stop_gradient(outputs), logits)
        return weighted_mean(kl(target, log_probabilities(others, logits)), step.all_weights)


@serializable
@dataclasses.dataclass(frozen=True)
class RDrop(Objective):
    """R-Drop: each row twice in the batch, under two dropout masks, whose answers shall agree.

        loss = mean over all 2 B rows of the loss + alpha / 4 mean over B of (KL(p||q) + KL(q||p))

    Args:
        alpha: weight.
        from_logits: whether the model returns scores; None asks the compiled loss.

    Raises:
        ValueError: a negative alpha.

    Source: Wu et al., R-Drop, 2021 (arXiv:2106.14448); https://kexue.fm/archives/8496.
    """

    alpha: float = 4.0
    from_logits: bool | None = None

    one_output: ClassVar[bool] = True

    def __post_init__(self):
        self.require(alpha=0)

    def prepare_batch(self, step: Any) -> None:
        def doubled(x):
            return ops.concatenate([x, x], axis=0)

        step.pair_weights = step.all_weights
        for name in ("inputs", "labels", "weights", "all_weights"):
            setattr(step, name, on_tensors(doubled, getattr(step, name)))

    def loss(self, step: Any, outputs: Any) -> Any:
        logs = log_probabilities(outputs, step.from_logits(self.from_logits))
        p, q = ops.split(logs, 2, axis=0)
        between = weighted_mean(kl(p, q) + kl(q, p), step.pair_weights)
        return super().loss(step, outputs) + self.alpha / 4 * between

    def metric_outputs(self, outputs: Any) -> Any:
        return ops.split(outputs, 2, axis=0)[0]


def log_probabilities(outputs: Any, from_logits: bool) -> Any:
    """Logarithms of the probabilities that a model gives to its classes, float32.

    Args:
        outputs: (..., C), probabilities or scores; (..., 1) is one class against another.
        from_logits: whether they are scores.
    """
    outputs = ops.cast(outputs, "float32")
    two = outputs.shape[-1] == 1
    if from_logits:
        outputs = ops.concatenate([ops.zeros_like(outputs), outputs], axis=-1) if two else outputs
        return ops.log_softmax(outputs, axis=-1)
    outputs = ops.concatenate([1 - outputs, outputs], axis=-1) if two else outputs
    return ops.log(ops.clip(outputs, 1e-7, 1.0))


def kl(p: Any, q: Any) -> Any:
    """Kullback-Leibler divergences of distributions, given by logarithms: (..., C) to (...)."""
    return ops.sum(ops.exp(p) * (p - q), axis=-1)


def weighted_mean(values: Any, weights: Any) -> Any:
    """The mean as Keras takes it of losses: the sum of weighted values by their number.

    Args:
        values: (B, ...).
        weights: (B,), of the shape of `values`, or None.
    """
    if weights is None:
        return ops.mean(values)
    weights = ops.cast(weights, values.dtype)
    if weights.shape[-1:] == (1,) and len(weights.shape) == len(values.shape) + 1:
        weights = ops.squeeze(weights, axis=-1)
    while len(weights.shape) < len(values.shape):
        weights = ops.expand_dims(weights, axis=-1)
    return ops.mean(values * weights)
