"""Extensions that average weights over updates: Lookahead and exponential moving average."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

import keras

from .._compat import assign_if, assign_lerp
from .._serialization import serializable
from .extension import Extension, WeightUpdate

if TYPE_CHECKING:
    from .extended import ExtendedOptimizer

_Slots = dict[int, keras.Variable]  # one variable for each of the model's, by its index


@serializable
@dataclasses.dataclass(frozen=True)
class Lookahead(Extension):
    """Lookahead: every k updates, move the weights back to a point between start and end.

        slow = slow + step_size (w - slow),   w = slow      after updates k, 2k, 3k, ...

    `slow` starts as the weights before the first update, so the first change is after k updates.
    The moments of the inner optimizer are not changed.

    Args:
        steps: k, 1 or more.
        step_size: alpha of the paper, above 0 and up to 1, which changes nothing.

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

    def build(self, optimizer: ExtendedOptimizer) -> _Slots:
        return optimizer.variables_like("slow")

    def begin(self, state: _Slots, update: WeightUpdate) -> None:
        # Slow weights are copied when k updates begin, not when the last k ended. The numbers are
        # the same, but this way weights that the user sets in between are kept.
        def start() -> None:
            for index, slow in state.items():
                slow.assign(update.value(index))

        first = update.optimizer.updates % self.steps == 0
        assign_if(first, start, self._written(state, update))

    def end(self, state: _Slots, update: WeightUpdate) -> None:
        def sync() -> None:
            for index, slow in state.items():
                update.assign(index, slow + self.step_size * (update.value(index) - slow))

        last = update.optimizer.updates % self.steps == self.steps - 1
        assign_if(last, sync, self._written(state, update))

    @staticmethod
    def _written(state: _Slots, update: WeightUpdate) -> list[keras.Variable]:
        return [*state.values(), *map(update.variable, state)]


@serializable
@dataclasses.dataclass(frozen=True)
class EMA(Extension):
    """Exponential moving average of the weights, for evaluation and saving.

        average = momentum average + (1 - momentum) w       after every update

    With bias correction the average starts at 0, and its value after t updates is
    average / (1 - momentum^t): the mean of the weights after each update, where those of j updates
    ago have the weight momentum^j. Without it, the average starts at the weights before the first
    update. It is in float32 or wider. `ema_weights(model)` and the callback `WithEMA` put the
    averages in place of the weights and back.

    Args:
        momentum: from 0 to below 1.
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

    def build(self, optimizer: ExtendedOptimizer) -> _Slots:
        return optimizer.variables_like("average")

    def begin(self, state: _Slots, update: WeightUpdate) -> None:
        def start() -> None:
            for index, average in state.items():
                average.assign(update.value(index))

        if not self.bias_correction:
            variables = [*state.values(), *map(update.variable, state)]
            assign_if(update.optimizer.updates == 0, start, variables)

    def end(self, state: _Slots, update: WeightUpdate) -> None:
        for index, average in state.items():
            assign_lerp(average, update.value(index), 1 - self.momentum)

    def scale(self, updates: int) -> float:
        """Return the factor of the stored averages after a number of updates."""
        return 1 / (1 - self.momentum**updates) if self.bias_correction else 1.0
