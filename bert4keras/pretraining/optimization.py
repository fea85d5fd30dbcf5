"""Optimizer and learning rate of a pretraining."""

from __future__ import annotations

import keras

from ..optimizers import (
    EMA,
    Accumulate,
    Adam,
    ExtendedOptimizer,
    Extension,
    PiecewiseLinear,
    WeightDecay,
)

_SCHEDULES = ("linear", "cosine", "wsd", "constant")


def learning_rate_schedule(
    rate: float, updates: int, schedule: str = "linear", warmup: float = 0.1, decay: float = 0.2
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return a rate that rises linearly during warm-up and then follows a schedule.

    Args:
        rate: highest rate.
        updates: number of updates of the whole training.
        schedule: `"linear"` falls to 0; `"cosine"` falls to 0 along half a cosine; `"wsd"`
            (warm-up, stable, decay) stays until the last share `decay` of the updates, in which it
            falls linearly to 0; `"constant"` stays.
        warmup: share of the updates in which it rises.
        decay: for `"wsd"`.

    Raises:
        ValueError: an argument out of its range.

    Source: cosine: Loshchilov and Hutter 2017 (arXiv:1608.03983); wsd: Hu et al. 2024
    (arXiv:2404.06395).
    """
    if schedule not in _SCHEDULES:
        raise ValueError(f"schedule must be one of {', '.join(_SCHEDULES)}, not {schedule!r}.")
    if not 0 <= warmup < 1 or not 0 < decay <= 1 or updates < 1:
        raise ValueError(
            f"warmup={warmup} must lie in [0, 1), decay={decay} in (0, 1], updates={updates} be "
            "at least 1."
        )
    rise = int(warmup * updates)
    if schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(
            0.0 if rise else rate, max(1, updates - rise), 0.0, "warm_up_cosine", rate, rise
        )
    end = max(updates, rise + 1)
    points = {"linear": {end: 0.0}, "constant": {}}
    points["wsd"] = {max(rise, int((1 - decay) * updates)): 1.0, end: 0.0}
    return PiecewiseLinear(rate, {rise: 1.0, **points[schedule]})


def pretraining_optimizer(
    rate: float | keras.optimizers.schedules.LearningRateSchedule,
    weight_decay: float = 0.01,
    clip: float | None = 1.0,
    accumulate: int = 1,
    ema: float | None = None,
    beta_2: float = 0.98,
) -> ExtendedOptimizer:
    """Return AdamW as encoders are pretrained with.

    Args:
        rate: learning rate, or its schedule, which counts updates.
        weight_decay: of all weights but norms and biases.
        clip: highest norm of all gradients as one vector; None: no clipping.
        accumulate: batches of an update.
        ema: momentum of an average of the weights, which is evaluated and saved; None: none.
        beta_2: of Adam; RoBERTa's 0.98 is more stable with large batches than 0.999.
    """
    extensions: list[Extension] = [WeightDecay(weight_decay)] if weight_decay else []
    if accumulate > 1:
        extensions.append(Accumulate(accumulate))
    if ema is not None:
        extensions.append(EMA(ema))
    return ExtendedOptimizer(Adam(rate, beta_2=beta_2, global_clipnorm=clip), extensions)
