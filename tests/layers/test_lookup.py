"""Embeddings train alike on every backend, however often an id occurs."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras import layers
from bert4keras.layers.bucket_embedding import BucketEmbedding
from bert4keras.layers.embeddings import FactorizedTokenEmbedding, SegmentEmbedding, TokenEmbedding
from bert4keras.positions import PositionEmbedding

RATE = 1e-3
LAYERS = {
    "tokens": lambda: TokenEmbedding(3, 4, embeddings_initializer="zeros"),
    "factorized": lambda: FactorizedTokenEmbedding(3, 4, 5, embeddings_initializer="ones"),
    "segments": lambda: SegmentEmbedding(3, 4, embeddings_initializer="zeros"),
    "positions": lambda: PositionEmbedding(3, 4, embeddings_initializer="zeros"),
    "0.11": lambda: layers.Embedding(3, 4, embeddings_initializer="zeros"),
}


class Head(keras.layers.Layer):
    """The sum over all positions of vectors times numbers that differ between coordinates."""

    def call(self, x):
        return ops.sum(x * ops.arange(1, x.shape[-1] + 1, dtype=x.dtype), axis=(1, 2))[:, None]


def moved(layer, ids):
    """Return by how much a step of Keras' Adam moves each row, as a multiple of the rate."""
    x = keras.Input((None,), dtype="int32")
    model = keras.Model(x, Head()(layer(x)))
    before = ops.convert_to_numpy(layer.embeddings).copy()
    model.compile(keras.optimizers.Adam(RATE), "mse")
    model.train_on_batch(ids, np.ones((len(ids), 1), "float32") * 50)
    return np.abs(ops.convert_to_numpy(layer.embeddings) - before).max(axis=1) / RATE


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_a_frequent_id_moves_as_far_as_a_rare_one(make):
    ids = np.array([[0] * 16, [0] * 15 + [1]], "int32")
    np.testing.assert_allclose(moved(make(), ids), [1, 1, 0], atol=0.01)


class Total(keras.layers.Layer):
    """The sum of everything as (1, 1), whatever the batch."""

    def call(self, x):
        return ops.reshape(ops.sum(x), (1, 1))

    def compute_output_shape(self, input_shape):
        return (1, 1)


@pytest.mark.parametrize(
    "layer",
    [
        BucketEmbedding(4, 2, max_distance=8, embeddings_initializer="zeros"),
        layers.RelativePositionEmbedding(5, 2),
        layers.RelativePositionEmbeddingT5(4, 2, max_distance=8),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_distances(layer):
    """Each of few rows belongs to many pairs of twelve positions."""
    x = keras.Input((None,), dtype="int32")
    model = keras.Model(x, Total()(layer([x, x])))
    model.compile(keras.optimizers.Adam(RATE), "mse")
    ids = np.arange(12, dtype="int32")[None]
    model.train_on_batch(ids, np.ones((1, 1), "float32"))
    found = np.abs(ops.convert_to_numpy(layer.embeddings)).max(axis=1) / RATE
    np.testing.assert_allclose(found[found > 0], 1, atol=0.01)
    assert (found > 0).any()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="other backends add them")
def test_the_layer_of_keras_differs():
    """The negative control: once this fails, Keras adds the entries and `take_rows` can go."""
    layer = keras.layers.Embedding(3, 4, embeddings_initializer="zeros")
    assert moved(layer, np.array([[0] * 16], "int32"))[0] > 2
