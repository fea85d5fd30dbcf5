"""Checks of the arguments of `ExtendedOptimizer`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras

from .._compat import tensorflow_replicas
from .._types import Tensor
from .extension import Extension
from .transforms import FunctionTransform
from .updates import Accumulate


def as_extension(extension: Extension | Callable[[str, Tensor], Tensor]) -> Extension:
    """Return an extension as it is, and wrap a function of path and gradient."""
    if isinstance(extension, Extension):
        return extension
    if callable(extension) and not isinstance(extension, type):
        return FunctionTransform(extension)
    raise TypeError(
        f"ExtendedOptimizer: {extension!r} is not an extension: give objects such as Lookahead(5), "
        "or functions (path, gradient)"
    )


def check_extensions(extensions: Sequence[Extension]) -> None:
    """Refuse two extensions of one class, or two equal ones if the class is repeatable."""
    for number, extension in enumerate(extensions):
        for other in extensions[:number]:
            same = extension == other if extension.repeatable else type(extension) is type(other)
            if same:
                raise ValueError(
                    f"ExtendedOptimizer: the optimizer has {type(extension).__name__} twice: "
                    f"{other} and {extension}. Remove one of them"
                )


def check_replicas(extensions: Sequence[Extension]) -> None:
    """Refuse extensions that read gradients where each replica of TensorFlow has only its own.

    The inner optimizer adds the gradients of the replicas later; and it cannot do so in a branch.
    """
    replicas = tensorflow_replicas()
    reading = [e for e in extensions if e.reads_gradients or isinstance(e, Accumulate)]
    if replicas > 1 and reading:
        raise ValueError(
            f"ExtendedOptimizer: {type(reading[0]).__name__} would see only the gradients of one "
            f"of the {replicas} replicas of tf.distribute, not those of the batch. Remove it (for "
            "clipping, give the inner optimizer global_clipnorm), or use JAX, where it works on "
            "many devices, see docs/distributed.md"
        )


def check_inner(inner: keras.optimizers.Optimizer, extensions: Sequence[Extension]) -> None:
    """Refuse an inner optimizer that does itself what an extension does, or that cannot have it."""
    name = type(inner).__name__
    if isinstance(inner, keras.optimizers.LossScaleOptimizer):
        raise ValueError(
            "ExtendedOptimizer: LossScaleOptimizer cannot be the inner optimizer; use "
            "LossScaleOptimizer(ExtendedOptimizer(...))"
        )
    for argument, instead in (
        ("gradient_accumulation_steps", "Accumulate(steps)"),
        ("use_ema", "EMA(momentum)"),
        ("loss_scale_factor", "a LossScaleOptimizer around ExtendedOptimizer"),
    ):
        if getattr(inner, argument, None):
            raise ValueError(f"ExtendedOptimizer: {name} has {argument}; use {instead} instead")
    decays = getattr(inner, "weight_decay", None) or getattr(inner, "weight_decay_rate", None)
    if decays and any(extension.decays_weights for extension in extensions):
        raise ValueError(
            f"ExtendedOptimizer: {name} decays weights by itself ({decays}); with WeightDecay in "
            "the list give it weight_decay=0, or use Adam instead of AdamW"
        )
    moving = next((type(e).__name__ for e in extensions if e.moves_weights), None)
    if moving and name == "ScheduleFreeAdamW":
        raise ValueError(
            "ExtendedOptimizer: ScheduleFreeAdamW derives its state from the weights, which "
            f"{moving} changes; use another optimizer or remove {moving}"
        )
    needs_rate = [extension for extension in extensions if extension.reads_learning_rate]
    if needs_rate and name == "MultiOptimizer":
        raise ValueError(
            "ExtendedOptimizer: MultiOptimizer has several learning rates, but "
            f"{type(needs_rate[0]).__name__} needs one; give weight_decay to its members"
        )
