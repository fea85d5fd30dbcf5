"""Extensions that change what an update does to the weights."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import keras
from keras import ops

from .._serialization import serializable
from .extension import Extension, WeightUpdate
from .lamb import trust_ratio
from .paths import as_patterns, excluded, group_by_path, matching

if TYPE_CHECKING:
    from .extended import ExtendedOptimizer


@serializable
@dataclasses.dataclass(frozen=True)
class Accumulate(Extension):
    """Update once in `steps` calls, with the mean of their gradients.

    Schedules, bias corrections, Lookahead and EMA count updates, not calls. If the loss of a batch
    is a mean over its labelled tokens, a batch with few of them has more weight than in one large
    batch, as in any accumulation of gradients.

    Args:
        steps: micro-batches per update, 2 or more.

    Raises:
        ValueError: another number of steps.

    Source: https://kexue.fm/archives/6794.
    """

    steps: int

    stage: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 2:
            raise ValueError(f"Accumulate: steps must be an integer of 2 or more: {self.steps!r}")

    def build(self, optimizer: ExtendedOptimizer) -> dict[int, keras.Variable]:
        return optimizer.variables_like("accumulated")


@serializable
@dataclasses.dataclass(frozen=True)
class WeightDecay(Extension):
    """Decoupled weight decay of variables selected by path: w = w - learning_rate rate w.

    The learning rate is the current one, times the factor of `LearningRateMultipliers`, if any.
    Keras' own exclusion looks at a variable's name (`kernel`, `gamma`), never at the layer's.

    Args:
        rate: lambda, 0 or more.
        exclude: regular expressions on paths; None: norms and biases; () excludes nothing.
        include: optional check, regular expressions of what decays: every variable must then match
            either `include` or `exclude`. None: all that is not excluded.

    Raises:
        ValueError: a negative rate; a pattern that matches nothing; with `include`, a variable that
            matches both or none.

    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019,
    https://arxiv.org/abs/1711.05101.
    """

    rate: float = 0.01
    exclude: Sequence[str] | None = None
    include: Sequence[str] | None = None

    stage: ClassVar[int] = 2
    moves_weights: ClassVar[bool] = True
    decays_weights: ClassVar[bool] = True
    reads_learning_rate: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_factor(self.rate, "WeightDecay: rate")
        object.__setattr__(self, "exclude", as_patterns(self.exclude))
        object.__setattr__(self, "include", as_patterns(self.include))

    def build(self, optimizer: ExtendedOptimizer) -> set[int]:
        paths = optimizer.paths
        without = excluded(paths, self.exclude, "WeightDecay, exclude")
        if self.include is not None:
            groups = {"include": self.include, "exclude": _literal_patterns(paths, without)}
            group_by_path(paths, groups, owner="WeightDecay")
        return set(range(len(paths))) - without

    def begin(self, state: set[int], update: WeightUpdate) -> None:
        rate = update.optimizer.learning_rate
        for index in sorted(state & update.gradients.keys()):
            variable = update.variable(index)
            variable.assign(variable * (1 - ops.cast(rate * self.rate, variable.dtype)))


@serializable
@dataclasses.dataclass(frozen=True)
class LayerAdaptation(Extension):
    """Scale each variable's update to the norm of its weights, as LAMB does for Adam.

        h = (w - w') / learning_rate,   w = w - learning_rate ||w|| / ||h|| h

    with w' the weights after the inner optimizer and weight decay. The ratio is 1 if a norm is 0.
    For Adam, `LAMB` computes the same in one class and with less rounding.

    Args:
        exclude: regular expressions on paths of variables with ratio 1; None: norms and biases; ()
            excludes nothing.

    Raises:
        ValueError: a pattern that matches nothing.

    Source: You et al., LAMB, 2020, https://arxiv.org/abs/1904.00962.
    """

    exclude: Sequence[str] | None = None

    stage: ClassVar[int] = 3
    moves_weights: ClassVar[bool] = True
    reads_learning_rate: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "exclude", as_patterns(self.exclude))

    def build(self, optimizer: ExtendedOptimizer) -> set[int]:
        without = excluded(optimizer.paths, self.exclude, "LayerAdaptation, exclude")
        return set(range(len(optimizer.paths))) - without

    def begin(self, state: set[int], update: WeightUpdate) -> None:
        # Now, because after the inner optimizer a schedule returns the rate of the next update.
        update.notes[type(self)] = ops.convert_to_tensor(update.optimizer.learning_rate)
        update.keep_old(state & update.gradients.keys())

    def end(self, state: set[int], update: WeightUpdate) -> None:
        rate = update.notes[type(self)]
        rate = ops.where(rate > 0, rate, 1.0)
        for index in sorted(state & update.gradients.keys()):
            old = update.old_value(index)
            delta = update.value(index) - old
            ratio = trust_ratio(old, delta / ops.cast(rate, delta.dtype))
            update.assign(index, old + ops.cast(ratio, delta.dtype) * delta)


@serializable
@dataclasses.dataclass(frozen=True)
class LearningRateMultipliers(Extension):
    """Learning rate multipliers of variables selected by path.

        w = old + factor (new - old)

    with `new` the weights after the inner optimizer and weight decay. That multiplies the learning
    rate by the factor in every optimizer whose update is proportional to it: all of Keras except
    ScheduleFreeAdamW.

    Args:
        factors: `{"regular expression": factor}`; a factor is 0 (frozen) or more. Variables that
            match no expression keep the optimizer's rate.
        multiply: multiply the factors of a variable that matches several expressions; False makes
            that an error.

    Raises:
        ValueError: no factors or a negative one; an expression that matches nothing; a variable
            that matches two.

    Source: https://kexue.fm/archives/6418, `extend_with_parameter_wise_lr` of bert4keras 0.11.

    Example:
        >>> factors = {"^Embedding-": 0.1, "^Classifier/": 10.0}
        >>> ExtendedOptimizer("adam", [LearningRateMultipliers(factors)])
    """

    factors: Mapping[str, float]
    multiply: bool = False

    stage: ClassVar[int] = 4
    moves_weights: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.factors:
            raise ValueError(
                "LearningRateMultipliers: factors is empty: give {'regular expression': factor}"
            )
        for pattern, factor in self.factors.items():
            _check_factor(factor, f"LearningRateMultipliers: the factor of {pattern!r}")
        object.__setattr__(self, "factors", dict(self.factors))

    def build(self, optimizer: ExtendedOptimizer) -> dict[int, float]:
        paths, factors = optimizer.paths, {}
        if not self.multiply:
            group_by_path(
                paths, {p: [p] for p in self.factors}, total=False, owner="LearningRateMultipliers"
            )
        for pattern, factor in self.factors.items():
            for index in matching(pattern, paths, "LearningRateMultipliers"):
                factors[index] = factors.get(index, 1.0) * factor
        return {index: factor for index, factor in factors.items() if factor != 1}

    def begin(self, state: dict[int, float], update: WeightUpdate) -> None:
        update.keep_old(state.keys() & update.gradients.keys())

    def end(self, state: dict[int, float], update: WeightUpdate) -> None:
        for index in sorted(state.keys() & update.gradients.keys()):
            update.undo(index, 1 - state[index])


@serializable
@dataclasses.dataclass(frozen=True)
class LazyEmbeddings(Extension):
    """Lazy updates of embeddings: rows of tokens that are not in the batch do not change.

    Momentum and weight decay would change them. They are the rows whose gradient is all zero before
    any transform. A matrix that is also the output layer has no such rows.

    Args:
        paths: regular expressions on the paths of the matrices (rows, ...).
        moments: moments of these rows in the inner optimizer: `"decay"` updates them with a
            gradient of 0, as bert4keras 0.11 does; `"keep"` does not change them, as in sparse Adam
            (but the bias correction counts all updates).

    Raises:
        ValueError: a pattern that matches nothing or a vector; other `moments`; with `"keep"`, an
            optimizer whose moments have no rows, such as Adafactor.

    Source: https://kexue.fm/archives/6869; `"keep"`: `torch.optim.SparseAdam`.
    """

    paths: Sequence[str]
    moments: str = "decay"

    stage: ClassVar[int] = 5
    moves_weights: ClassVar[bool] = True
    reads_gradients: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "paths", as_patterns(self.paths))
        if not self.paths:
            raise ValueError(
                "LazyEmbeddings: paths is empty: give those of embeddings, ['Embedding-Token']"
            )
        if self.moments not in ("decay", "keep"):
            raise ValueError(
                f"LazyEmbeddings: moments must be 'decay' or 'keep', not {self.moments!r}"
            )

    def build(self, optimizer: ExtendedOptimizer) -> dict[int, list[keras.Variable]]:
        found = {i for p in self.paths for i in matching(p, optimizer.paths, "LazyEmbeddings")}
        slots = optimizer.inner_slots() if self.moments == "keep" else {}
        if any(len(slot.shape) for slot in slots.get(None, ())):
            name = type(optimizer.inner_optimizer).__name__
            raise ValueError(
                f"LazyEmbeddings: it is not known which moments of {name} belong to which rows; "
                "use moments='decay'"
            )
        for index in found:
            path, shape = optimizer.paths[index], tuple(optimizer.model_variables[index].shape)
            if len(shape) < 2:
                raise ValueError(f"LazyEmbeddings: {path!r} has no rows, its shape is {shape}")
            for slot in slots.get(index, ()):
                if tuple(slot.shape) != shape:
                    raise ValueError(
                        f"LazyEmbeddings: {slot.name!r} has the shape {tuple(slot.shape)}, so no "
                        f"rows of {path!r} can be kept; use moments='decay'"
                    )
        return {index: slots.get(index, []) for index in sorted(found)}

    def begin(self, state: dict[int, list[keras.Variable]], update: WeightUpdate) -> None:
        update.keep_old(state.keys() & update.gradients.keys())
        update.notes[type(self)] = {
            index: [ops.copy(slot) for slot in slots]
            for index, slots in state.items()
            if index in update.gradients
        }

    def end(self, state: dict[int, list[keras.Variable]], update: WeightUpdate) -> None:
        for index, old_slots in update.notes[type(self)].items():
            gradient = update.gradients[index]
            axes = tuple(range(1, len(gradient.shape)))
            seen = ops.any(gradient != 0, axis=axes, keepdims=True)
            update.assign(index, ops.where(seen, update.value(index), update.old_value(index)))
            for slot, old in zip(state[index], old_slots, strict=True):
                slot.assign(ops.where(seen, ops.convert_to_tensor(slot), old))


def _check_factor(value: float, name: str) -> None:
    """Raise a ValueError for a number that is negative or not finite."""
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} must be 0 or more, not {value!r}")


def _literal_patterns(paths: Sequence[str], indices: set[int]) -> list[str]:
    """Return patterns that match only the paths of these indices."""
    return [f"^{re.escape(paths[index])}$" for index in sorted(indices)]
