"""Variables: conditional and in-place updates, and the optimizer's private access to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import keras

from .._types import Tensor


def assign_if(
    predicate: Tensor, assign: Callable[[], None], variables: Sequence[keras.Variable]
) -> None:
    """Run `assign()` if a boolean scalar is true, also in a compiled function.

    TensorFlow and torch can assign inside a branch. The branches of compiled JAX are pure
    functions, so there the values of the variables go into the branch and come out of it.

    Args:
        predicate: bool scalar.
        assign: assigns to variables.
        variables: all variables that `assign` reads or writes.
    """
    if keras.backend.backend() != "jax":
        keras.ops.cond(predicate, assign, lambda: None)
        return
    import jax

    if not isinstance(predicate, jax.core.Tracer):  # JAX would compile the branches at each call
        if predicate:
            assign()
        return

    def branch() -> list[Tensor]:
        with keras.StatelessScope(state_mapping=list(zip(variables, before, strict=True))) as scope:
            assign()
        return [scope.get_current_value(variable) for variable in variables]

    before = [variable.value for variable in variables]
    after = keras.ops.cond(predicate, branch, lambda: before)
    for variable, value in zip(variables, after, strict=True):
        variable.assign(value)


def assign_lerp(variable: keras.Variable, target: Tensor, weight: float) -> None:
    """Interpolate in place: variable += weight (target - variable); 1 gives the target exactly.

    torch, which compiles no update, does it in one pass over memory, without new tensors.
    """
    from keras.src.backend.common.stateless_scope import in_stateless_scope

    if keras.backend.backend() == "torch" and not in_stateless_scope():
        import torch

        with torch.no_grad():
            variable.value.lerp_(target.to(variable.value.dtype), weight)
    elif weight == 1:
        variable.assign(target)
    else:
        variable.assign_add(weight * (target - variable))


def full_precision() -> AbstractContextManager[Any]:
    """Return a context in which variables have their own dtype, also under a mixed policy.

    Within a model's `call` Keras returns half-precision copies of variables. There is no public way
    to leave its scope; layers that want half precision open their own.
    """
    from keras.src.backend import AutocastScope

    return AutocastScope(None)


def layout(variable: keras.Variable) -> Any:
    """Return how a variable is distributed over devices, or None; Keras has no public name."""
    return getattr(variable, "_layout", None)


def track_variable(optimizer: keras.optimizers.Optimizer, variable: keras.Variable) -> None:
    """Make a variable of another object part of an optimizer's state.

    `add_variable`, the public way, always makes a new variable; a `SeedGenerator` brings its own.
    """
    optimizer._track_variable(variable)


def variable_index(optimizer: keras.optimizers.Optimizer, variable: keras.Variable) -> int:
    """Return the position of a variable in the list that an optimizer was built with.

    Within `update_step` on TensorFlow the variable is not the object of that list, and Keras'
    lookup is the only one that finds it.

    Raises:
        KeyError: the optimizer was not built with this variable.
    """
    return optimizer._get_variable_index(variable)


def calls_of_apply(optimizer: keras.optimizers.Optimizer) -> keras.Variable:
    """Return the variable that counts the calls of `apply`.

    Its public name `iterations` is overridden where an update takes several calls.
    """
    return optimizer._iterations
