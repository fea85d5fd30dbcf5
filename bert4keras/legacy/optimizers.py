"""The functions `extend_with_...` of bert4keras 0.11, which return an `ExtendedOptimizer` factory.

`extend_with_lookahead(extend_with_weight_decay(Adam))(learning_rate=..., weight_decay_rate=...)`
works as before, except that substrings are searched for in the paths of variables, not in their
names. Errors of that version are not repeated: slow weights start at the weights, and schedules and
averages count updates. One function serves all optimizers, so `extend_with_..._v2` is the same.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from .._compat import model_in_fit
from ..optimizers import EMA, ExtendedOptimizer, Extension, Lookahead, PiecewiseLinear
from ..optimizers.ema import swap_in, swap_out
from ..optimizers.schedules import LearningRate
from ..optimizers.updates import (
    Accumulate,
    LayerAdaptation,
    LazyEmbeddings,
    LearningRateMultipliers,
    WeightDecay,
)
from . import PACKAGE

_Factory = Callable[..., keras.optimizers.Optimizer]


@keras.saving.register_keras_serializable(PACKAGE)
class OptimizerOfFactory(ExtendedOptimizer):
    """`ExtendedOptimizer` with the methods for averages of 0.11; `ema_weights` is the new way.

    Args:
        inner_optimizer, extensions, name: of `ExtendedOptimizer`.
    """

    def apply_ema_weights(self, bias_correction: bool = True) -> None:
        """Put the averages in place of the weights until `reset_old_weights`.

        Args:
            bias_correction: False: averages as they are stored, which began at 0.

        Raises:
            ValueError: no `EMA` among the extensions, no update yet, or called twice in a row.
        """
        model = model_in_fit()
        if model is not None and hasattr(model, "jax_state_sync"):
            model.jax_state_sync()  # in a callback the variables do not have the current values
        self._old_weights = swap_in(self, bias_correction)

    def reset_old_weights(self) -> None:
        """Put the weights back that `apply_ema_weights` replaced.

        Raises:
            ValueError: nothing was replaced.
        """
        weights = getattr(self, "_old_weights", None)
        if weights is None:
            raise ValueError("reset_old_weights: call apply_ema_weights first.")
        swap_out(self, weights)
        self._old_weights = None


def _extender(make: Callable[..., Extension]) -> Callable[..., _Factory]:
    """Decorate a function that makes an extension; return its `extend_with_...`."""

    @functools.wraps(make)
    def extend(BaseOptimizer: _Factory, name: str | None = None) -> _Factory:
        own = [argument for argument in make.__annotations__ if argument != "return"]

        def build(*args: Any, **kwargs: Any) -> OptimizerOfFactory:
            options = {key: kwargs.pop(key) for key in own if key in kwargs}
            optimizer_name = kwargs.pop("name", None)
            return OptimizerOfFactory(
                BaseOptimizer(*args, **kwargs), [make(**options)], optimizer_name
            )

        build.__name__ = name or f"{make.__name__}_{BaseOptimizer.__name__}"
        return build

    return extend


def _literal(substrings: Sequence[str] | None) -> list[str]:
    """Return patterns that match substrings literally."""
    return [re.escape(substring) for substring in substrings or ()]


@_extender
def extend_with_weight_decay(
    weight_decay_rate: float = 0.01, exclude_from_weight_decay: Sequence[str] | None = None
) -> Extension:
    """Add `WeightDecay`, which excludes only the given substrings."""
    return WeightDecay(weight_decay_rate, _literal(exclude_from_weight_decay))


@_extender
def extend_with_layer_adaptation(
    exclude_from_layer_adaptation: Sequence[str] | None = None,
) -> Extension:
    """Add `LayerAdaptation`, which excludes only the given substrings."""
    return LayerAdaptation(_literal(exclude_from_layer_adaptation))


@_extender
def extend_with_gradient_accumulation(grad_accum_steps: int) -> Extension:
    """Add `Accumulate`."""
    return Accumulate(grad_accum_steps)


@_extender
def extend_with_lookahead(steps_per_slow_update: int = 5, slow_step_size: float = 0.5) -> Extension:
    """Add `Lookahead`."""
    return Lookahead(steps_per_slow_update, slow_step_size)


@_extender
def extend_with_lazy_optimization(include_in_lazy_optimization: Sequence[str] = ()) -> Extension:
    """Add `LazyEmbeddings` with `moments="decay"`, as in that version."""
    return LazyEmbeddings(_literal(include_in_lazy_optimization))


@_extender
def extend_with_exponential_moving_average(ema_momentum: float = 0.999) -> Extension:
    """Add `EMA`; the optimizer has the methods `apply_ema_weights` and `reset_old_weights`."""
    return EMA(ema_momentum)


@_extender
def extend_with_parameter_wise_lr(paramwise_lr_schedule: Mapping[str, float]) -> Extension:
    """Add `LearningRateMultipliers`; the factors of all matching substrings are multiplied."""
    factors = {re.escape(substring): f for substring, f in paramwise_lr_schedule.items()}
    return LearningRateMultipliers(factors, multiply=True)


def extend_with_piecewise_linear_lr(BaseOptimizer: _Factory, name: str | None = None) -> _Factory:
    """Use `PiecewiseLinear` as the learning rate."""

    def build(
        learning_rate: LearningRate = 0.001,
        *args: Any,
        lr_schedule: Mapping[Any, float] | None = None,
        **kwargs: Any,
    ) -> keras.optimizers.Optimizer:
        factors = {int(step): factor for step, factor in (lr_schedule or {0: 1.0}).items()}
        return BaseOptimizer(PiecewiseLinear(learning_rate, factors), *args, **kwargs)

    build.__name__ = name or f"extend_with_piecewise_linear_lr_{BaseOptimizer.__name__}"
    return build
