"""Adversarial training and the gradient penalty, on the vectors that a batch looks up.

The perturbation is added to what the embedding layer returns, not to its matrix. So nothing has to
be restored, a tied output matrix is left alone, and two places of one token move apart. (The
articles move the row of the matrix: all places of a token by the sum of their gradients.)
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from keras import ops

from .._serialization import serializable
from .techniques import Technique, global_norm, rescaled


@serializable
@dataclasses.dataclass(frozen=True)
class FGM(Technique):
    """Fast gradient method: train on the batch as it is and where its loss rises fastest.

        d    = epsilon g / |g|,      g = gradient of the loss L with respect to the vectors E
        loss = L(E) + L(E + d)

    |g| is the norm over all vectors of the batch together. d is a constant: nothing is
    differentiated through it. A batch whose g is zero or not finite is not perturbed.

    Args:
        epsilon: |d|; 0 switches the technique off.
        clean: also train on the batch as it is, the classic form. False is that of the author of
            bert4keras, L(E + d) alone.

    Raises:
        ValueError: a negative epsilon.

    Source: Miyato, Dai and Goodfellow, Adversarial Training Methods for Semi-Supervised Text
    Classification, 2017 (arXiv:1605.07725); https://kexue.fm/archives/7234.
    """

    epsilon: float = 1.0
    clean: bool = True

    role: ClassVar[str] = "adversarial"

    def __post_init__(self):
        self.require(epsilon=0)

    @property
    def active(self) -> bool:
        return self.epsilon > 0

    def perturbation(self, step: Any, vectors: list[Any], gradients: list[Any]) -> list[Any]:
        """What is added to the vectors, given the gradients at the batch as it is."""
        return rescaled(gradients, self.epsilon)


@serializable
@dataclasses.dataclass(frozen=True)
class PGD(FGM):
    """Projected gradient descent: FGM in several smaller steps, which stay within a ball.

        d_0 = 0,   d_k+1 = P(d_k + alpha g_k / |g_k|),   g_k the gradient at E + d_k

    where P shrinks what is longer than epsilon to epsilon. A step costs two thirds of a plain
    training step, the first one nothing.

    Args:
        epsilon: radius of the ball; 0 switches the technique off.
        clean: see `FGM`.
        alpha: length of a step.
        steps: number of steps.

    Raises:
        ValueError: a negative epsilon, alpha or a number of steps below 1.

    Source: Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, 2018
    (arXiv:1706.06083).
    """

    alpha: float = 0.3
    steps: int = 3

    def __post_init__(self):
        super().__post_init__()
        self.require(alpha=0, steps=1)

    def perturbation(self, step: Any, vectors: list[Any], gradients: list[Any]) -> list[Any]:
        found = self.projected(rescaled(gradients, self.alpha))
        for _ in range(self.steps - 1):
            _, gradients, _ = step.value_and_detached_grads(perturbed(vectors, found))
            further = rescaled(gradients, self.alpha)
            found = self.projected([a + b for a, b in zip(found, further, strict=True)])
        return found

    def projected(self, tensors: list[Any]) -> list[Any]:
        """The nearest point of the ball."""
        factor = ops.minimum(1.0, self.epsilon / ops.maximum(global_norm(tensors), 1e-30))
        return [tensor * factor for tensor in tensors]


@serializable
@dataclasses.dataclass(frozen=True)
class GradientPenalty(Technique):
    """Keep the loss flat around the vectors: loss = L + epsilon / 2 |dL/dE|^2.

    The square is the sum over all vectors of the batch, L the mean over the batch: as in the
    article, so that the penalty falls with the batch size. It is differentiated twice; a loss or
    layer whose second derivative is not right (the CRF's) is not for it.

    Args:
        epsilon: weight; 0 switches the technique off.

    Raises:
        ValueError: a negative epsilon.

    Source: https://kexue.fm/archives/7234; Ross and Doshi-Velez, Improving the Adversarial
    Robustness and Interpretability of Deep Neural Networks by Regularizing Their Input Gradients,
    2018 (arXiv:1711.09404).
    """

    epsilon: float = 1.0

    role: ClassVar[str] = "penalty"

    def __post_init__(self):
        self.require(epsilon=0)

    @property
    def active(self) -> bool:
        return self.epsilon > 0

    def penalty(self, gradients: list[Any]) -> Any:
        """The term, given the gradients with respect to the vectors."""
        squares = (ops.sum(ops.square(ops.cast(x, "float32"))) for x in gradients)
        return 0.5 * self.epsilon * sum(squares)


def perturbed(vectors: list[Any], perturbation: list[Any]) -> list[Any]:
    """Vectors plus a perturbation in float32."""
    return [x + ops.cast(d, x.dtype) for x, d in zip(vectors, perturbation, strict=True)]
