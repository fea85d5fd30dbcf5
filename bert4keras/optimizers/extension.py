"""Base classes of the extensions of an optimizer, and the update that they act on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import keras
from keras import ops

from .._compat import assign_lerp
from .._serialization import Configurable
from .._types import Tensor
from .paths import as_patterns, matching

if TYPE_CHECKING:
    from .extended import ExtendedOptimizer


class WeightUpdate:
    """One update of the weights, as the extensions see it.

    Variables are named by their index in `optimizer.model_variables`.

    Args:
        optimizer: the optimizer that makes the update.
        gradients: before any transform, by index. Variables without a gradient, or whose "gradient"
            is their new value, are left out.

    Attributes:
        notes: values that an extension keeps from `begin` to `end`, by its class.
    """

    def __init__(self, optimizer: ExtendedOptimizer, gradients: dict[int, Tensor]):
        self.optimizer = optimizer
        self.gradients = gradients
        self.notes: dict[type, Any] = {}
        self._old: dict[int, Tensor] = {}

    def variable(self, index: int) -> keras.Variable:
        """Return the variable itself."""
        return self.optimizer.model_variables[index]

    def value(self, index: int) -> Tensor:
        """Return the current weights as a tensor."""
        return ops.convert_to_tensor(self.variable(index))

    def keep_old(self, indices: Iterable[int]) -> None:
        """Copy the current weights for `old_value` and `undo`, for these variables only."""
        for index in indices:
            if index not in self._old:
                self._old[index] = ops.copy(self.variable(index))

    def old_value(self, index: int) -> Tensor:
        """Return the weights at `keep_old`."""
        return self._old[index]

    def undo(self, index: int, fraction: float) -> None:
        """Undo a fraction of the change since `keep_old`; 1 restores the old weights exactly."""
        variable, old = self.variable(index), self.old_value(index)
        if variable.constraint is None:
            assign_lerp(variable, old, fraction)
        else:
            self.assign(index, old + (1 - fraction) * (self.value(index) - old))

    def assign(self, index: int, value: Tensor) -> None:
        """Assign a value to a variable, after its constraint if it has one."""
        variable = self.variable(index)
        if variable.constraint is not None:
            value = variable.constraint(value)
        variable.assign(value)


class Extension(Configurable):
    """A technique that `ExtendedOptimizer` adds to any optimizer; a value object without state.

    State from update to update is created in `build`, as variables of the optimizer. Extensions
    are nested around the inner optimizer like layers of an onion: `begin` runs from the highest
    `stage` to the lowest, then the inner optimizer, then `end` from the lowest to the highest.

    Attributes:
        stage: position in the order of the extensions, see `ExtendedOptimizer`.
        moves_weights: True if it changes weights besides or instead of the inner optimizer.
        decays_weights: True if it is a weight decay.
        reads_learning_rate: True if it needs the one learning rate of the inner optimizer.
        reads_gradients: True if it reads gradients, which then are dense tensors.
        repeatable: True if an optimizer may have two that differ.
    """

    stage: ClassVar[int]
    moves_weights: ClassVar[bool] = False
    decays_weights: ClassVar[bool] = False
    reads_learning_rate: ClassVar[bool] = False
    reads_gradients: ClassVar[bool] = False
    repeatable: ClassVar[bool] = False

    def build(self, optimizer: ExtendedOptimizer) -> Any:
        """Check the patterns and create variables; return the `state` of the other methods."""

    def begin(self, state: Any, update: WeightUpdate) -> None:
        """Act before the inner optimizer; the weights are still old."""

    def end(self, state: Any, update: WeightUpdate) -> None:
        """Act after the inner optimizer and the extensions of lower stages."""


@dataclasses.dataclass(frozen=True)
class GradientTransform(Extension):
    """A function of each variable's gradient; several run in the order of the list.

    Args:
        paths: regular expressions on the paths of the variables to transform; None: all.
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
        """Return whether the gradient of a variable is transformed."""
        return index in state

    def transform(self, state: Any, update: WeightUpdate, path: str, gradient: Tensor) -> Tensor:
        """Return the gradient for the inner optimizer, of the same shape.

        Args:
            state: result of `build`.
            update: the update.
            path: path of the variable.
            gradient: its gradient, after the transforms before this one.
        """
        raise NotImplementedError
