"""Run an optimizer on given gradients, step by step or compiled, without a model."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

SHAPES = {
    "Embedding-Token/embeddings": (5, 3),
    "Transformer-0-FeedForward/kernel": (3, 2),
    "Transformer-0-FeedForward-Norm/gamma": (3,),
    "Classifier/bias": (2,),
}
UPDATES = 20
# torch runs Keras' optimizers as they are, JAX never without compiling unless told to.
MODES = {"jax": [True], "torch": [False]}.get(keras.backend.backend(), [False, True])


def first_weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {path: rng.normal(size=shape).astype("float32") for path, shape in SHAPES.items()}


def some_gradients(count: int = UPDATES, micro: int = 1) -> list[dict[str, np.ndarray]]:
    """Gradients of so many updates, of `micro` batches each; some rows of the embedding are 0.

    Those of an update have rows of 0 at the same places.
    """
    rng, made = np.random.default_rng(2), []
    for update in range(count):
        for _ in range(micro):
            now = {p: rng.normal(size=shape).astype("float32") for p, shape in SHAPES.items()}
            now["Embedding-Token/embeddings"][[update % 5, (update + 1) % 5]] = 0
            made.append(now)
    return made


def means(gradients: list[dict], micro: int) -> list[dict[str, np.ndarray]]:
    """The mean gradient, in float64, of each `micro` batches."""
    groups = [gradients[i : i + micro] for i in range(0, len(gradients), micro)]
    return [
        {p: np.mean([g[p] for g in group], axis=0, dtype="f8") for p in SHAPES} for group in groups
    ]


def make_variables(weights: dict[str, np.ndarray] | None = None, **options) -> list[keras.Variable]:
    made = []
    for path, value in (weights or first_weights()).items():
        layer, name = path.rsplit("/", 1)
        with keras.name_scope(layer):
            made.append(keras.Variable(value, name=name, **options))
    return made


def values(variables) -> dict[str, np.ndarray]:
    return {v.path: ops.convert_to_numpy(v).copy() for v in variables}


def apply_function(optimizer, variables, compiled: bool):
    """A function of one list of gradients that has the optimizer apply them."""
    backend = keras.backend.backend()
    if not optimizer.built:
        optimizer.build(variables)
    if not compiled:
        return lambda grads: optimizer.apply([ops.convert_to_tensor(g) for g in grads], variables)
    if backend == "tensorflow":
        import tensorflow as tf

        function = tf.function(lambda g: optimizer.apply(g, variables), jit_compile=True)
        return lambda grads: function([tf.constant(g) for g in grads])
    import jax

    stateless = jax.jit(optimizer.stateless_apply)

    def apply(grads):
        state = [v.value for v in optimizer.variables]
        new, state = stateless(state, grads, [v.value for v in variables])
        pairs = [*zip(variables, new, strict=True), *zip(optimizer.variables, state, strict=True)]
        for variable, value in pairs:
            variable.assign(value)

    return apply


def run(optimizer, gradients, compiled: bool = MODES[0], weights=None, look=None, **options):
    """Apply all gradients; returns what `look()`, or else the weights, are after each."""
    variables = make_variables(weights, **options)
    apply, seen = apply_function(optimizer, variables, compiled), []
    for now in gradients:
        apply([now[variable.path] for variable in variables])
        seen.append(look() if look else values(variables))
    return seen


def furthest(found: list[dict], expected: list[dict]) -> float:
    """The largest difference in two histories of weights."""
    assert len(found) == len(expected)
    return max(
        float(np.abs(a[path] - b[path]).max())
        for a, b in zip(found, expected, strict=True)
        for path in b
    )
