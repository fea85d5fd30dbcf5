"""What an extension of an optimizer is, and what it sees of an update."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from keras import ops

from .._compat import assign_lerp
from .._serialization import Configurable
from .paths import as_patterns, matching

if TYPE_CHECKING:
    from .extended import ExtendedOptimizer


class WeightUpdate:
    """One update of the weights, on its way through the extensions.

    Args:
        optimizer: which makes it.
        gradients: by the variable's index, before any transform; variables that have none, or
            whose "gradient" is their new value, are left out.
    """

    def __init__(self, optimizer: ExtendedOptimizer, gradients: dict[int, Any]):
        self.optimizer = optimizer
        self.gradients = gradients
        self.notes: dict[type, Any] = {}  # what an extension keeps from `begin` to `end`
        self._old: dict[int, Any] = {}

    def variable(self, index: int) -> Any:
        return self.optimizer.model_variables[index]

    def value(self, index: int) -> Any:
        """The present weights as a tensor."""
        return ops.convert_to_tensor(self.variable(index))

    def keep_old(self, indices: Sequence[int]) -> None:
        """Remember the present weights. Only who needs the old ones pays for a copy."""
        for index in indices:
            if index not in self._old:
                self._old[index] = ops.copy(self.variable(index))

    def old_value(self, index: int) -> Any:
        return self._old[index]

    def undo(self, index: int, part: float) -> None:
        """Take back a part of the update since `keep_old`; 1 gives the old weights exactly."""
        variable, old = self.variable(index), self.old_value(index)
        if variable.constraint is None:
            assign_lerp(variable, old, part)
        else:
            self.assign(index, old + (1 - part) * (self.value(index) - old))

    def assign(self, index: int, value: Any) -> None:
        """Give a variable another value, which its constraint may change."""
        variable = self.variable(index)
        if variable.constraint is not None:
            value = variable.constraint(value)
        variable.assign(value)


class Extension(Configurable):
    """A technique that `ExtendedOptimizer` adds to any optimizer; a value object without state.

    What it must keep from update to update it creates in `build`, as variables of the optimizer.
    `begin` runs before the inner optimizer, from the outermost extension (the highest `stage`) to
    the innermost, `end` after it, from the innermost to the outermost.
    """

    stage: ClassVar[int]
    moves_weights: ClassVar[bool] = False  # besides or instead of the inner optimizer
    reads_gradients: ClassVar[bool] = False
    repeatable: ClassVar[bool] = False  # whether an optimizer may have two which differ

    def build(self, optimizer: ExtendedOptimizer) -> Any:
        """Check the paths, create variables; returns what `begin` and `end` get as `state`."""

    def begin(self, state: Any, update: WeightUpdate) -> None:
        """Before the update: the weights are still old."""

    def end(self, state: Any, update: WeightUpdate) -> None:
        """After the update, and after what the extensions inside have done."""


@dataclasses.dataclass(frozen=True)
class GradientTransform(Extension):
    """A function of each gradient, before the inner optimizer sees it. Several run as listed.

    Args:
        paths: regular expressions on the paths of the variables it concerns; None: all.
    """

    paths: Sequence[str] | None = dataclasses.field(default=None, kw_only=True)

    stage: ClassVar[int] = 1
    reads_gradients: ClassVar[bool] = True
    repeatable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "paths", as_patterns(self.paths))

    def build(self, optimizer: ExtendedOptimizer) -> Any:
        name = type(self).__name__
        if self.paths is None:
            return set(range(len(optimizer.paths)))
        return {i for pattern in self.paths for i in matching(pattern, optimizer.paths, name)}

    def concerns(self, state: Any, index: int) -> bool:
        return index in state

    def transform(self, state: Any, update: WeightUpdate, path: str, gradient: Any) -> Any:
        """The gradient that the optimizer is to see, of the same shape."""
        raise NotImplementedError
