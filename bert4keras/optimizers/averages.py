"""Extensions that average weights over updates: Lookahead and the exponential moving average."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from .._compat import assign_if, assign_lerp
from .._serialization import serializable
from .extension import Extension, WeightUpdate


@serializable
@dataclasses.dataclass(frozen=True)
class Lookahead(Extension):
    """Every k updates go only a part of the way from where the last k began.

        slow = slow + step_size (w - slow),   w = slow      after updates k, 2k, 3k, ...

    Slow weights are the weights before the first update, and those after each of these; the first
    sync is after k updates. Moments of the inner optimizer go on.

    Args:
        steps: k, 1 or more.
        step_size: alpha of the paper, above 0 and up to 1 (which changes nothing).

    Raises:
        ValueError: other numbers.

    Source: Zhang et al., Lookahead Optimizer: k steps forward, 1 step back, 2019,
    https://arxiv.org/abs/1907.08610.
    """

    steps: int = 5
    step_size: float = 0.5

    stage: ClassVar[int] = 6
    moves_weights: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 1:
            raise ValueError(f"Lookahead: steps must be an integer of 1 or more: {self.steps!r}")
        if not 0 < self.step_size <= 1:
            raise ValueError(f"Lookahead: step_size must be in (0, 1], not {self.step_size!r}")

    def build(self, optimizer: Any) -> Any:
        return optimizer.variables_like("slow")

    def begin(self, state: Any, update: WeightUpdate) -> None:
        # Slow weights are taken when a round begins, not when the last one ended: the same
        # numbers, but weights that are loaded in between are taken for what they are.
        def start() -> None:
            for index, slow in state.items():
                slow.assign(update.value(index))

        first = update.optimizer.updates % self.steps == 0
        assign_if(first, start, self.touched(state, update))

    def end(self, state: Any, update: WeightUpdate) -> None:
        def sync() -> None:
            for index, slow in state.items():
                update.assign(index, slow + self.step_size * (update.value(index) - slow))

        last = update.optimizer.updates % self.steps == self.steps - 1
        assign_if(last, sync, self.touched(state, update))

    @staticmethod
    def touched(state: Any, update: WeightUpdate) -> list[Any]:
        return [*state.values(), *map(update.variable, state)]


@serializable
@dataclasses.dataclass(frozen=True)
class EMA(Extension):
    """An exponential moving average of the weights, beside them, for evaluation and saving.

        average = momentum average + (1 - momentum) w       after every update

    With bias correction the average begins at 0 and counts as average / (1 - momentum^t) after t
    updates, which is the weighted mean of the weights seen. Without, it begins at the weights
    before the first update. It is in float32 at least. `ema_weights(model)` and the callback
    `WithEMA` put the averages in place of the weights and back.

    Args:
        momentum: 0 up to below 1.
        bias_correction: see above.

    Raises:
        ValueError: another momentum.

    Source: https://kexue.fm/archives/6575; bias correction as in Adam,
    https://arxiv.org/abs/1412.6980.
    """

    momentum: float = 0.999
    bias_correction: bool = True

    stage: ClassVar[int] = 7

    def __post_init__(self) -> None:
        if not 0 <= self.momentum < 1:
            raise ValueError(f"EMA: momentum must be in [0, 1), not {self.momentum!r}")

    def build(self, optimizer: Any) -> Any:
        return optimizer.variables_like("average")

    def begin(self, state: Any, update: WeightUpdate) -> None:
        def start() -> None:
            for index, average in state.items():
                average.assign(update.value(index))

        if not self.bias_correction:
            variables = [*state.values(), *map(update.variable, state)]
            assign_if(update.optimizer.updates == 0, start, variables)

    def end(self, state: Any, update: WeightUpdate) -> None:
        for index, average in state.items():
            assign_lerp(average, update.value(index), 1 - self.momentum)

    def scale(self, updates: int) -> float:
        """By what the stored averages are multiplied after so many updates."""
        return 1 / (1 - self.momentum**updates) if self.bias_correction else 1.0
