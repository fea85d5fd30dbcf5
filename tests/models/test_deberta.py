"""DeBERTa only: buckets of distances, the convolution under a mask, names of its head."""

from __future__ import annotations

import math
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops
from safetensors.numpy import load_file

from bert4keras.config import ConfigError
from bert4keras.families.deberta import DeBERTaConfig
from bert4keras.layers.disentangled_attention import bucket_table
from bert4keras.masks import Mask
from bert4keras.models import build_transformer_model
from helpers import tiny

pytestmark = pytest.mark.spread

FIXTURES = Path(__file__).parents[1] / "fixtures" / "families"
LENGTH = 9
TOKENS = tiny.inputs(batch=2, length=LENGTH, padding=0)[0]


def bucket(distance: int, buckets: int, reach: int) -> int:
    """One distance at a time, from the formula of the second version."""
    near = buckets // 2
    if abs(distance) <= near:
        return distance
    share = math.log(abs(distance) / near) / math.log((reach - 1) / near)
    return int(math.copysign(near + math.ceil(share * (near - 1) - 1e-9), distance))


@pytest.mark.parametrize(("buckets", "reach"), [(256, 512), (8, 20), (2, 9)])
def test_buckets_of_distances(buckets, reach):
    table = bucket_table(reach, buckets)
    for distance in range(-reach + 1, reach):
        assert table[distance + reach] == bucket(distance, buckets, reach) + buckets


def test_buckets_of_published_sizes():
    """As another implementation of the second version gives them."""
    distances = [-511, -200, -129, 0, 128, 129, 130, 300, 511, 512]
    recorded = [1, 87, 127, 256, 384, 385, 386, 463, 511, 511]
    assert bucket_table(512, 256)[[512 + d for d in distances]].tolist() == recorded


def test_one_vector_per_distance_without_buckets():
    assert bucket_table(3, 0).tolist() == [0, 1, 2, 3, 4, 5, 5]


def build(application="encoder", **changes):
    """The fixture with a convolution."""
    options = {"with_mlm": False, "pad_token_id": -1, **changes}
    return build_transformer_model(FIXTURES / "deberta-v2", application=application, **options)


def predict(model, tokens, *more) -> np.ndarray:
    return model.predict([tokens, tokens * 0, *more], verbose=0)


@pytest.mark.parametrize(
    ("application", "more", "expected"),
    [
        (Mask(), [], range(LENGTH)),
        ("lm", [], range(4, LENGTH)),
        ("packed", [np.array([[1] * 4 + [2] * 5] * 2, "int32")], range(4, LENGTH)),
    ],
)
def test_the_convolution_looks_where_the_mask_allows(application, more, expected):
    model = build(application)
    other = TOKENS.copy()
    other[0, 4] = TOKENS[0, 4] % 19 + 1
    difference = np.abs(predict(model, other, *more) - predict(model, TOKENS, *more))[0].max(-1)
    assert list(np.flatnonzero(difference > 1e-6)) == list(expected)


def test_cached_steps_with_a_convolution():
    model = build("lm")
    named = {"token_ids": TOKENS, "segment_ids": TOKENS * 0}
    named = {name: ops.convert_to_tensor(value) for name, value in named.items()}
    cache, outputs = model.transformer.empty_cache(2, LENGTH), []
    for rows in ([0, 1, 2], *([i] for i in range(3, LENGTH))):
        rows = ops.convert_to_tensor(np.array(rows, "int32"))
        out, cache = model.transformer.step(named, rows, cache)
        outputs.append(ops.convert_to_numpy(out))
    np.testing.assert_allclose(np.concatenate(outputs, 1), predict(model, TOKENS), atol=2e-5)


def test_the_authors_names_of_the_head():
    directory = FIXTURES / "deberta-v3"
    tensors = {}
    for name, value in load_file(directory / "model.safetensors").items():
        if not name.startswith("cls.predictions.decoder"):
            name = name.replace("cls.predictions.transform.", "lm_predictions.lm_head.")
            tensors[name.replace("cls.predictions.", "lm_predictions.lm_head.")] = value
    tensors["mask_predictions.dense.weight"] = np.zeros((2, 2), "float32")
    model = build_transformer_model(
        directory / "config.json", tensors, model="deberta-v2", with_mlm="linear"
    )
    assert (model.load_report.missing, model.load_report.unexpected) == ((), ())
    again = build_transformer_model(directory, with_mlm="linear")
    expected = again.predict(TOKENS, verbose=0)
    np.testing.assert_array_equal(model.predict(TOKENS, verbose=0), expected)


@pytest.mark.parametrize("terms", ["c2p", "p2c|c2p"])
def test_which_terms_the_scores_have(terms):
    config = {**tiny.SIZES, "pos_att_type": terms, "max_position": 8, "share_att_key": False}
    model = build_transformer_model(DeBERTaConfig.from_dict(config), model="deberta-v2")
    layer = model.get_layer("Transformer-0-MultiHeadSelfAttention")
    assert layer.scale == pytest.approx(1 / math.sqrt(4 * (2 + terms.count("|"))))
    names = {w.path.split("/")[1] for w in layer.weights if "position" in w.path}
    both = {"position_key", "position_query"}
    assert names == (both if "|" in terms else {"position_key"})
    again = type(model.config).from_dict(model.config.to_json_dict())
    assert again == model.config


@pytest.mark.parametrize("remat", [False, True])
def test_the_vectors_of_positions_are_trained(remat):
    options = {"position_buckets": 4, "dropout_rate": 0.0, "attention_dropout_rate": 0.0}
    config = DeBERTaConfig.from_dict({**tiny.SIZES, **options, "remat": remat})
    model = build_transformer_model(config, model="deberta-v2")
    table = model.get_layer("Embedding-Relative")
    before = np.array(ops.convert_to_numpy(table.embeddings))
    model.compile(keras.optimizers.SGD(1.0), "mse")
    targets = np.random.default_rng(0).normal(size=(2, LENGTH, 8)).astype("float32")
    model.fit(TOKENS, targets, verbose=0)
    moved = np.abs(ops.convert_to_numpy(table.embeddings) - before).max(-1) > 1e-6
    assert moved.tolist() == [False, *[True] * 7]  # the first is for a distance of -16


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("relative_attention", False),
        ("pos_att_type", "c2p|p2p"),
        ("conv_kernel_size", 2),
        ("conv_groups", 4),
        ("position_buckets", 5),
        ("position_buckets", 64),
        ("embedding_size", 4),
    ],
)
def test_what_is_not_built_is_said(key, value):
    with pytest.raises(ConfigError, match=f"config `{key}=.*(it must be|its terms|allowed is)"):
        DeBERTaConfig.from_dict({**tiny.SIZES, key: value})


def test_norms_of_relative_positions():
    message = "`norm_rel_ebd` must be one of none, layer_norm, not 'rms'"
    with pytest.raises(ConfigError, match=message):
        DeBERTaConfig.from_dict({**tiny.SIZES, "norm_rel_ebd": "rms"})
