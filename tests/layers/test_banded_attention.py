"""Attention in bands against dense attention under a mask written as a formula of positions."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.layers import (
    AttentionMask,
    GatedAttentionUnit,
    MultiHeadAttention,
    banded_attention,
)
from bert4keras.layers.relative_attention import RelativeAttention
from bert4keras.masks import LM, Atrous, Local, Mask, Packed, Sparse, UniLM, Window, band_parts
from bert4keras.masks.bands import Band
from bert4keras.positions import Rotary
from bert4keras.training.gradients import value_and_grad
from helpers.compiled import compiled

LENGTH = 241  # a prime: no block and no rate divides it
rng = np.random.default_rng(3)
X = rng.normal(size=(2, LENGTH, 12)).astype("float32")
TOKENS = rng.integers(1, 9, (2, LENGTH)).astype("int32")
TOKENS[1, 170:] = 0
INDEX = np.arange(LENGTH)
DISTANCE = INDEX[None, :] - INDEX[:, None]
DOCUMENTS = np.repeat([[1, 2, 3]], [80, 47, LENGTH - 127], axis=1) * (TOKENS > 0)
SEGMENTS = np.tile(INDEX >= 90, (2, 1)).astype("int32")
INPUTS = {"token_ids": TOKENS, "document_ids": DOCUMENTS, "segment_ids": SEGMENTS}
SPARSE = {
    # Section 3.2.6 of the formulas: mask, and the pairs (i, j) that it allows, by j - i.
    "window": (Window(3), lambda d: abs(d) <= 3),
    "window-left": (Window(5, 0), lambda d: (d <= 0) & (d >= -5)),
    "window-wide": (Window(20, 2), lambda d: (d <= 2) & (d >= -20)),
    "atrous": (Atrous(4), lambda d: d % 4 == 0),
    "local": (Local(2, 3), lambda d: (abs(d) <= 6) & (d % 3 == 0)),
    "sparse": (Sparse(12), lambda d: (abs(d) < 12) | (d % 12 == 0)),
}
OTHERS = {
    "padding": (Mask(), True),
    "packed-causal": (
        Packed() & LM(),
        (DOCUMENTS[:, :, None] == DOCUMENTS[:, None, :]) & (DISTANCE <= 0),
    ),
    "unilm": (UniLM(), (DISTANCE <= 0) | ((INDEX < 90)[:, None] & (INDEX < 90)[None, :])),
}


# On every backend each mask of either kind once; the other pairs, and the kinds of layers under a
# window, on one backend, since folding into bands is the same code on all.
PAIRS = [
    (name, other)
    if (i - j) % len(OTHERS) == 0
    else pytest.param(name, other, marks=[pytest.mark.spread])
    for i, name in enumerate(SPARSE)
    for j, other in enumerate(OTHERS)
]
NAMES = [pytest.param("window", marks=pytest.mark.spread), "sparse"]


def banded(strategy, length=LENGTH, inputs=INPUTS):
    given = {k: ops.convert_to_tensor(v[:, :length].astype("int32")) for k, v in inputs.items()}
    mask = AttentionMask(strategy, bands=strategy.bands)(given)
    assert len(mask.shape) == 5, "attention would be dense"
    return mask


def dense(rule, other=True, length=LENGTH):
    """The same by the formula, (B, 1, T, S)."""
    found = rule(DISTANCE) & other & (TOKENS > 0)[:, None, :]
    return ops.convert_to_tensor(found[:, None, :length, :length])


def layer_for(strategy, layer=MultiHeadAttention, **options):
    if layer is GatedAttentionUnit:
        made = layer(24, 8, bands=strategy.bands, **options)
    else:
        made = layer(3, 4, bands=strategy.bands, **options)
    made.build((None, None, 12))
    return made


def difference(layer, strategy, wanted, length=LENGTH, **arguments):
    """Largest difference at real tokens, and the size of the output."""
    x = ops.convert_to_tensor(X[:, :length])
    in_bands = compiled(lambda x: layer(x, attention_mask=banded(strategy, length), **arguments))
    outputs = in_bands(x), layer(x, attention_mask=wanted, **arguments)
    found = [ops.convert_to_numpy(y) for y in outputs]
    # A row that sees nothing (padding of packed rows) has no meaning.
    real = (TOKENS > 0)[:, :length]
    return np.abs(found[0] - found[1])[real].max(), np.abs(found[1])[real].max()


@pytest.mark.parametrize(("name", "other"), PAIRS)
def test_bands_equal_dense_attention(name, other):
    (sparse, rule), (strategy, allowed) = SPARSE[name], OTHERS[other]
    strategy = sparse & strategy if other != "padding" else sparse
    found, size = difference(layer_for(strategy), strategy, dense(rule, allowed))
    assert found < 1e-5 < size


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of 48 tokens: 241 are six of them, 81 (a row of every third) two."""
    monkeypatch.setattr(banded_attention, "_PART_TOKENS", 48)


@pytest.mark.parametrize("name", ["window", "window-left", "window-wide", "local"])
def test_parts_of_a_text_equal_dense_attention(name, small_parts):
    (sparse, rule), (strategy, allowed) = SPARSE[name], OTHERS["packed-causal"]
    for mask, wanted in [(sparse, dense(rule)), (sparse & strategy, dense(rule, allowed))]:
        parts = band_parts.BandParts(mask.bands[0], LENGTH, 48)
        assert parts.count == (2 if name == "local" else 6)
        found, size = difference(layer_for(mask), mask, wanted)
        assert found < 1e-5 < size


@pytest.mark.spread
def test_keys_around_a_part_would_be_missed(small_parts, monkeypatch):
    keys = band_parts.BandParts.keys

    def without_others(self, x):
        before, own, after = keys(self, x)
        return band_parts.PartKeys(ops.zeros_like(before), own, ops.zeros_like(after))

    monkeypatch.setattr(band_parts.BandParts, "keys", without_others)
    strategy, rule = SPARSE["window"]
    assert difference(layer_for(strategy), strategy, dense(rule))[0] > 1e-3


@pytest.mark.spread
@pytest.mark.parametrize("length", [208, 225, 240])
def test_lengths_that_blocks_divide_and_do_not(length):
    for name in ("window", "local", "sparse"):
        strategy, rule = SPARSE[name]
        wanted = dense(rule, length=length)
        assert difference(layer_for(strategy), strategy, wanted, length)[0] < 1e-5


@pytest.mark.spread
def test_another_window_would_be_noticed():
    for name, other in [("window", Window(4)), ("local", Local(2, 4)), ("sparse", Sparse(13))]:
        assert difference(layer_for(other), other, dense(SPARSE[name][1]))[0] > 1e-3


# Errors of the reference implementation, see section 3.2.6 of the formulas.
BUGS = {
    "local part at multiples of the rate, too": lambda d: d % 12 == 0,
    "causal only in the local part": lambda d: ((d <= 0) & (d > -12)) | (d % 12 == 0),
}


@pytest.mark.spread
@pytest.mark.parametrize("bug", BUGS)
def test_errors_of_the_reference_would_be_noticed(bug):
    strategy, _ = SPARSE["sparse"]
    assert difference(layer_for(strategy), strategy, dense(BUGS[bug]))[0] > 1e-3


@pytest.mark.spread
def test_a_pair_in_both_bands_counts_once():
    # All scores 0: the output is the mean over the visible keys, duplicates weigh double.
    strategy, rule = SPARSE["sparse"]
    mask = ops.convert_to_numpy(banded(strategy))[:, 0, 0]
    wanted = (rule(DISTANCE) & (TOKENS > 0)[:, None, :]).sum(-1)
    np.testing.assert_array_equal(mask.sum(-1), wanted)


@pytest.mark.spread
def test_keys_beyond_the_ends_are_hidden():
    strategy = Window(3)
    options = {"pad_token_id": None, "bands": strategy.bands}
    mask = AttentionMask(strategy, **options)({"token_ids": ops.convert_to_tensor(TOKENS)})
    counts = ops.convert_to_numpy(mask)[0, 0, 0].sum(-1)
    assert counts.tolist() == [4, 5, 6, *[7] * (LENGTH - 6), 6, 5, 4]


@pytest.mark.parametrize(
    "name", ["window", "sparse", pytest.param("atrous", marks=pytest.mark.spread)]
)
def test_gradients_are_equal(name, small_parts):
    strategy, rule = SPARSE[name]
    strategy = strategy & LM()
    layer, real = layer_for(strategy), ops.convert_to_tensor((TOKENS > 0)[..., None] * 1.0)
    given = [ops.convert_to_tensor(X), *(w.value for w in layer.trainable_variables)]

    def gradients(mask):
        def loss(x, *weights):
            fixed = layer.non_trainable_variables
            y, _ = layer.stateless_call(list(weights), fixed, x, attention_mask=mask)
            return ops.sum(ops.square(y) * ops.cast(real, y.dtype)) / 100

        found = compiled(lambda *tensors: value_and_grad(loss, list(tensors))[1])(*given)
        return [ops.convert_to_numpy(gradient) for gradient in found]

    found, wanted = gradients(banded(strategy)), gradients(dense(rule, DISTANCE <= 0))
    assert len(found) == 9
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5 * max(1, np.abs(b).max()))
    other = gradients(dense(lambda d: abs(d) <= 9, DISTANCE <= 0))
    assert np.abs(found[0] - other[0]).max() > 1e-4


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["rotary", "relative", "gated", "softmax_plus", "remat"])
def test_every_kind_of_layer(kind, name):
    strategy, rule = SPARSE[name]
    ids = ops.arange(LENGTH, dtype="int32")[None]
    made = {
        "rotary": lambda: layer_for(strategy, position=Rotary()),
        "relative": lambda: layer_for(strategy, RelativeAttention, max_relative_position=7),
        "gated": lambda: layer_for(strategy, GatedAttentionUnit),
        "softmax_plus": lambda: layer_for(
            strategy, GatedAttentionUnit, normalization="softmax_plus"
        ),
        "remat": lambda: layer_for(strategy, remat=True),
    }
    places = {"positions": ids, "key_positions": ids} if kind in ("rotary", "relative") else {}
    found, size = difference(made[kind](), strategy, dense(rule), **places)
    assert found < 1e-5 < size


@pytest.mark.parametrize("name", NAMES)
def test_a_bias_of_the_candidates(name):
    """The bias of a pair is a function of its distance here, so that both layouts can have it."""
    strategy, rule = SPARSE[name]
    ids, parts = ops.arange(LENGTH, dtype="int32")[None], []
    for band in strategy.bands:
        query, key = band.fold_queries(ids), band.fold_keys(ids)
        parts.append(band.unfold(key[:, :, None, :] - query[..., None], LENGTH))
    distances = ops.convert_to_numpy(ops.concatenate(parts, axis=-1))[0]

    def bias(d):
        return ops.convert_to_tensor(np.sin(d)[None, None].astype("float32"))

    layer, x = layer_for(strategy), ops.convert_to_tensor(X)
    found = layer(x, attention_mask=banded(strategy), bias=bias(distances))
    wanted = layer(x, attention_mask=dense(rule), bias=bias(DISTANCE))
    real = TOKENS > 0
    found, wanted = (ops.convert_to_numpy(y)[real] for y in (found, wanted))
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    plain = ops.convert_to_numpy(layer(x, attention_mask=banded(strategy)))[real]
    assert np.abs(plain - wanted).max() > 1e-3


@pytest.mark.spread
@pytest.mark.parametrize("name", ["window", "sparse"])
def test_dropout_keeps_the_mean(name):
    strategy, _ = SPARSE[name]
    layer, x = layer_for(strategy, attention_dropout=0.3), ops.convert_to_tensor(X[:1])
    mask = banded(strategy)[:1]
    plain = ops.convert_to_numpy(layer(x, attention_mask=mask))
    drawn = [ops.convert_to_numpy(layer(x, attention_mask=mask, training=True)) for _ in range(40)]
    assert np.abs(drawn[0] - drawn[1]).max() > 1e-2
    error = np.mean(drawn, axis=0) - plain
    assert np.abs(error).mean() < 0.2 * np.abs(drawn[0] - plain).mean()


@pytest.mark.spread
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision(policy):
    for name in ("window", "sparse"):
        strategy, rule = SPARSE[name]
        layer = layer_for(strategy, dtype=policy)
        x = ops.convert_to_tensor(X)
        found, wanted = (
            ops.convert_to_numpy(ops.cast(layer(x, attention_mask=mask), "float32"))
            for mask in (banded(strategy), dense(rule))
        )
        assert np.abs(found - wanted)[TOKENS > 0].max() < 0.03
        assert np.isfinite(found).all()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="others know the length")
@pytest.mark.parametrize("name", ["window", "window-wide", "atrous", "local", "sparse"])
def test_a_length_that_is_known_only_when_it_runs(name):
    import tensorflow as tf

    strategy, rule = SPARSE[name]
    layer, masks = layer_for(strategy), AttentionMask(strategy, bands=strategy.bands)

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, None), tf.int32),
            tf.TensorSpec((None, None, 12), tf.float32),
        ]
    )
    def run(token_ids, x):
        return layer(x, attention_mask=masks({"token_ids": token_ids}))

    for length in (5, 64, LENGTH):
        x = X[:, :length]
        found = run(TOKENS[:, :length], x).numpy()
        wanted = layer(tf.constant(x), attention_mask=dense(rule, length=length)).numpy()
        real = (TOKENS > 0)[:, :length]
        np.testing.assert_allclose(found[real], wanted[real], atol=1e-5)


@pytest.mark.spread
def test_a_short_text_is_read_densely():
    strategy = Window(3)
    layer = AttentionMask(strategy, bands=strategy.bands)
    for length, axes in [(143, 4), (144, 5)]:  # 48 candidates
        inputs = {"token_ids": ops.convert_to_tensor(TOKENS[:, :length])}
        assert len(layer(inputs).shape) == axes
        symbols = {"token_ids": keras.KerasTensor((None, length), dtype="int32")}
        assert len(layer(symbols).shape) == axes
    symbols = {"token_ids": keras.KerasTensor((None, None), dtype="int32")}
    assert layer(symbols).shape == (None, 1, 1, None, 48)


@pytest.mark.spread
def test_rows_of_a_decoding_step_are_dense():
    layer = AttentionMask(Window(3), bands=Window(3).bands)
    rows = ops.convert_to_tensor(np.array([140, 141], "int32"))
    mask = layer({"token_ids": ops.convert_to_tensor(TOKENS)}, query_index=rows)
    assert mask.shape == (2, 1, 2, LENGTH)


@pytest.mark.spread
def test_layers_remember_their_bands():
    strategy = Sparse(5) & LM()
    for layer in (layer_for(strategy), AttentionMask(strategy, bands=strategy.bands)):
        again = type(layer).from_config(layer.get_config())
        assert again.bands == (Band(1, 4, 0), Band(5, None, None))


@pytest.mark.spread
def test_a_layer_without_bands_says_so():
    layer = MultiHeadAttention(3, 4, name="Plain")
    with pytest.raises(ValueError, match=r"Plain got a mask in bands and has none itself"):
        layer(ops.convert_to_tensor(X), attention_mask=banded(Window(3)))
