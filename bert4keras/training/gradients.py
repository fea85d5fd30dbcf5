"""Gradients of any function: the one thing of automatic differentiation that `keras.ops` lacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras


def value_and_grad(function: Callable[..., Any], tensors: Sequence[Any]) -> tuple[Any, list[Any]]:
    """The value of a scalar function and its gradients, eagerly or within a compiled function.

    The gradients can be differentiated in their turn: by the trainer, or by another call of this.

    Args:
        function: called as `function(*tensors)`; returns a float scalar.
        tensors: float tensors, no variables. What else the function reads is held constant.

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
            value = function(*tensors)
        zero = tf.UnconnectedGradients.ZERO
        return value, tape.gradient(value, tensors, unconnected_gradients=zero)
    if backend == "jax":
        import jax

        value, gradients = jax.value_and_grad(function, argnums=tuple(range(len(tensors))))(
            *tensors
        )
        return value, list(gradients)
    import torch

    outside = torch.is_grad_enabled()
    with torch.enable_grad():  # Keras predicts without
        tensors = [
            tensor if outside and tensor.requires_grad else tensor.detach().requires_grad_()
            for tensor in tensors
        ]
        value = function(*tensors)
        gradients = torch.autograd.grad(
            value, tensors, create_graph=outside, allow_unused=True, materialize_grads=True
        )
    return value if outside else value.detach(), list(gradients)
