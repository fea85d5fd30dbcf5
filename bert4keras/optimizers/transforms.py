"""Transforms of each variable's gradient: clip, normalize, add noise, or a function."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from .._serialization import revive, serializable
from .._types import Tensor
from .extension import GradientTransform, WeightUpdate

if TYPE_CHECKING:
    from .extended import ExtendedOptimizer


def _norm(gradient: Tensor) -> Tensor:
    """Return the Euclidean norm of one tensor."""
    return ops.sqrt(ops.sum(ops.square(gradient)))


@serializable
@dataclasses.dataclass(frozen=True)
class Clip(GradientTransform):
    """Clip the norm of each variable's gradient: g min(1, norm / ||g||).

    Args:
        norm: highest norm of one variable's gradient. To clip all gradients as one vector use
            `global_clipnorm` of the inner optimizer.
        paths: regular expressions on the paths of the variables to transform; None: all.

    Raises:
        ValueError: a norm that is not positive.

    Source: Pascanu et al., On the difficulty of training recurrent neural networks, 2013,
    https://arxiv.org/abs/1211.5063; per tensor: https://kexue.fm/archives/6418.
    """

    norm: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.norm > 0:
            raise ValueError(f"Clip: norm must be above 0, not {self.norm!r}")

    def transform(self, state: Any, update: WeightUpdate, path: str, gradient: Tensor) -> Tensor:
        return gradient * (self.norm / ops.maximum(_norm(gradient), self.norm))


@serializable
@dataclasses.dataclass(frozen=True)
class Normalize(GradientTransform):
    """Normalize each variable's gradient to norm 1: g / ||g||; a gradient of 0 stays 0.

    Args:
        paths: regular expressions on the paths of the variables to transform; None: all.

    Source: https://kexue.fm/archives/6418.
    """

    def transform(self, state: Any, update: WeightUpdate, path: str, gradient: Tensor) -> Tensor:
        length = _norm(gradient)
        return gradient / ops.where(length > 0, length, 1.0)


@serializable
@dataclasses.dataclass(frozen=True)
class Noise(GradientTransform):
    """Add normal noise whose standard deviation is stddev / (1 + t)^(decay / 2) at update t.

    Args:
        stddev: standard deviation at the first update, t = 0; the paper uses 0.1, 0.55 and 1.0.
        decay: 0 keeps the standard deviation constant.
        seed: of the noise; the state of its generator is saved with the optimizer.
        paths: regular expressions on the paths of the variables to transform; None: all.

    Raises:
        ValueError: a negative `stddev` or `decay`.

    Source: Neelakantan et al., Adding Gradient Noise Improves Learning for Very Deep Networks,
    2015, https://arxiv.org/abs/1511.06807.
    """

    stddev: float = 0.1
    decay: float = 0.55
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("stddev", "decay"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"Noise: {name} must be 0 or more, not {getattr(self, name)!r}")

    def build(self, optimizer: ExtendedOptimizer) -> tuple[set[int], keras.random.SeedGenerator]:
        generator = keras.random.SeedGenerator(self.seed, name="noise")
        optimizer.track(generator.state)
        return super().build(optimizer), generator

    def concerns(self, state: Any, index: int) -> bool:
        return super().concerns(state[0], index)

    def transform(self, state: Any, update: WeightUpdate, path: str, gradient: Tensor) -> Tensor:
        t = ops.cast(update.optimizer.updates, gradient.dtype)
        deviation = self.stddev * ops.power(1.0 + t, -self.decay / 2)
        noise = keras.random.normal(ops.shape(gradient), dtype=gradient.dtype, seed=state[1])
        return gradient + deviation * noise


@serializable
@dataclasses.dataclass(frozen=True)
class FunctionTransform(GradientTransform):
    """Any function of a variable's path and its gradient.

    `ExtendedOptimizer` also accepts the bare function.

    Args:
        function: `(path, gradient) -> gradient`, made of `keras.ops`. A model is only saved with it
            if it is registered with `keras.saving.register_keras_serializable`.
        paths: regular expressions on the paths of the variables to transform; None: all.

    Raises:
        TypeError: not a function.
        ValueError: when a model is saved, a function that is not registered.

    Example:
        >>> reverse = FunctionTransform(lambda path, g: -g, paths="adversary")
        >>> ExtendedOptimizer("adam", [reverse])
    """

    function: Callable[[str, Tensor], Tensor]

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.function, Mapping):
            object.__setattr__(self, "function", revive(self.function))
        if not callable(self.function):
            raise TypeError(
                f"FunctionTransform: {self.function!r} is not a function (path, gradient)"
            )

    def transform(self, state: Any, update: WeightUpdate, path: str, gradient: Tensor) -> Tensor:
        changed = ops.convert_to_tensor(self.function(path, gradient))
        if tuple(changed.shape) != tuple(gradient.shape):
            raise ValueError(
                f"FunctionTransform: the function returned a gradient {tuple(changed.shape)} for "
                f"{path!r}, which must have the shape {tuple(gradient.shape)} of the variable"
            )
        return changed

    def get_config(self) -> dict[str, Any]:
        name = keras.saving.get_registered_name(self.function)
        if keras.saving.get_registered_object(name) is None:
            raise ValueError(
                f"FunctionTransform: {self.function!r} cannot be saved; register a named function "
                "by keras.saving.register_keras_serializable"
            )
        return {
            **super().get_config(),
            "function": keras.saving.serialize_keras_object(self.function),
        }
