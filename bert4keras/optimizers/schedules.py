"""Piecewise linear learning rate schedules and warm-up."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import keras
from keras import ops

from .._serialization import revive, serializable
from .._types import Tensor

LearningRate: TypeAlias = float | keras.optimizers.schedules.LearningRateSchedule


@serializable
class PiecewiseLinear(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate times a factor that is linear between given steps.

    With points (t_1, f_1), ..., (t_n, f_n) the factor at step t is

        f_i + (f_i+1 - f_i) (t - t_i) / (t_i+1 - t_i)      for t_i <= t < t_i+1
        f_n                                                for t >= t_n

    If t_1 > 0, there is one more point (0, 0) in front: the factor rises from 0, and the very first
    update changes nothing. A step is one update of the weights. To accumulate gradients use
    `ExtendedOptimizer` with `Accumulate`, which does not count a micro-batch as a step.

    Args:
        learning_rate: number, or another schedule, which is multiplied.
        factors: `{step: factor}`, or pairs; steps are integers from 0, factors 0 or more.

    Raises:
        ValueError: no points, a step or factor out of range, or a step given twice.

    Source: https://kexue.fm/archives/7094, `extend_with_piecewise_linear_lr` of bert4keras 0.11.

    Example:
        >>> PiecewiseLinear(2e-5, {1000: 1.0, 10000: 0.1})  # warm-up, then decay
    """

    def __init__(
        self,
        learning_rate: LearningRate,
        factors: Mapping[int, float] | Sequence[Sequence[float]],
    ):
        learning_rate = revive(learning_rate)
        if not callable(learning_rate) and not float(learning_rate) >= 0:
            raise ValueError(
                f"PiecewiseLinear: learning_rate must be 0 or more, not {learning_rate!r}"
            )
        pairs = list(factors.items()) if isinstance(factors, Mapping) else list(map(tuple, factors))
        if not pairs:
            raise ValueError("factors is empty: give {step: factor}, such as {1000: 1.0}")
        for step, factor in pairs:
            if isinstance(step, bool) or int(step) != step or step < 0:
                raise ValueError(f"factors: a step is an integer from 0, not {step!r}")
            if not (math.isfinite(factor) and factor >= 0):
                raise ValueError(
                    f"factors: step {step} has the factor {factor!r}, which must be 0 or more"
                )
        self.learning_rate = learning_rate
        self.factors = sorted((int(step), float(factor)) for step, factor in pairs)
        if len({step for step, _ in self.factors}) < len(pairs):
            raise ValueError(f"factors: a step is given twice in {pairs}")

    def __call__(self, step: Tensor | int) -> Tensor:
        rate = self.learning_rate
        rate = rate(step) if callable(rate) else rate
        step = ops.cast(step, "float32")
        points = self.factors if self.factors[0][0] == 0 else [(0, 0.0), *self.factors]
        factor = ops.full_like(step, points[0][1])
        for (start, low), (end, high) in itertools.pairwise(points):
            line = low + (high - low) / (end - start) * (step - start)
            factor = ops.where(step >= start, line, factor)
        factor = ops.where(step >= points[-1][0], points[-1][1], factor)
        return rate * factor

    def get_config(self) -> dict[str, Any]:
        rate = self.learning_rate
        if callable(rate):
            rate = keras.saving.serialize_keras_object(rate)
        # As pairs, because the keys of a JSON object would be read back as strings.
        return {"learning_rate": rate, "factors": [list(pair) for pair in self.factors]}


def warm_up(
    learning_rate: float, warm_up_steps: int, total_steps: int, final_factor: float = 0.0
) -> PiecewiseLinear:
    """Return a rate that rises linearly from 0 during warm-up and then falls linearly.

    Args:
        learning_rate: highest rate, reached at step `warm_up_steps`.
        warm_up_steps: number of updates; 0 starts at the highest rate.
        total_steps: number of updates of the whole training; more than `warm_up_steps`.
        final_factor: fraction of the highest rate at the last step, and after it.

    Raises:
        ValueError: `warm_up_steps` is not below `total_steps`.

    Source: Devlin et al., BERT, 2019, https://arxiv.org/abs/1810.04805, appendix A.2.

    Example:
        >>> keras.optimizers.AdamW(warm_up(2e-5, 100, 1000))
    """
    if not 0 <= warm_up_steps < total_steps:
        raise ValueError(
            f"warm_up_steps ({warm_up_steps}) must be from 0 up to total_steps ({total_steps}) - 1"
        )
    return PiecewiseLinear(learning_rate, {warm_up_steps: 1.0, total_steps: final_factor})
