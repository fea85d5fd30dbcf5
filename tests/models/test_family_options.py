"""Tests of every family: masks, cached steps, saving, and the options of the config."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras._compat import inner_layers
from bert4keras.masks import LM, Mask, Window
from bert4keras.models import build_transformer_model
from helpers import tiny
from helpers.family_models import SINGLE, build, call

pytestmark = pytest.mark.spread

# RoFormerV2 and GAU norm without a gain that could be conditioned.
NO_GAIN = ("roformer_v2", "gau_alpha")
LENGTH, SOURCE = 9, 4
EXTRA = {
    "encoder": {},
    "lm": {},
    "unilm": {},
    "prefix": {"prefix": [1] * SOURCE + [0] * (LENGTH - SOURCE)},
    "permutation": {"rank": list(range(LENGTH))},
    "packed": {"document_ids": [1] * SOURCE + [2] * (LENGTH - SOURCE)},
}


def inputs(model, **given) -> list[np.ndarray]:
    """Inputs of two rows for whatever a model asks for; nothing is padding."""
    rng = np.random.default_rng(5)
    known = {
        "Input-Token": rng.integers(2, tiny.SIZES["vocab_size"], (2, LENGTH)),
        "Input-Segment": np.tile([0] * SOURCE + [1] * (LENGTH - SOURCE), (2, 1)),
        "Input-Position": np.tile(np.arange(LENGTH), (2, 1)),
        **{f"Input-{name}": np.broadcast_to(v, (2, np.shape(v)[-1])) for name, v in given.items()},
    }
    return [known[x.name].astype(x.dtype) for x in model.inputs]


def predict(model, **given) -> np.ndarray:
    return call(model, inputs(model, **given))


def moved(model, token: int, **given) -> list[int]:
    """Return which positions of the first row change when one of its tokens does."""
    x = inputs(model, **given)
    before = call(model, x)
    x[0] = x[0].copy()
    x[0][0, token] = (x[0][0, token] + 1 - 2) % (tiny.SIZES["vocab_size"] - 2) + 2
    after = call(model, x)
    return list(np.flatnonzero(np.abs(after - before)[0].max(-1) > 1e-6))


def extra(application: str) -> dict:
    return {name.split("_")[0].capitalize(): value for name, value in EXTRA[application].items()}


@pytest.mark.parametrize("family", SINGLE)
@pytest.mark.parametrize(
    ("application", "token", "expected"),
    [
        (Mask(), 6, range(LENGTH)),
        ("lm", 3, range(3, LENGTH)),
        ("unilm", 2, range(LENGTH)),
        ("unilm", 6, range(6, LENGTH)),
        ("prefix", 6, range(6, LENGTH)),
        ("permutation", 3, range(3, LENGTH)),
        ("packed", 6, range(SOURCE, LENGTH)),
        (Window(1) & LM(), 3, range(3, 5)),
    ],
)
def test_every_mask_on_every_family(family, application, token, expected):
    model = build(family, application, {"num_hidden_layers": 1})
    given = extra(application) if isinstance(application, str) else {}
    assert moved(model, token, **given) == list(expected)


@pytest.mark.parametrize("family", SINGLE)
def test_cached_steps_equal_the_whole(family):
    model = build(family, "lm", with_mlm="linear", dropout_rate=0.1)
    whole, transformer = predict(model), model.transformer
    x = inputs(model)
    named = dict(zip(transformer.get_inputs(), map(ops.convert_to_tensor, x), strict=True))
    cache, outputs = transformer.empty_cache(2, LENGTH), []
    for rows in ([0, 1, 2], *([i] for i in range(3, LENGTH))):
        rows = ops.convert_to_tensor(np.array(rows, "int32"))
        out, cache = transformer.step(named, rows, cache)
        outputs.append(ops.convert_to_numpy(out))
    np.testing.assert_allclose(np.concatenate(outputs, axis=1), whole, atol=5e-5)


@pytest.mark.parametrize("family", SINGLE)
def test_keras_file(family, tmp_path):
    model = build(family, "lm", {"custom_position_ids": True}, with_mlm=True)
    before = predict(model)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert (again.config, again.transformer.mask) == (model.config, LM())
    np.testing.assert_array_equal(predict(again), before)


@pytest.mark.parametrize("family", SINGLE)
def test_residual_attention_scores(family):
    plain = build(family)
    model = build(family, config={"residual_attention_scores": True})
    model.set_weights(plain.get_weights())
    states = [
        keras.Model(m.input, m.hidden_states).predict(inputs(m), verbose=0) for m in (plain, model)
    ]
    for before, after in zip(*(s[:2] for s in states), strict=True):
        np.testing.assert_allclose(after, before, atol=1e-5)  # the first block has none to add
    assert np.abs(states[1][2] - states[0][2]).max() > 1e-3


# One of each attention layer, and shared blocks.
@pytest.mark.parametrize("family", ["bert", "albert", "nezha", "deberta-v2", "gau_alpha"])
def test_recomputation_changes_nothing(family, monkeypatch):
    remat_of_keras, recomputed = keras.remat, 0

    def counted(function):
        nonlocal recomputed
        recomputed += 1
        return remat_of_keras(function)

    monkeypatch.setattr(keras, "remat", counted)
    layers = tiny.SIZES["num_hidden_layers"] * (1 if family == "gau_alpha" else 2)
    gradients = []
    for remat in (False, True):
        keras.utils.set_random_seed(0)
        config = {"remat": remat, "residual_attention_scores": True, "dropout_rate": 0.2}
        model = build(family, config={**config, "attention_dropout_rate": 0.3})
        x, before = inputs(model), model.get_weights()
        recomputed = 0
        call(model, x)
        assert recomputed == (layers if remat else 0)
        model.compile(keras.optimizers.SGD(1.0), "mse")
        y = np.random.default_rng(1).normal(size=(2, LENGTH, tiny.SIZES["hidden_size"]))
        keras.utils.set_random_seed(1)
        for layer in inner_layers(model):
            if hasattr(layer, "seed_generator"):
                layer.seed_generator.state.assign([1, 2])
        recomputed = 0
        model.fit(x, y.astype("float32"), verbose=0)
        assert bool(recomputed) is remat
        gradients.append([b - a for b, a in zip(before, model.get_weights(), strict=True)])
    assert max(np.abs(g).max() for g in gradients[0]) > 1e-3
    for plain, again in zip(*gradients, strict=True):
        np.testing.assert_allclose(again, plain, atol=1e-5)


@pytest.mark.parametrize("family", [name for name in SINGLE if name not in NO_GAIN])
def test_conditional_norms(family):
    plain = build(family)
    model = build(family, config={"layer_norm_cond": 5, "layer_norm_cond_hidden_size": 3})
    values = {w.path: ops.convert_to_numpy(w).copy() for w in plain.weights}
    for weight in model.weights:
        if weight.path in values:
            weight.assign(values[weight.path])
        elif "hidden_dense" not in weight.path:
            weight.assign(np.zeros(weight.shape))
    one, other = np.ones((2, 5)), np.arange(10.0).reshape(2, 5) - 4
    np.testing.assert_allclose(predict(model, Condition=one), predict(plain), atol=1e-5)
    for weight in model.weights:
        if weight.path not in values and "hidden_dense" not in weight.path:
            weight.assign(np.full(weight.shape, 0.3))
    outputs = [predict(plain), *(predict(model, Condition=c) for c in (one, other))]
    gaps = [np.abs(a - b).max() for a, b in itertools.combinations(outputs, 2)]
    assert min(gaps) > 1e-3


@pytest.mark.parametrize("family", ["albert", "bert", "gpt2"])
def test_a_condition_computed_from_other_inputs(family, tmp_path):
    label = keras.Input((), dtype="int32", name="Input-Label")
    vector = keras.layers.Embedding(3, 5, name="Label")(label)
    model = build(family, layer_norm_cond=vector, additional_input_layers=label, name="conditional")
    assert [x.name for x in model.inputs][-1] == "Input-Label"
    for weight in model.weights:
        if "_dense" in weight.path:
            weight.assign(np.full(weight.shape, 0.3))
    x = inputs(build(family))
    outputs = [model.predict([*x, np.array(labels)], verbose=0) for labels in ([0, 1], [0, 2])]
    np.testing.assert_allclose(outputs[0][0], outputs[1][0], atol=1e-6)
    assert np.abs(outputs[0][1] - outputs[1][1]).max() > 1e-4
    with pytest.raises(ValueError, match=r"Save keras.Model\(model.inputs, model.output\)"):
        model.save(tmp_path / "model.keras")
    keras.Model(model.inputs, model.output).save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    found = again.predict([*x, np.array([0, 1])], verbose=0)
    np.testing.assert_array_equal(found, outputs[0])


def test_a_condition_per_token():
    condition = keras.Input((None, 5), name="Input-Vectors")
    model = build("bert", layer_norm_cond=condition, additional_input_layers=[condition])
    for weight in model.weights:
        if "_dense" in weight.path:
            weight.assign(np.full(weight.shape, 0.3))
    x, vectors = inputs(build("bert")), np.zeros((2, LENGTH, 5), "float32")
    states = keras.Model(model.input, model.hidden_states[0])
    before = states.predict([*x, vectors], verbose=0)
    vectors[0, 3] = 1
    after = states.predict([*x, vectors], verbose=0)
    assert list(np.flatnonzero(np.abs(after - before)[0].max(-1) > 1e-6)) == [3]


def test_shared_segment_embeddings():
    model = build("gpt", config={"shared_segment_embeddings": True, "segment_vocab_size": 20})
    assert "Embedding-Segment" not in {layer.name for layer in model.layers}
    tokens, segments = inputs(model)
    swapped = model.predict([segments, tokens], verbose=0)  # a sum knows no order
    np.testing.assert_allclose(swapped, model.predict([tokens, segments], verbose=0), atol=1e-5)


def test_hierarchical_positions():
    model = build("bert", config={"hierarchical_position": 0.4, "max_position": 4})
    table = model.get_layer("Embedding-Position").get_weights()[0].astype("float64")
    found = ops.convert_to_numpy(model.get_layer("Embedding-Position")(np.arange(16)[None]))[0]
    np.testing.assert_allclose(found[:4], table, atol=1e-6)
    u = (table - 0.4 * table[0]) / 0.6
    for position in range(16):
        expected = 0.4 * u[position // 4] + 0.6 * u[position % 4]
        np.testing.assert_allclose(found[position], expected, atol=1e-5)
    with pytest.raises(ValueError, match="17 tokens is longer than the model's 16 positions"):
        model([np.ones((1, 17), "int32")] * 2)
    with pytest.raises(
        ValueError, match=r"must be a number in \(0, 1\) other than 0\.5 .*, not 0\.5"
    ):
        build("bert", config={"hierarchical_position": 0.5})


@pytest.mark.parametrize("family", ["bert", "albert", "roformer"])
def test_prefix_and_shared_layers(family):
    first = build(family, prefix="Left-")
    assert all(layer.name.startswith("Left-") for layer in first.layers)
    second = build_transformer_model(
        first.config, prefix="Left-", layers=first.transformer.layers, application="lm"
    )
    assert len(second.weights) >= len(first.weights)
    assert {id(w) for w in first.weights} <= {id(w) for w in second.weights}


def test_unshared_albert_starts_as_the_shared_one(tmp_path):
    from bert4keras.checkpoints import load, save

    shared = build("albert", with_pool=True)
    save(shared, tmp_path / "albert", config=shared.config)
    options = {"model": "albert_unshared", "with_pool": True}
    unshared = build_transformer_model(tmp_path / "albert", **options)
    assert len(unshared.weights) > len(shared.weights)
    np.testing.assert_allclose(predict(unshared), predict(shared), atol=1e-6)
    unshared.get_layer("Transformer-1-FeedForward").inner.bias.assign_add(np.ones(12))
    after = predict(unshared)
    assert np.abs(after - predict(shared)).max() > 1e-3
    save(unshared, tmp_path / "bert", config=unshared.config)
    again = build_transformer_model(tmp_path / "bert", with_pool=True)
    assert again.config.model_type == "bert"
    np.testing.assert_array_equal(predict(again), after)
    assert load(shared, tmp_path / "albert").missing == ()
