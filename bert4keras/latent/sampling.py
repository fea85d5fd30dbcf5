"""Samples through which gradients flow: Gaussian and Gumbel reparameterisation, straight-through.

Symbols: mu and s are mean and standard deviation, n is a number of categories, sg stops the
gradient. `...` stands for any axes in front, of batch and positions.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from .._serialization import revive, serializable
from .._types import Tensor
from ..optimizers.schedules import LearningRate


@serializable
class Annealing(keras.layers.Layer):
    """Multiply by a number that follows a schedule over training steps, such as the KL's weight.

    The steps are counted by a non-trainable weight, which a model saves. A step is a call in
    training; outside training the number stays at the last one.

    Args:
        schedule: a number, or a schedule of learning rates (`PiecewiseLinear` and those of Keras).

    Example:
        >>> weight = Annealing(PiecewiseLinear(1.0, {1000: 1.0}))  # from 0 to 1 in 1000 steps
        >>> loss = reconstruction + weight(kl, training=training)
    """

    def __init__(self, schedule: LearningRate, **kwargs: Any):
        super().__init__(**kwargs)
        self.schedule = revive(schedule)
        if callable(self.schedule):
            self.step = self.add_weight(
                shape=(), dtype="int32", initializer="zeros", trainable=False, name="step"
            )
        self.built = True

    def value(self, training: bool | None = None) -> Tensor:
        """Return the present number, float32 (); in training also advance the step."""
        if not callable(self.schedule):
            return ops.convert_to_tensor(self.schedule, "float32")
        value = ops.cast(self.schedule(self.step.value), "float32")
        if training:
            self.step.assign_add(1)
        return value

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        return x * ops.cast(self.value(training), x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        schedule = self.schedule
        if callable(schedule):
            schedule = keras.saving.serialize_keras_object(schedule)
        return {**super().get_config(), "schedule": schedule}


@serializable
class GaussianSampling(keras.layers.Layer):
    """Draw z = mu + s e with e ~ N(0, I); outside training z = mu.

    Args:
        seed: of the noise.

    Call arguments:
        inputs: pair of mu and log s^2, (..., D) each.
        sample: True draws outside training too; False never draws; None: as `training`.

    Source: Kingma and Welling, Auto-Encoding Variational Bayes, 2014 (arXiv:1312.6114).
    """

    def __init__(self, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=None, sample=None):
        mean, log_var = inputs
        if not (training if sample is None else sample):
            return mean
        noise = keras.random.normal(ops.shape(mean), dtype="float32", seed=self.seed_generator)
        deviation = ops.exp(ops.cast(log_var, "float32") / 2)
        return ops.cast(ops.cast(mean, "float32") + deviation * noise, mean.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


@serializable
class GumbelSoftmax(keras.layers.Layer):
    """Draw relaxed categories y = softmax((logits + g) / t), with g = -log(-log u), u ~ U(0, 1).

    The largest entry of y is distributed as softmax(logits) says, at each temperature t. With
    `hard` the output is one_hot(argmax y), and its gradient is that of y. Outside training g = 0.

    Args:
        temperature: t, above 0: a number, or a schedule over training steps, see `Annealing`.
        hard: return one-hot vectors.
        seed: of the noise.

    Call arguments:
        logits: (..., n).
        sample: True draws outside training too; False never draws; None: as `training`.

    Raises:
        ValueError: a temperature that is not above 0.

    Source: Jang et al., Categorical Reparameterization with Gumbel-Softmax, 2017
    (arXiv:1611.01144); https://kexue.fm/archives/6705.
    """

    def __init__(
        self,
        temperature: LearningRate = 1.0,
        hard: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        temperature = revive(temperature)
        if not callable(temperature) and not temperature > 0:
            raise ValueError(f"temperature={temperature!r} must be above 0, or a schedule.")
        self.temperature = Annealing(temperature, name="temperature")
        self.hard = hard
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, logits, training=None, sample=None):
        scores = ops.cast(logits, "float32")
        if training if sample is None else sample:
            uniform = keras.random.uniform(
                ops.shape(scores), 1e-20, 1.0, dtype="float32", seed=self.seed_generator
            )
            scores = scores - ops.log(-ops.log(uniform))
        soft = ops.softmax(scores / self.temperature.value(training), axis=-1)
        if self.hard:
            chosen = ops.one_hot(ops.argmax(soft, axis=-1), soft.shape[-1], dtype="float32")
            soft = straight_through(chosen, soft)
        return ops.cast(soft, logits.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = {"hard": self.hard, "seed": self.seed}
        config["temperature"] = self.temperature.get_config()["schedule"]
        return {**super().get_config(), **config}


def straight_through(forward: Tensor, backward: Tensor) -> Tensor:
    """Return the values of `forward`, exactly, with the gradient of `backward`.

    This is sg(forward) + (backward - sg(backward)). No gradient reaches `forward`.
    """
    return ops.stop_gradient(forward) + (backward - ops.stop_gradient(backward))


def gaussian_kl(mean: Tensor, log_var: Tensor, free_bits: float = 0.0) -> Tensor:
    """Return KL(N(mu, s^2) | N(0, I)) = 1/2 sum(mu^2 + s^2 - 1 - log s^2), in nats.

    With free bits, a dimension whose mean KL over all rows is below `free_bits` counts as that
    constant. It then has no gradient, so nothing pulls it further to the prior.

    Args:
        mean: mu, (..., D).
        log_var: log s^2, (..., D).
        free_bits: nats a dimension.

    Returns:
        (...), float32.

    Source: free bits: Kingma et al., Improving Variational Inference with Inverse Autoregressive
    Flow, 2016 (arXiv:1606.04934), appendix C.8.
    """
    mean, log_var = ops.cast(mean, "float32"), ops.cast(log_var, "float32")
    kl = (ops.square(mean) + ops.exp(log_var) - 1 - log_var) / 2
    if free_bits:
        rows = ops.mean(kl, axis=tuple(range(len(kl.shape) - 1)), keepdims=True)
        kl = ops.where(rows > free_bits, kl, free_bits)
    return ops.sum(kl, axis=-1)


def categorical_kl(logits: Tensor) -> Tensor:
    """Return KL(p | uniform) = log n + sum p log p of p = softmax(logits), in nats.

    Args:
        logits: (..., n).

    Returns:
        (...), float32.
    """
    logits = ops.cast(logits, "float32")
    logs = ops.log_softmax(logits, axis=-1)
    size = ops.convert_to_tensor(float(logits.shape[-1]), "float32")
    return ops.log(size) + ops.sum(ops.exp(logs) * logs, axis=-1)
