"""Gradients of any function: the one thing of automatic differentiation that `keras.ops` lacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops


def value_and_grad(
    function: Callable[..., Any], tensors: Sequence[Any], has_aux: bool = False
) -> tuple[Any, list[Any]]:
    """The value of a scalar function and its gradients, eagerly or within a compiled function.

    The gradients can be differentiated in their turn: by the trainer, or by another call of this.

    Args:
        function: called as `function(*tensors)`; returns a float scalar.
        tensors: float tensors, no variables. What else the function reads is held constant.
        has_aux: the function returns a pair, of the scalar and of tensors that come back as they
            are; so does this, in place of the value.

    Returns:
        The value, and for each tensor a gradient of its shape: zero where the value does not
        depend on it.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tensors = [tf.identity(tensor) for tensor in tensors]
            tape.watch(tensors)
            result = function(*tensors)
            value = result[0] if has_aux else result
        zero = tf.UnconnectedGradients.ZERO
        return result, tape.gradient(value, tensors, unconnected_gradients=zero)
    if backend == "jax":
        import jax

        places = tuple(range(len(tensors)))
        result, gradients = jax.value_and_grad(function, places, has_aux=has_aux)(*tensors)
        return result, list(gradients)
    import torch

    outside = torch.is_grad_enabled()
    with torch.enable_grad(), twice_differentiable(outside):  # Keras predicts without
        tensors = [
            tensor if outside and tensor.requires_grad else tensor.detach().requires_grad_()
            for tensor in tensors
        ]
        result = function(*tensors)
        gradients = torch.autograd.grad(
            result[0] if has_aux else result,
            tensors,
            create_graph=outside,
            allow_unused=True,
            materialize_grads=True,
        )
    if not outside:
        result = keras.tree.map_structure(_detached, result)
    return result, list(gradients)


def twice_differentiable(wanted: bool) -> Any:
    """A context in which torch takes attention with a second derivative, which the fused lacks."""
    import contextlib

    if not wanted:
        return contextlib.nullcontext()
    from torch.nn.attention import SDPBackend, sdpa_kernel

    return sdpa_kernel(SDPBackend.MATH)


def value_and_detached_grads(
    function: Callable[..., Any],
    tensors: Sequence[Any],
    variables: Sequence[Any],
    of_variables: bool = False,
) -> tuple[tuple[Any, Any], list[Any], list[Any]]:
    """The value of a function, and gradients that nothing is differentiated through: the cheap way.

    Args:
        function: called as `function(tensors, values)`, where `values` stands for the variables:
            None where they are to be read themselves, else (JAX) tensors that belong into a
            `keras.StatelessScope`. Returns a pair, of a float scalar and of other tensors.
        tensors: float tensors.
        variables: all trainable variables that the function reads.
        of_variables: whether their gradients are wanted too.

    Returns:
        What the function returned, the gradients of the tensors (zero where nothing depends on
        one), and those of the variables (None there), as constants.
    """
    backend = keras.backend.backend()
    tensors = [ops.stop_gradient(tensor) for tensor in tensors]
    if backend == "jax":
        import jax

        values = [ops.stop_gradient(value) for value in variable_values(variables)]
        places = (0, 1) if of_variables else (0,)
        differentiated = jax.value_and_grad(function, places, has_aux=True)
        result, (gradients, *others) = differentiated(tensors, values)
        return result, gradients, others[0] if others else []
    wanted = [variable.value for variable in variables] if of_variables else []
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(tensors)
            tape.watch(wanted)
            result = function(tensors, None)
        found = tape.gradient(result[0], [*tensors, *wanted])
        found = [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in found]
    else:
        import torch

        with torch.enable_grad():
            tensors = [tensor.detach().requires_grad_() for tensor in tensors]
            result = function(tensors, None)
            found = torch.autograd.grad(result[0], [*tensors, *wanted], allow_unused=True)
    result = keras.tree.map_structure(_detached, result)
    found = [None if gradient is None else ops.stop_gradient(gradient) for gradient in found]
    count = len(tensors)
    gradients = [
        ops.zeros_like(tensor) if gradient is None else gradient
        for tensor, gradient in zip(tensors, found[:count], strict=True)
    ]
    return result, gradients, found[count:]


def _detached(tensor: Any) -> Any:
    return None if tensor is None else ops.stop_gradient(tensor)


def variable_values(variables: Sequence[Any]) -> list[Any] | None:
    """What variables hold, where a nested `keras.StatelessScope` has to be told (JAX), or None."""
    if keras.backend.backend() != "jax":
        return None
    return [variable.value for variable in variables]


def loss_scale(optimizer: Any, state: Sequence[Any]) -> Any:
    """The factor by which an optimizer scales the loss, float32.

    Args:
        optimizer: a built `keras.Optimizer`, or None.
        state: what `train_step` is given before the data: nothing, or (JAX) one tuple of trainable,
            other, optimizer's and metrics' variables.
    """
    one = ops.ones((), "float32")
    if optimizer is None:
        return one
    if not state:
        return optimizer.scale_loss(one)
    values = zip(optimizer.variables, state[0][2], strict=True)
    with keras.StatelessScope(state_mapping=list(values)):
        return optimizer.scale_loss(one)


def random_state() -> list[Any]:
    """The random state that no Keras variable holds: torch's own, from which its dropout draws."""
    if keras.backend.backend() != "torch":
        return []
    import torch

    cuda = torch.cuda.is_available() and torch.cuda.is_initialized()
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if cuda else [])]


def set_random_state(state: Sequence[Any]) -> None:
    """Go on from a `random_state`, so that the same numbers are drawn again."""
    if not state:
        return
    import torch

    torch.set_rng_state(state[0])
    if len(state) > 1:
        torch.cuda.set_rng_state(state[1])
