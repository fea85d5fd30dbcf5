"""Gradients of any function, which `keras.ops` lacks: one function per use, for each backend."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from .._types import Tensor


def value_and_grad(
    function: Callable[..., Any], tensors: Sequence[Tensor], has_aux: bool = False
) -> tuple[Any, list[Tensor]]:
    """Compute the value of a scalar function and its gradients, eagerly or in a compiled function.

    The gradients can be differentiated again, by the trainer or by another call of this function.

    Args:
        function: called as `function(*tensors)`; returns a float scalar.
        tensors: float tensors, no variables. Anything else that the function reads is constant.
        has_aux: the function returns a pair of the scalar and a structure of tensors, and so does
            `value_and_grad` in place of the value.

    Returns:
        The value, and for each tensor a gradient of its shape; zero where the value does not
        depend on the tensor.
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
    # `predict` of Keras disables gradients.
    with torch.enable_grad(), _attention_with_second_derivative(outside):
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


def _attention_with_second_derivative(wanted: bool) -> contextlib.AbstractContextManager[Any]:
    """Return a context in which torch avoids fused attention, which has no second derivative."""
    if not wanted:
        return contextlib.nullcontext()
    from torch.nn.attention import SDPBackend, sdpa_kernel

    return sdpa_kernel(SDPBackend.MATH)


def value_and_detached_grads(
    function: Callable[..., Any],
    tensors: Sequence[Tensor],
    variables: Sequence[keras.Variable],
    of_variables: bool = False,
) -> tuple[tuple[Tensor, Any], list[Tensor], list[Tensor | None]]:
    """Compute a value and detached gradients (no second derivatives), which is cheaper.

    Args:
        function: called as `function(tensors, values)`; returns a pair of a float scalar and other
            tensors. `values` are the values of the variables, to be set in a
            `keras.StatelessScope` (JAX), or None: the function reads the variables themselves.
        tensors: float tensors.
        variables: all trainable variables that the function reads.
        of_variables: also compute the gradients of the variables.

    Returns:
        The result of the function, the gradients of the tensors (zero where the value does not
        depend on one), and those of the variables (None there, and an empty list if they are not
        wanted). All are constants.
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


def _detached(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else ops.stop_gradient(tensor)


def variable_values(variables: Sequence[keras.Variable]) -> list[Tensor] | None:
    """Return the values of variables on JAX, where a nested scope must be given them; else None."""
    if keras.backend.backend() != "jax":
        return None
    return [variable.value for variable in variables]


def loss_scale(optimizer: keras.optimizers.Optimizer | None, state: Sequence[Any]) -> Tensor:
    """Return the factor by which an optimizer scales the loss, a float32 scalar.

    Args:
        optimizer: a built optimizer, or None.
        state: the arguments of `train_step` before the data: none, or (JAX) one tuple with the
            values of the trainable, other, optimizer and metric variables.
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
    """Return the random state outside of Keras variables: torch's own, which its dropout uses."""
    if keras.backend.backend() != "torch":
        return []
    import torch

    cuda = torch.cuda.is_available() and torch.cuda.is_initialized()
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if cuda else [])]


def set_random_state(state: Sequence[Any]) -> None:
    """Restore a `random_state`, so that the same numbers are drawn again."""
    if not state:
        return
    import torch

    torch.set_rng_state(state[0])
    if len(state) > 1:
        torch.cuda.set_rng_state(state[1])
