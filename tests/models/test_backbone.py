"""The built model as a Keras model: layers by name, training, saving, precision, export."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras import checkpoints
from bert4keras.layers import FirstToken
from bert4keras.models import build_transformer_model
from helpers import tiny

ATTENTION = "Transformer-0-MultiHeadSelfAttention"
LAYERS = {
    "Input-Token",
    "Input-Segment",
    "Embedding-Token",
    "Embedding-Segment",
    "Embedding-Position",
    "Embedding-Norm",
    *(
        f"Transformer-{i}-{part}{end}"
        for i in range(2)
        for part in ("MultiHeadSelfAttention", "FeedForward")
        for end in ("", "-Add", "-Norm")
    ),
    "Pooler",
    "Pooler-Dense",
    "NSP-Proba",
    "MLM-Dense",
    "MLM-Norm",
    "MLM-Bias",
    "MLM-Activation",
}
RELOAD = """
import sys, keras, numpy as np
import bert4keras.models
with np.load(sys.argv[2]) as data:
    model = keras.models.load_model(sys.argv[1])
    out = model.predict([data["tokens"], data["segments"]], verbose=0)
    sys.exit(float(np.abs(out - data["expected"]).max()) > 1e-6)
"""


def value(weight) -> np.ndarray:
    return ops.convert_to_numpy(ops.convert_to_tensor(weight))


def with_head(bert, units=3) -> keras.Model:
    first = FirstToken()
    first = bert.output if len(bert.output.shape) == 2 else first(bert.output)
    return keras.Model(bert.input, keras.layers.Dense(units, activation="softmax")(first))


def train(model, steps=1):
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    labels = np.array([0, 1, 2])
    return [model.train_on_batch(tiny.inputs(), labels) for _ in range(steps)]


def test_layers_have_the_names_scripts_rely_on():
    bert = tiny.build(with_nsp=True, with_mlm=True)
    assert {layer.name for layer in bert.layers} >= LAYERS
    assert [x.name for x in bert.inputs] == ["Input-Token", "Input-Segment"]


@pytest.mark.parametrize("index", [0, 1])
def test_the_output_of_a_layer_by_name_is_a_hidden_state(index):
    bert = tiny.build()
    named = bert.get_layer(f"Transformer-{index}-FeedForward-Norm").output
    both = keras.Model(bert.input, [named, bert.hidden_states[index + 1]])
    left, right = both.predict(tiny.inputs(), verbose=0)
    np.testing.assert_array_equal(left, right)
    assert np.abs(left).max() > 0.1


@pytest.mark.spread
@pytest.mark.parametrize(
    ("options", "shapes"),
    [
        ({}, [(3, 9, 8)]),
        ({"with_pool": True}, [(3, 8)]),
        ({"with_nsp": True}, [(3, 2)]),
        ({"with_mlm": True}, [(3, 9, 20)]),
        ({"with_pool": "linear", "with_mlm": "linear"}, [(3, 8), (3, 9, 20)]),
        ({"application": "unilm"}, [(3, 9, 20)]),
    ],
)
def test_outputs(options, shapes):
    out = tiny.build(**options).predict(tiny.inputs(), verbose=0)
    out = out if isinstance(out, list) else [out]
    assert [x.shape for x in out] == shapes
    assert all(np.isfinite(x).all() for x in out)


@pytest.mark.spread
def test_all_weights_train():
    bert = tiny.build(with_pool=True)
    before = [value(w).copy() for w in bert.trainable_weights]
    losses = train(with_head(bert), steps=8)
    assert losses[-1] < losses[0]
    for weight, old in zip(bert.trainable_weights, before, strict=True):
        # The softmax does not change when all scores of a row grow by the same amount.
        if not weight.path.endswith("key/bias"):
            assert np.abs(value(weight) - old).max() > 1e-4, weight.path


def test_embedding_size_other_than_hidden_size():
    bert = tiny.build({"embedding_size": 5}, with_mlm=True)
    assert bert.get_layer("Embedding-Mapping").kernel.shape == (5, 8)
    assert bert.predict(tiny.inputs(), verbose=0).shape == (3, 9, 20)


def test_no_segments_and_own_positions():
    bert = tiny.build({"segment_vocab_size": 0}, custom_position_ids=True)
    assert [x.name for x in bert.inputs] == ["Input-Token", "Input-Position"]
    tokens, _ = tiny.inputs()
    places = np.tile(np.arange(9, dtype="int32"), (3, 1))
    plain = build_transformer_model(
        tiny.config(segment_vocab_size=0), layers=bert.transformer.layers
    )
    expected = plain.predict(tokens, verbose=0)
    np.testing.assert_allclose(bert.predict([tokens, places], verbose=0), expected, atol=1e-6)
    assert np.abs(bert.predict([tokens, places + 1], verbose=0) - expected).max() > 1e-2


def test_two_encoders_share_layers_or_have_a_prefix():
    first = tiny.build()
    shared = build_transformer_model(tiny.config(), layers=first.transformer.layers)
    apart = build_transformer_model(tiny.config(), prefix="Other-")
    expected = first.predict(tiny.inputs(), verbose=0)
    np.testing.assert_array_equal(shared.predict(tiny.inputs(), verbose=0), expected)
    joined = keras.Model([*first.input, *apart.input], [first.output, apart.output])
    assert len({layer.name for layer in joined.layers}) == len(joined.layers)
    assert len(joined.trainable_weights) == 2 * len(first.trainable_weights)


@pytest.mark.spread
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"application": "lm"},
        {"application": "unilm", "with_pool": True},
        {"with_nsp": True, "prefix": "A-"},
        {"custom_position_ids": True},
        {"application": "prefix"},
    ],
)
def test_a_saved_backbone_is_the_same(options, tmp_path):
    bert = tiny.build(**options)
    x = tiny.inputs()
    x += [np.tile(np.arange(9, dtype="int32") % 3, (3, 1))] * (len(bert.inputs) - 2)
    path = tmp_path / "model.keras"
    bert.save(path)
    again = keras.models.load_model(path)
    assert type(again) is type(bert)
    assert again.config == bert.config
    expected, found = bert.predict(x, verbose=0), again.predict(x, verbose=0)
    for left, right in zip(keras.tree.flatten(expected), keras.tree.flatten(found), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.spread
def test_a_saved_head_is_the_same_in_another_process(tmp_path):
    bert = tiny.build(with_pool=True)
    model = keras.Model(bert.input, keras.layers.Dense(3, activation="softmax")(bert.output))
    train(model)
    tokens, segments = tiny.inputs()
    expected = model.predict([tokens, segments], verbose=0)
    path, data = tmp_path / "model.keras", tmp_path / "data.npz"
    model.save(path)
    np.savez(data, tokens=tokens, segments=segments, expected=expected)
    again = keras.models.load_model(path)
    np.testing.assert_array_equal(again.predict([tokens, segments], verbose=0), expected)
    command = [sys.executable, "-c", RELOAD, str(path), str(data)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# Keras says so of the inputs and of every other layer that it cannot quantize.
@pytest.mark.spread
@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method:UserWarning")
def test_int8_stays_close():
    bert = tiny.build()
    expected = bert.predict(tiny.inputs(), verbose=0)
    bert.quantize("int8")
    assert "int8" in {keras.backend.standardize_dtype(w.dtype) for w in bert.weights}
    found = bert.predict(tiny.inputs(), verbose=0)
    assert 0 < np.abs(found - expected).max() < 0.1 * np.abs(expected).max()


def test_lora_on_the_query_trains_only_its_factors():
    bert = tiny.build(with_pool=True)
    model = with_head(bert)
    bert.trainable = False
    query = bert.get_layer(ATTENTION).query
    query.trainable = True
    bert.get_layer(ATTENTION).trainable = True
    for layer in ("key", "value", "output_projection"):
        getattr(bert.get_layer(ATTENTION), layer).trainable = False
    query.enable_lora(2)
    frozen, other = value(query._kernel).copy(), value(bert.weights[0]).copy()
    factor = value(query.lora_kernel_b).copy()
    train(model, steps=2)
    np.testing.assert_array_equal(value(query._kernel), frozen)
    np.testing.assert_array_equal(value(bert.weights[0]), other)
    assert np.abs(value(query.lora_kernel_b) - factor).max() > 0


@pytest.mark.spread
@pytest.mark.parametrize(("policy", "digits"), [("mixed_float16", 10), ("mixed_bfloat16", 7)])
def test_half_precision_is_near_float32(policy, digits):
    x = tiny.inputs()
    full = tiny.build()
    expected = full.predict(x, verbose=0)
    keras.config.set_dtype_policy(policy)
    half = tiny.build()
    half.set_weights(full.get_weights())
    assert half.get_layer(ATTENTION).compute_dtype == policy.removeprefix("mixed_")
    found = half.predict(x, verbose=0).astype("float32")
    # Two blocks and an embedding: some ten roundings of half a unit in the last place.
    assert 0 < np.abs(found - expected).max() < 10 * np.abs(expected).max() * 2.0**-digits
    scores = tiny.build(with_mlm=True)
    assert scores.predict(x, verbose=0).dtype == np.float32
    losses = train(with_head(half), steps=4)
    assert np.isfinite(losses).all()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a SavedModel is TensorFlow's")
def test_saved_model_gives_the_same_numbers(tmp_path):
    import tensorflow as tf

    bert = tiny.build(with_pool=True)
    bert.export(tmp_path / "saved", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "saved"))
    for batch in (3, 1):
        x = [part[:batch] for part in tiny.inputs()]
        found = served.serve([tf.constant(part) for part in x]).numpy()
        np.testing.assert_allclose(found, bert.predict(x, verbose=0), atol=1e-5)


@pytest.mark.spread
def test_vocabulary_surgery(fixtures):
    keep, compound = [0, 5, 9, 30], [[1, 2], ([1, 3], [3, 1])]
    options = {"with_mlm": "linear"}
    whole = build_transformer_model(fixtures / "bert_gelu", **options)
    cut = build_transformer_model(
        fixtures / "bert_gelu", keep_tokens=keep, compound_tokens=compound, **options
    )
    assert cut.config.vocab_size == 6
    assert cut.output.shape[-1] == 6
    for layer, name in (("Embedding-Token", "embeddings"), ("MLM-Bias", "bias")):
        old = value(getattr(whole.get_layer(layer), name))
        new = value(getattr(cut.get_layer(layer), name))
        np.testing.assert_array_equal(new[:4], old[keep])
        np.testing.assert_allclose(new[4], (old[5] + old[9]) / 2, atol=1e-6)
        np.testing.assert_allclose(new[5], 0.75 * old[5] + 0.25 * old[30], atol=1e-6)
    # The same tokens under their new ids give the same vectors and scores.
    new_ids = np.array([[1, 2, 3, 1, 0]], "int32")
    segments = np.zeros_like(new_ids)
    old_ids = np.array(keep, "int32")[new_ids]
    found = cut.predict([new_ids, segments], verbose=0)[:, :4, :4]
    expected = whole.predict([old_ids, segments], verbose=0)[:, :4][..., keep]
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.spread
@pytest.mark.parametrize("format", ["huggingface", "google"])
def test_a_saved_directory_opens_without_a_config_being_given(tmp_path, format):
    if format == "google":
        pytest.importorskip("tensorflow", reason="writes TensorFlow checkpoints")
    bert = tiny.build({"norm_epsilon": 1e-6, "num_hidden_layers": 1})
    checkpoints.save(bert, tmp_path / "bert", format=format)
    again = build_transformer_model(tmp_path / "bert")
    assert again.config.norm_epsilon == 1e-6
    for a, b in zip(bert.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    # Beside a named file there may be those of other models: their config is not replaced.
    suffix = ".safetensors" if format == "huggingface" else ".ckpt"
    checkpoints.save(bert, tmp_path / f"one{suffix}", format=format)
    assert not list(tmp_path.glob("*.json"))
