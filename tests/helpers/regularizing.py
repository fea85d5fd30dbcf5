"""Models of a few weights, and gradients as a trainer gets them."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from bert4keras.layers import TokenEmbedding
from bert4keras.training import RegularizedModel
from bert4keras.training.step import TrainingStep

# No id twice in the batch: so moving the rows of the embedding matrix moves the looked-up vectors.
IDS = np.array([[1, 5, 2], [7, 3, 9], [4, 8, 6], [10, 0, 11]], "int32")
LABELS = np.array([0, 2, 1, 2], "int32")
LOSS = "sparse_categorical_crossentropy"


def small_model(rate: float = 0.0, seed: int = 0, activation: str = "softmax") -> keras.Model:
    """Ids (B, 3) to three classes: embedding, tanh layer, mean, dropout, softmax."""
    keras.utils.set_random_seed(seed)
    ids = keras.Input((3,), dtype="int32", name="ids")
    wide = keras.initializers.RandomNormal(stddev=0.7)
    x = keras.layers.Embedding(12, 4, wide.clone(), name="Embedding-Token")(ids)
    x = keras.layers.Dense(5, "tanh", kernel_initializer=wide.clone(), name="Hidden")(x)
    x = keras.layers.Dropout(rate, name="Dropout")(x)
    x = keras.layers.GlobalAveragePooling1D(name="Pooled")(x)
    scores = keras.layers.Dense(3, kernel_initializer=wide.clone(), name="Scores", dtype="float32")
    return keras.Model(ids, keras.layers.Activation(activation, dtype="float32")(scores(x)))


def gradients(model, x=IDS, y=LABELS, weights=None, loss=LOSS, jit=False) -> list[np.ndarray]:
    """Return what one step of plain gradient descent subtracts from each weight; restore it."""
    before = model.get_weights()
    options = {"jit_compile": True} if jit else {"run_eagerly": True}
    model.compile(keras.optimizers.SGD(1.0), loss, **options)
    model.train_on_batch(x, y, weights)
    after = model.get_weights()
    model.set_weights(before)
    return [a - b for a, b in zip(before, after, strict=True)]


def moved_rows(model, move: np.ndarray):
    """Add to the first weight, the embedding matrix."""
    first, *rest = model.get_weights()
    model.set_weights([first + move, *rest])


def step_of(
    model: RegularizedModel, x=IDS, y=LABELS, weights=None, training: bool = True
) -> TrainingStep:
    """A step on a batch, outside of `fit`."""
    model.compile(loss=LOSS, run_eagerly=True)
    y, known = model._labelled(ops.convert_to_tensor(y), weights)
    return TrainingStep(model, ops.convert_to_tensor(x), y, known, weights, ops.ones(()), training)


def norm(arrays) -> float:
    """Euclidean norm of all numbers of some tensors."""
    return float(np.sqrt(sum(np.sum(numpy(x).astype("float64") ** 2) for x in arrays)))


def numpy(tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor)


def tied_model(untie: bool = False) -> keras.Model:
    """Ids (B, 3) to probabilities over the vocabulary by the embedding matrix, or a copy of it."""
    keras.utils.set_random_seed(1)
    ids = keras.Input((3,), dtype="int32", name="ids")
    matrix = keras.initializers.RandomNormal(stddev=0.7, seed=5)
    table = TokenEmbedding(12, 4, embeddings_initializer=matrix, name="Embedding-Token")
    other = TokenEmbedding(12, 4, embeddings_initializer=matrix, name="Output") if untie else table
    kernel = keras.initializers.RandomNormal(stddev=0.7, seed=6)
    x = keras.layers.Dense(4, "tanh", kernel_initializer=kernel, name="Hidden")(table(ids))
    return keras.Model(ids, keras.layers.Softmax(dtype="float32")(other(x, reverse=True)))
