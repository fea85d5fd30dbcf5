"""Adversarial training and the gradient penalty, on the embedding vectors of a batch.

The perturbation is added to the output of the embedding layer, not to its matrix. So nothing has to
be restored, a tied output matrix is not changed, and two positions with the same token get
different perturbations. (The articles change the row of the matrix: all positions with a token move
by the sum of their gradients.)
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from keras import ops

from .._serialization import serializable
from .._types import Tensor
from .techniques import Technique, global_norm, rescaled

if TYPE_CHECKING:
    from .step import TrainingStep


@serializable
@dataclasses.dataclass(frozen=True)
class FGM(Technique):
    """Fast gradient method: also train on the batch moved to where its loss rises fastest.

        d    = epsilon g / |g|,      g = dL/dE, the gradient of the loss L by the vectors E
        loss = L(E) + L(E + d)

    |g| is the norm over all vectors of the batch together. d is a constant: nothing is
    differentiated through it. A batch whose g is zero or not finite is not perturbed.

    Args:
        epsilon: |d|; 0 switches the technique off.
        clean: also train on the batch without perturbation, as in the article. False minimises only
            L(E + d), as the author of bert4keras does.

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

    def perturbation(
        self, step: TrainingStep, vectors: list[Tensor], gradients: list[Tensor]
    ) -> list[Tensor]:
        """Return d, of the shapes of the vectors.

        Args:
            step: the step.
            vectors: E, (B, T, D) for each call of the embedding layer.
            gradients: dL/dE, without perturbation.
        """
        return rescaled(gradients, self.epsilon)


@serializable
@dataclasses.dataclass(frozen=True)
class PGD(FGM):
    """Projected gradient descent: FGM in several smaller steps, projected onto a ball.

        d_0 = 0,   d_k+1 = P(d_k + alpha g_k / |g_k|),   g_k = dL/dE at E + d_k

    where P scales a longer perturbation down to length epsilon. Each step but the first costs two
    thirds of a plain training step; the first uses the gradient of the unperturbed batch.

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

    def perturbation(
        self, step: TrainingStep, vectors: list[Tensor], gradients: list[Tensor]
    ) -> list[Tensor]:
        found = self.projected(rescaled(gradients, self.alpha))
        for _ in range(self.steps - 1):
            _, gradients, _ = step.value_and_detached_grads(perturbed(vectors, found))
            further = rescaled(gradients, self.alpha)
            found = self.projected([a + b for a, b in zip(found, further, strict=True)])
        return found

    def projected(self, tensors: list[Tensor]) -> list[Tensor]:
        """Project onto the ball: return its nearest point."""
        factor = ops.minimum(1.0, self.epsilon / ops.maximum(global_norm(tensors), 1e-30))
        return [tensor * factor for tensor in tensors]


@serializable
@dataclasses.dataclass(frozen=True)
class GradientPenalty(Technique):
    """Gradient penalty: loss = L + epsilon / 2 |dL/dE|^2, which keeps the loss flat around E.

    The square is summed over all vectors of the batch, and L is the mean over the batch, as in the
    article; so the penalty falls with the batch size. The loss is differentiated twice, which is
    refused for a loss without a correct second derivative, such as that of the CRF.

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

    def penalty(self, gradients: list[Tensor]) -> Tensor:
        """Return the term of the loss, given dL/dE."""
        squares = (ops.sum(ops.square(ops.cast(x, "float32"))) for x in gradients)
        return 0.5 * self.epsilon * sum(squares)


def perturbed(vectors: list[Tensor], perturbation: list[Tensor]) -> list[Tensor]:
    """Add a perturbation in float32 to vectors, in the dtype of the vectors."""
    return [x + ops.cast(d, x.dtype) for x, d in zip(vectors, perturbation, strict=True)]
