"""LAMB as in the paper: Adam for large batches, with updates scaled to the norm of the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from .._compat import variable_index
from .._serialization import serializable
from .._types import Tensor
from .paths import as_list, as_patterns, excluded
from .schedules import LearningRate


def trust_ratio(weight: Tensor, update: Tensor) -> Tensor:
    """Return ||weight|| / ||update|| of whole tensors, a float32 scalar; 1 if either norm is 0."""
    weight, update = (
        ops.sqrt(ops.sum(ops.square(ops.cast(x, "float32")))) for x in (weight, update)
    )
    usable = ops.logical_and(weight > 0, update > 0)
    return ops.where(usable, weight / ops.where(usable, update, 1.0), 1.0)


@serializable
class LAMB(keras.optimizers.Optimizer):
    """LAMB. For each variable w with gradient g, at update t = 1, 2, ...:

        m = beta_1 m + (1 - beta_1) g,   v = beta_2 v + (1 - beta_2) g^2
        h = m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon) + weight_decay_rate w
        w = w - learning_rate ||w|| / ||h|| h

    The trust ratio ||w|| / ||h|| is 1 if a norm is 0. In `keras.optimizers.Lamb` the decay is not
    part of h, and no variable can be excluded from the adaptation.

    Args:
        learning_rate: number or schedule.
        beta_1, beta_2, epsilon: of Adam; the paper's epsilon is 1e-6.
        weight_decay_rate: lambda of the paper.
        exclude_from_weight_decay: regular expressions on paths; None: norms and biases; () none.
        exclude_from_layer_adaptation: the same, for variables whose trust ratio should be 1.
        bias_correction: False uses m and v without correction, like the released code for BERT.
        kwargs: `name`, `clipnorm` and others of `keras.optimizers.Optimizer`.

    Raises:
        ValueError: a negative decay, Keras' `weight_decay`, or a pattern that matches no variable.

    Source: You et al., Large Batch Optimization for Deep Learning: Training BERT in 76 minutes,
    2020, https://arxiv.org/abs/1904.00962, algorithm 2.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
        weight_decay_rate: float = 0.01,
        exclude_from_weight_decay: str | Sequence[str] | None = None,
        exclude_from_layer_adaptation: str | Sequence[str] | None = None,
        bias_correction: bool = True,
        **kwargs: Any,
    ):
        if kwargs.get("weight_decay"):
            raise ValueError(
                "LAMB has no weight_decay, because Keras applies it outside of the trust ratio: "
                "use weight_decay_rate"
            )
        if not weight_decay_rate >= 0:
            raise ValueError(f"LAMB: weight_decay_rate must be 0 or more, not {weight_decay_rate}")
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.weight_decay_rate = weight_decay_rate
        self.decay_exclusions = as_patterns(exclude_from_weight_decay)
        self.adaptation_exclusions = as_patterns(exclude_from_layer_adaptation)
        self.bias_correction = bias_correction

    def build(self, variables: Sequence[keras.Variable]) -> None:
        if self.built:
            return
        paths = [variable.path for variable in variables]
        plain = excluded(paths, self.decay_exclusions, "LAMB, exclude_from_weight_decay")
        rigid = excluded(paths, self.adaptation_exclusions, "LAMB, exclude_from_layer_adaptation")
        # By index, because on TensorFlow `update_step` gets variables without a path.
        self._rates = [0.0 if i in plain else self.weight_decay_rate for i in range(len(paths))]
        self._adapted = [i not in rigid for i in range(len(paths))]
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(
            variables, ["momentum", "velocity"]
        )

    def update_step(
        self, gradient: Tensor, variable: keras.Variable, learning_rate: Tensor
    ) -> None:
        index, dtype = variable_index(self, variable), variable.dtype
        m, v = self._momentums[index], self._velocities[index]
        gradient = ops.cast(gradient, dtype)
        self.assign_add(m, (gradient - m) * (1 - self.beta_1))
        self.assign_add(v, (ops.square(gradient) - v) * (1 - self.beta_2))
        first, second = 1.0, 1.0
        if self.bias_correction:
            step = ops.cast(self.iterations + 1, dtype)
            first = 1 - ops.power(ops.cast(self.beta_1, dtype), step)
            second = 1 - ops.power(ops.cast(self.beta_2, dtype), step)
        update = m / first / (ops.sqrt(v / second) + self.epsilon) + self._rates[index] * variable
        rate = ops.cast(learning_rate, dtype)
        if self._adapted[index]:
            rate = rate * ops.cast(trust_ratio(variable, update), dtype)
        self.assign_sub(variable, rate * update)

    def exclude_from_weight_decay(
        self,
        var_list: Sequence[keras.Variable] | None = None,
        var_names: Sequence[str] | None = None,
    ) -> None:
        """Raise a ValueError: this method of Keras has no effect on LAMB's own decay."""
        raise ValueError(
            "LAMB has no method exclude_from_weight_decay: use the argument "
            "LAMB(exclude_from_weight_decay=[...]) with patterns of paths"
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["weight_decay"]
        return {
            **config,
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "weight_decay_rate": self.weight_decay_rate,
            "exclude_from_weight_decay": as_list(self.decay_exclusions),
            "exclude_from_layer_adaptation": as_list(self.adaptation_exclusions),
            "bias_correction": self.bias_correction,
        }
