"""The names of bert4keras 0.11: each makes a function that builds an `ExtendedOptimizer`.

`extend_with_lookahead(extend_with_weight_decay(Adam))(learning_rate=..., weight_decay_rate=...)`
works as it did, with substrings of paths where these functions took substrings of names. What was
wrong there is right here: slow weights begin at the weights, schedules and averages count updates.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .averages import EMA, Lookahead
from .extended import ExtendedOptimizer
from .extension import Extension
from .schedules import PiecewiseLinear
from .updates import (
    Accumulate,
    LayerAdaptation,
    LazyEmbeddings,
    LearningRateMultipliers,
    WeightDecay,
)

Factory = Callable[..., Any]


def extender(make: Callable[..., Extension]) -> Callable[..., Factory]:
    """Turn a function of the extension's own arguments into an `extend_with_...`."""

    @functools.wraps(make)
    def extend(BaseOptimizer: Factory, name: str | None = None) -> Factory:
        own = [argument for argument in make.__annotations__ if argument != "return"]

        def build(*args: Any, **kwargs: Any) -> ExtendedOptimizer:
            options = {key: kwargs.pop(key) for key in own if key in kwargs}
            optimizer_name = kwargs.pop("name", None)
            return ExtendedOptimizer(
                BaseOptimizer(*args, **kwargs), [make(**options)], optimizer_name
            )

        build.__name__ = name or f"{make.__name__}_{BaseOptimizer.__name__}"
        return build

    return extend


def literal(substrings: Sequence[str] | None) -> list[str]:
    return [re.escape(substring) for substring in substrings or ()]


@extender
def extend_with_weight_decay(
    weight_decay_rate: float = 0.01, exclude_from_weight_decay: Sequence[str] | None = None
) -> Extension:
    """`WeightDecay`; nothing is excluded but by the substrings given."""
    return WeightDecay(weight_decay_rate, literal(exclude_from_weight_decay))


@extender
def extend_with_layer_adaptation(
    exclude_from_layer_adaptation: Sequence[str] | None = None,
) -> Extension:
    """`LayerAdaptation`; nothing is excluded but by the substrings given."""
    return LayerAdaptation(literal(exclude_from_layer_adaptation))


@extender
def extend_with_gradient_accumulation(grad_accum_steps: int) -> Extension:
    """`Accumulate`."""
    return Accumulate(grad_accum_steps)


@extender
def extend_with_lookahead(steps_per_slow_update: int = 5, slow_step_size: float = 0.5) -> Extension:
    """`Lookahead`."""
    return Lookahead(steps_per_slow_update, slow_step_size)


@extender
def extend_with_lazy_optimization(include_in_lazy_optimization: Sequence[str] = ()) -> Extension:
    """`LazyEmbeddings`, in the author's form: moments decay."""
    return LazyEmbeddings(literal(include_in_lazy_optimization))


@extender
def extend_with_exponential_moving_average(ema_momentum: float = 0.999) -> Extension:
    """`EMA`; `ema_weights(model)` takes the place of the optimizer's methods."""
    return EMA(ema_momentum)


@extender
def extend_with_parameter_wise_lr(paramwise_lr_schedule: Mapping[str, float]) -> Extension:
    """`LearningRateMultipliers`; where several substrings match, their factors multiply."""
    factors = {re.escape(substring): f for substring, f in paramwise_lr_schedule.items()}
    return LearningRateMultipliers(factors, multiply=True)


def extend_with_piecewise_linear_lr(BaseOptimizer: Factory, name: str | None = None) -> Factory:
    """`PiecewiseLinear` as the learning rate."""

    def build(
        learning_rate: Any = 0.001,
        *args: Any,
        lr_schedule: Mapping[Any, float] | None = None,
        **kwargs: Any,
    ) -> Any:
        factors = {int(step): factor for step, factor in (lr_schedule or {0: 1.0}).items()}
        return BaseOptimizer(PiecewiseLinear(learning_rate, factors), *args, **kwargs)

    build.__name__ = name or f"extend_with_piecewise_linear_lr_{BaseOptimizer.__name__}"
    return build
