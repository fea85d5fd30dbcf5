"""Resized weights as initial values: `autoresize_weights`."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras.checkpoints import CheckpointError
from bert4keras.checkpoints.resize import fit_weight, orthogonally_resize
from bert4keras.models import build_transformer_model
from helpers import families, tiny

pytestmark = pytest.mark.spread


def test_columns_repeat_in_groups_and_the_norm_stays():
    array = np.arange(1.0, 9).reshape(2, 4)
    found = orthogonally_resize(array, (2, 6))
    grown = array[:, [0, 1, 0, 1, 2, 3]]
    np.testing.assert_allclose(found, grown * np.linalg.norm(array) / np.linalg.norm(grown))
    assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(array))
    cut = orthogonally_resize(array, (2, 3))
    np.testing.assert_allclose(cut / cut[0, 0], array[:, :3])


def test_orthogonal_columns_stay_nearly_so():
    rng = np.random.default_rng(0)
    square = np.linalg.qr(rng.normal(size=(64, 64)))[0]
    grown = orthogonally_resize(square, (128, 128))
    products = grown.T @ grown
    off = products - np.diag(np.diag(products))
    # Half of the columns are the copy of another; all others are orthogonal.
    assert (np.abs(off) > 1e-9).sum(axis=1).max() == 1


@pytest.mark.parametrize(
    ("path", "shape", "factor"),
    [
        ("Transformer-0-MultiHeadSelfAttention/query/kernel", (4, 8), 2**0.25),
        ("Transformer-0-MultiHeadSelfAttention/key/kernel", (4, 8), 2**0.25),
        ("Transformer-0-MultiHeadSelfAttention/value/kernel", (4, 8), 1),
        ("Transformer-0-FeedForward/inner/kernel", (4, 8), 2**0.5),
        ("Transformer-0-FeedForward/output/kernel", (8, 4), 0.5**0.5),
        ("Embedding-Token/embeddings", (4, 8), 1),
    ],
)
def test_scales(path, shape, factor):
    array = np.random.default_rng(1).normal(size=(4, 4))
    found = fit_weight(path, array, shape)
    assert found.shape == shape
    assert np.linalg.norm(found) == pytest.approx(factor * np.linalg.norm(array))
    assert fit_weight(path, array, (4, 4)) is array


@pytest.mark.parametrize(("array", "shape"), [((4, 3), (4, 6)), ((4,), (4, 4))])
def test_what_cannot_be_resized(array, shape):
    with pytest.raises(ValueError, match=r"not a multiple of 2|different numbers of axes"):
        orthogonally_resize(np.zeros(array), shape)


@pytest.mark.parametrize(("old", "first"), [(6, 0), (128, 0), (130, 2)])
def test_more_positions_repeat_those_that_are_trained(old, first):
    array = np.arange(float(old))[:, None] + 1
    found = fit_weight("Embedding-Position/embeddings", array, (3 * old, 1))[:, 0] - 1
    np.testing.assert_array_equal(found[:old], array[:, 0] - 1)
    period = old - first
    again = [first + (n - first) % period for n in range(3 * old)]
    np.testing.assert_array_equal(found[first:], again[first:])
    cut = fit_weight("Embedding-Position/embeddings", array, (4, 1))
    np.testing.assert_array_equal(cut, array[:4])
    wider = fit_weight("Embedding-Position/embeddings", array.repeat(2, 1), (2 * old, 4))
    assert wider.shape == (2 * old, 4)


@pytest.mark.parametrize(("family", "first"), [("ernie", 0), ("roberta", 2)])
def test_a_longer_model_computes_the_same_for_short_texts(family, first):
    directory = families.FAMILIES / family
    short = build_transformer_model(directory)
    rows = short.config.max_position
    assert short.transformer.position.offset(short.config) == first
    longer = build_transformer_model(directory, max_position=2 * rows, autoresize_weights=True)
    ids = np.random.default_rng(0).integers(5, 12, (2, 2 * rows - 4))
    given = [ids if "token" in name else 0 * ids for name in short.input_order]
    part = [row[:, : rows - 4] for row in given]
    expected = short.predict(part, verbose=0)
    np.testing.assert_allclose(longer.predict(part, verbose=0), expected, atol=1e-6)
    assert longer.predict(given, verbose=0).shape[1] == 2 * rows - 4
    layer, old = longer.get_layer("Embedding-Position"), short.get_layer("Embedding-Position")
    mixed = orthogonally_resize(old.get_weights()[0], layer.get_weights()[0].shape)
    layer.set_weights([mixed])
    assert np.abs(longer.predict(part, verbose=0) - expected).max() > 1e-3


def test_a_wider_model_starts_from_a_narrow_one(tmp_path):
    from bert4keras.checkpoints import save

    narrow = tiny.build()
    save(narrow, tmp_path, config=narrow.config)
    larger = {"hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 4}
    with pytest.raises(CheckpointError, match="does not fit the model"):
        build_transformer_model(tmp_path, **larger)
    wide = build_transformer_model(tmp_path, autoresize_weights=True, **larger)
    assert "Embedding-Token/embeddings" in wide.load_report.reshaped
    tokens = wide.get_layer("Embedding-Token").get_weights()[0]
    original = narrow.get_layer("Embedding-Token").get_weights()[0]
    assert np.linalg.norm(tokens) == pytest.approx(np.linalg.norm(original), rel=1e-5)
    columns = [0, 1, 0, 1, 2, 3, 2, 3, 4, 5, 4, 5, 6, 7, 6, 7]
    np.testing.assert_allclose(tokens, original[:, columns] / 2**0.5, rtol=1e-5)
    with pytest.raises(CheckpointError, match=r"Set vocab_size=20, or choose rows"):
        build_transformer_model(tmp_path, autoresize_weights=True, vocab_size=30)
