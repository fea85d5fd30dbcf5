"""The bricks one by one, against numpy."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.layers import (
    FeedForward,
    FirstToken,
    MaskedMeanPooling,
    MultiHeadAttention,
    PositionEmbedding,
    TokenEmbedding,
    VocabularyBias,
    get_activation,
)
from bert4keras.positions import CustomPositionIds, PositionIds
from helpers import numpy_bert

RNG = np.random.default_rng(5)
X = RNG.normal(size=(2, 5, 6)).astype("float32")
CONTEXT = RNG.normal(size=(2, 4, 7)).astype("float32")


def value(tensor) -> np.ndarray:
    return ops.convert_to_numpy(ops.convert_to_tensor(tensor))


def dense(x, layer):
    x = x.astype("float64") @ value(layer.kernel)
    return x if layer.bias is None else x + value(layer.bias)


def head_scores(layer, x, context, bias=0.0):
    """Scores (B, N, T, S) head by head in float64, under a bias that broadcasts to them."""
    query, key = dense(x, layer.query), dense(context, layer.key)
    size, out = layer.key_size, []
    for head in range(layer.heads):
        part = slice(head * size, (head + 1) * size)
        out.append(query[..., part] @ key[..., part].transpose(0, 2, 1))
    return np.stack(out, axis=1) / (math.sqrt(size) if layer.scaled else 1) + bias


def attend(layer, x, context, mask=True, bias=0.0):
    """Attention head by head in float64."""
    scores = np.where(mask, head_scores(layer, x, context, bias), -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    v, size = dense(context, layer.value), layer.head_size
    out = [weights[:, n] @ v[..., n * size : (n + 1) * size] for n in range(layer.heads)]
    return dense(np.concatenate(out, -1), layer.output_projection)


@pytest.mark.parametrize(
    "options",
    [{}, {"output_dim": 9}, {"use_bias": False}, {"attention_dropout": 0.5}],
)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_attention(options, masked, biased):
    layer = MultiHeadAttention(3, 4, kernel_initializer="random_normal", **options)
    mask, bias = np.tri(5, dtype=bool), RNG.normal(size=(5, 5)).astype("float32")
    arguments = {"attention_mask": mask[None, None]} if masked else {}
    if biased:
        arguments["bias"] = ops.convert_to_tensor(bias[None, None])
    found = value(layer(X, **arguments))
    expected = attend(layer, X, X, mask if masked else True, bias if biased else 0.0)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_cross_attention():
    layer = MultiHeadAttention(2, 3, kernel_initializer="random_normal")
    found = value(layer(X, context=CONTEXT))
    np.testing.assert_allclose(found, attend(layer, X, CONTEXT), atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"scaled": False}, {"key_size": 2}])
@pytest.mark.parametrize("masked", [False, True])
def test_scores_are_returned_and_those_of_an_earlier_layer_added(options, masked):
    initializer = keras.initializers.RandomNormal(stddev=0.5)
    layer = MultiHeadAttention(3, 4, return_scores=True, kernel_initializer=initializer, **options)
    mask = np.tri(5, dtype=bool) if masked else np.ones((5, 5), bool)
    bias = RNG.normal(size=(5, 5)).astype("float32")
    earlier = RNG.normal(size=(2, 3, 5, 5)).astype("float32")
    for arguments, added in [
        ({}, 0.0),
        ({"scores": earlier}, earlier),
        ({"scores": earlier, "bias": bias[None, None]}, earlier + bias),
    ]:
        tensors = {name: ops.convert_to_tensor(array) for name, array in arguments.items()}
        x, scores, cache = layer(X, attention_mask=mask[None, None], **tensors)
        assert cache == ()
        # The mask hides no scores: the next layer has its own mask.
        np.testing.assert_allclose(value(scores), head_scores(layer, X, X, added), atol=1e-5)
        np.testing.assert_allclose(value(x), attend(layer, X, X, mask, added), atol=1e-5)
    assert np.abs(attend(layer, X, X, mask, earlier) - attend(layer, X, X, mask)).max() > 0.1


def test_scores_of_an_earlier_layer_where_none_are_returned():
    layer = MultiHeadAttention(3, 4, kernel_initializer="random_normal")
    earlier = RNG.normal(size=(2, 3, 5, 4)).astype("float32")
    found = value(layer(X, context=CONTEXT, scores=ops.convert_to_tensor(earlier)))
    np.testing.assert_allclose(found, attend(layer, X, CONTEXT, bias=earlier), atol=1e-6)
    assert np.abs(found - attend(layer, X, CONTEXT)).max() > 1e-3


def test_attention_dropout_works_in_training_only():
    layer = MultiHeadAttention(2, 3, attention_dropout=0.5)
    still = value(layer(X))
    np.testing.assert_array_equal(value(layer(X, training=False)), still)
    first, second = value(layer(X, training=True)), value(layer(X, training=True))
    assert np.abs(first - still).max() > 1e-3
    assert np.abs(first - second).max() > 1e-3


def test_projections_start_differently():
    layer = MultiHeadAttention(2, 3)
    layer(X)
    assert np.abs(value(layer.query.kernel) - value(layer.key.kernel)).max() > 1e-3


@pytest.mark.parametrize("name", ["gelu", "gelu_tanh"])
def test_gelus(name):
    x = np.linspace(-5, 5, 101).astype("float32")
    found = value(get_activation(name)(ops.convert_to_tensor(x)))
    np.testing.assert_allclose(found, getattr(numpy_bert, name)(x), atol=1e-6)


def test_the_gelus_differ():
    x = ops.convert_to_tensor(np.array([2.0], "float32"))
    assert abs(value(get_activation("gelu")(x)) - value(get_activation("gelu_tanh")(x))) > 5e-5


def test_feed_forward():
    layer = FeedForward(11, activation="gelu_tanh", output_dim=4)
    found = value(layer(X))
    expected = dense(numpy_bert.gelu_tanh(dense(X, layer.inner)), layer.outer)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_token_embedding_both_ways():
    layer = TokenEmbedding(7, 3)
    ids = np.array([[1, 6], [0, 3]], "int32")
    vectors = value(layer(ids))
    table = value(layer.embeddings)
    np.testing.assert_array_equal(vectors, table[ids])
    np.testing.assert_allclose(value(layer(vectors, reverse=True)), table[ids] @ table.T, atol=1e-6)


@pytest.mark.parametrize("wrong", [7, -1])
def test_token_embedding_refuses_foreign_ids(wrong):
    with pytest.raises(ValueError, match=rf"token id {wrong} at \(0, 1\).*vocabulary of 7"):
        TokenEmbedding(7, 3)(np.array([[1, wrong]], "int32"))


def test_positions_that_a_table_lacks_are_refused():
    ids = PositionIds(max_length=4)
    assert ids(np.ones((2, 4), "int32")).shape == (1, 4)
    with pytest.raises(ValueError, match=r"5 tokens is longer than the model's 4.*maxlen=4"):
        ids(np.ones((1, 5), "int32"))
    given = CustomPositionIds(max_position=4)
    positions = np.array([[0, 1, 2, 3, 1, 2]], "int32")  # a longer row, of positions that exist
    np.testing.assert_array_equal(value(given(positions)), positions)
    with pytest.raises(ValueError, match=r"position 4 at \(0, 2\) is outside the model's 4 posit"):
        given(np.array([[0, 3, 4]], "int32"))


def test_pooling():
    ids = np.array([[3, 1, 2, 0, 0], [0, 0, 0, 0, 0]], "int32")
    np.testing.assert_array_equal(value(FirstToken()(X)), X[:, 0])
    mean = value(MaskedMeanPooling(pad_token_id=0)([X, ids]))
    np.testing.assert_allclose(mean[0], X[0, :3].mean(0), atol=1e-6)
    np.testing.assert_array_equal(mean[1], np.zeros(6))
    other = value(MaskedMeanPooling(pad_token_id=2)([X, ids]))
    np.testing.assert_allclose(other[0], X[0, [0, 1, 3, 4]].mean(0), atol=1e-6)


def test_vocabulary_bias():
    layer = VocabularyBias()
    layer.build((None, None, 6))
    layer.bias.assign(np.arange(6, dtype="float32"))
    np.testing.assert_array_equal(value(layer(X)), X + np.arange(6, dtype="float32"))


@pytest.mark.parametrize(
    "layer",
    [
        MultiHeadAttention(2, 3, output_dim=4, use_bias=False, attention_dropout=0.1),
        FeedForward(5, activation="gelu_tanh"),
        FeedForward(5, activation="gelu", output_dim=3, use_bias=False),
        TokenEmbedding(7, 3),
        PositionEmbedding(4, 3),
        FirstToken(),
        MaskedMeanPooling(pad_token_id=3),
        VocabularyBias(),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_configs_round_trip(layer):
    written = keras.saving.serialize_keras_object(layer)
    again = keras.saving.deserialize_keras_object(written)
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()


def test_a_text_of_one_token_is_no_cause_for_a_warning():
    layer = MultiHeadAttention(2, 4, return_scores=True)
    x = np.random.default_rng(0).normal(size=(3, 1, 8)).astype("float32")
    y = layer(x, attention_mask=np.ones((3, 1, 1, 1), bool)).output
    expected = layer.output_projection(layer.value(x))
    np.testing.assert_allclose(ops.convert_to_numpy(y), ops.convert_to_numpy(expected), atol=1e-5)
