"""GAU-alpha against plain numpy, under TensorFlow's names."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from bert4keras.checkpoints import save
from bert4keras.config import ConfigError
from bert4keras.families.gau import GAUConfig
from bert4keras.layers import GatedAttentionUnit
from bert4keras.models import build_transformer_model
from helpers import numpy_gau
from helpers.named_weights import arrays_of

pytestmark = pytest.mark.spread

V, D, U, K, LAYERS, LENGTH = 30, 12, 20, 8, 2, 21
CONFIG = {
    "vocab_size": V,
    "hidden_size": D,
    "intermediate_size": U,
    "attention_key_size": K,
    "num_hidden_layers": LAYERS,
    "hidden_act": "swish",
    "type_vocab_size": 2,
}
SHAPES = {
    "bert/embeddings/word_embeddings": (V, D),
    "bert/embeddings/token_type_embeddings": (2, D),
} | {
    f"GAU_alpha/encoder/layer_{i}/gau/{name}": shape
    for i in range(LAYERS)
    for name, shape in {
        "i_dense/kernel": (D, 2 * U + K),
        "o_dense/kernel": (U, D),
        "q_scaleoffset/gamma": (K,),
        "k_scaleoffset/gamma": (K,),
    }.items()
}
TOLERANCE = 2e-5


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        name: (rng.normal(size=shape) * 0.4 + name.endswith("gamma")).astype("float32")
        for name, shape in SHAPES.items()
    }


@pytest.fixture(scope="module")
def inputs() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    real = np.arange(LENGTH) < np.array([[LENGTH], [13]])  # more and fewer than 16
    return {
        "token_ids": np.where(real, rng.integers(1, V, (2, LENGTH)), 0).astype("int32"),
        "segment_ids": (real & (np.arange(LENGTH) > 8)).astype("int32"),
        "mask": np.repeat(real[:, None], LENGTH, 1),
        "positions": np.arange(LENGTH),
    }


def build(weights, **options):
    config = GAUConfig.from_dict(CONFIG)
    return build_transformer_model(config, weights, model="gau_alpha", **options)


def gap(model, inputs, expected) -> float:
    states = keras.Model(model.input, model.hidden_states)
    x = [inputs["token_ids"], inputs["segment_ids"]]
    found = states.predict(x, verbose=0)
    real = inputs["token_ids"] > 0
    return max(np.abs(a - b)[real].max() for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("how", ["softmax", "softmax_plus", "squared_relu"])
@pytest.mark.parametrize("causal", [False, True])
def test_hidden_states(weights, inputs, how, causal):
    mask = inputs["mask"] & np.tri(LENGTH, dtype=bool) if causal else inputs["mask"]
    options = {"application": "lm", "with_mlm": False} if causal else {}
    model = build(weights, attention_normalization=how, **options)
    report = model.load_report
    assert sorted(report.loaded.values()) == sorted(SHAPES)
    assert (report.missing, report.unexpected, report.untouched) == ((), (), ())
    given = {**inputs, "mask": mask}
    expected = numpy_gau.hidden_states(weights, given, LAYERS, U, how)
    assert gap(model, inputs, expected) < TOLERANCE


@pytest.mark.parametrize(
    "changes",
    [
        {"how": "softmax"},
        {"activation": np.tanh},
        {"mask": np.ones((2, LENGTH, LENGTH), bool)},
        {"positions": np.arange(LENGTH) + (np.arange(LENGTH) > 1)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_mistake_would_be_noticed(weights, inputs, changes):
    given = {key: changes.get(key, value) for key, value in inputs.items()}
    options = {key: value for key, value in changes.items() if key not in inputs}
    expected = numpy_gau.hidden_states(weights, given, LAYERS, U, **options)
    assert gap(build(weights), inputs, expected) > 100 * TOLERANCE


def test_scores_of_the_tied_table(weights, inputs):
    model = build(weights, with_mlm="linear")
    x = [inputs["token_ids"], inputs["segment_ids"]]
    last = numpy_gau.hidden_states(weights, inputs, LAYERS, U)[-1]
    expected = last @ weights["bert/embeddings/word_embeddings"].T
    error = np.abs(model.predict(x, verbose=0) - expected)[inputs["token_ids"] > 0]
    assert error.max() < TOLERANCE * np.abs(expected).max()


def test_saving_gives_back_every_name_and_byte(weights, tmp_path):
    save(build(weights), tmp_path, format="google")
    found = arrays_of(tmp_path / "bert_model.ckpt")
    assert {name: value.shape for name, value in found.items()} == SHAPES
    for name, value in found.items():
        assert value.tobytes() == weights[name].tobytes(), name


def test_the_biases_of_the_unit():
    layer = GatedAttentionUnit(5, 4, kernel_initializer="random_normal")
    x = np.random.default_rng(3).normal(size=(2, 6, 3)).astype("float32")
    before = keras.ops.convert_to_numpy(layer(x))
    assert {w.path.rpartition("/")[2] for w in layer.weights} >= {"query_shift", "bias"}
    for shift in layer.shifts:
        shift.assign(np.ones(4))
    assert np.abs(keras.ops.convert_to_numpy(layer(x)) - before).max() > 1e-4
    again = GatedAttentionUnit.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


def test_what_is_refused():
    with pytest.raises(ConfigError, match="must be one of softmax, softmax_plus, squared_relu"):
        GAUConfig.from_dict({**CONFIG, "attention_normalization": "relu"})
    with pytest.raises(ValueError, match="unknown attention normalization 'relu'"):
        GatedAttentionUnit(5, 4, normalization="relu")
    x = np.zeros((1, 2, 3), "float32")
    with pytest.raises(ValueError, match="it attends to its input"):
        GatedAttentionUnit(5, 4)(x, context=x + 1)
