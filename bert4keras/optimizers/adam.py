"""Adam without bias correction, as BERT was trained."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from .._serialization import serializable
from .._types import Tensor
from .schedules import LearningRate


@serializable
class Adam(keras.optimizers.Adam):
    """Adam with optional bias correction of its moments, as of bert4keras 0.11.

    For a weight w with gradient g, at update t = 1, 2, ...:

        m = beta_1 m + (1 - beta_1) g,   v = beta_2 v + (1 - beta_2) g^2
        w = w - learning_rate * m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon)

    The divisions by 1 - beta^t are the correction. Without it the first updates are about
    (1 - beta_1) / sqrt(1 - beta_2), 3.2 with the defaults, times as large: use warm-up.

    Args:
        learning_rate: number or schedule.
        bias_correction: False: no correction.
        epsilon: as in the paper's algorithm, where Keras has the paper's other form.
        kwargs: of `keras.optimizers.Adam`; `weight_decay` is decoupled, as in AdamW.

    Source: Devlin et al., BERT, 2019, https://arxiv.org/abs/1810.04805, the released code; Kingma
    and Ba, Adam, 2015, https://arxiv.org/abs/1412.6980.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        bias_correction: bool = True,
        epsilon: float = 1e-6,
        **kwargs: Any,
    ):
        super().__init__(learning_rate=learning_rate, epsilon=epsilon, **kwargs)
        self.bias_correction = bias_correction

    def update_step(
        self, gradient: Tensor, variable: keras.Variable, learning_rate: Tensor
    ) -> None:
        # The epsilon of Keras is divided by sqrt(1 - beta_2^t), thus 32 times as large at first.
        epsilon, step = self.epsilon, ops.cast(self.iterations + 1, variable.dtype)
        beta_1, beta_2 = (ops.cast(b, variable.dtype) for b in (self.beta_1, self.beta_2))
        root = ops.sqrt(1 - ops.power(beta_2, step))
        if self.bias_correction:
            self.epsilon = epsilon * root
        else:
            # Keras multiplies the rate by the correction, so it is divided by it here.
            correction = root / (1 - ops.power(beta_1, step))
            learning_rate = ops.cast(learning_rate, variable.dtype) / correction
        try:
            super().update_step(gradient, variable, learning_rate)
        finally:
            self.epsilon = epsilon

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bias_correction": self.bias_correction}
