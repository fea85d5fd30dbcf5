"""A successor that takes the place of modules: against plain models of the blocks in use."""

from __future__ import annotations

import dataclasses
import itertools

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras import checkpoints
from bert4keras.layers import MaskedMeanPooling
from bert4keras.masks import LM
from bert4keras.models import build_transformer_model
from bert4keras.models.two_stream import TwoStream
from bert4keras.training import Theseus
from bert4keras.training.theseus import ModuleReplacement
from helpers import tiny

pytestmark = pytest.mark.spread

PLAIN = {"dropout_rate": 0.0, "attention_dropout_rate": 0.0}
X, Y = tiny.inputs(), np.array([0, 1, 2])
RISING = keras.optimizers.schedules.PolynomialDecay(0.25, 4, end_learning_rate=1.5)


def classifier(blocks: int = 4, **changes):
    """A classifier on the first token that reads the token ids once more, and its backbone."""
    bert = tiny.build({"num_hidden_layers": blocks, **PLAIN, **changes})
    lengths = keras.layers.Lambda(lambda ids: ops.cast(ids[:, :1], "float32"), output_shape=(1,))
    x = keras.layers.Concatenate()([bert.output[:, 0], lengths(bert.inputs[0])])
    return keras.Model(bert.input, keras.layers.Dense(3, "softmax", name="Classes")(x)), bert


def outputs(model, training: bool = False) -> np.ndarray:
    return ops.convert_to_numpy(model([ops.convert_to_tensor(x) for x in X], training=training))


def values(weights) -> list[np.ndarray]:
    return [ops.convert_to_numpy(weight).copy() for weight in weights]


def moved(before, weights) -> list[bool]:
    pairs = zip(before, values(weights), strict=True)
    return [not np.array_equal(old, new) for old, new in pairs]


def shaken(theseus: Theseus) -> Theseus:
    """With blocks of the successor that are not copies."""
    rng = np.random.default_rng(5)
    for weight in theseus.model.trainable_weights:
        weight.assign_add(rng.normal(scale=0.3, size=weight.shape).astype("float32"))
    return theseus


def chain(theseus: Theseus, chosen: tuple[bool, ...]) -> np.ndarray:
    """The output of a plain model of the predecessor's blocks and those chosen of the successor."""
    old, (_, new) = theseus.backbone, theseus.successor()
    span = old.config.num_hidden_layers // new.config.num_hidden_layers
    sources = []
    for module, replaced in enumerate(chosen):
        places = [module] if replaced else range(span * module, span * (module + 1))
        sources += [((new if replaced else old).transformer.layers, place) for place in places]
    config = dataclasses.replace(old.config, num_hidden_layers=len(sources))
    plain = build_transformer_model(config)
    for name, layer in plain.transformer.layers.items():
        layers = old.transformer.layers
        if name.startswith("Transformer-"):
            layers, place = sources[int(name.split("-")[1])]
            name = "-".join(["Transformer", str(place), *name.split("-")[2:]])
        layer.set_weights(layers[name].get_weights())
    return outputs(plain)


def test_each_batch_is_a_chain_of_old_and_new_blocks():
    bert = tiny.build({"num_hidden_layers": 4, **PLAIN})
    theseus = shaken(Theseus(bert, bert, 2, seed=3))
    chains = {c: chain(theseus, c) for c in itertools.product((False, True), repeat=2)}
    for one, other in itertools.combinations(chains.values(), 2):
        assert np.abs(one - other).max() > 1e-2
    seen = set()
    for _ in range(24):
        found = outputs(theseus.model, training=True)
        gaps = {c: np.abs(expected - found).max() for c, expected in chains.items()}
        best = min(gaps, key=gaps.get)
        assert gaps[best] < 1e-5
        seen.add(best)
    assert seen == set(chains)
    # Outside training it is the successor.
    np.testing.assert_allclose(outputs(theseus.model), chains[True, True], atol=1e-5)
    np.testing.assert_allclose(outputs(bert), chains[False, False], atol=1e-5)


def test_one_draw_a_batch_at_the_rate():
    layer = ModuleReplacement(rate=0.3, seed=0)
    old, new = ops.zeros((2, 3)), ops.ones((2, 3))
    found = np.array([values([layer([old, new], training=True)])[0] for _ in range(400)])
    assert set(found.mean(axis=(1, 2))) == {0.0, 1.0}
    assert abs(found.mean() - 0.3) < 4 * (0.3 * 0.7 / 400) ** 0.5
    assert int(layer.batches) == 400
    assert values([layer([old, new])])[0].all()
    assert int(layer.batches) == 400


def test_a_rate_that_rises():
    layer = ModuleReplacement(RISING)
    x, rates = [ops.zeros((1,)), ops.ones((1,))], []
    layer.build([(1,), (1,)])
    for _ in range(6):
        rates.append(float(layer.current_rate()))
        layer(x, training=True)
    # From 0.25 by 1.25 / 4 a batch, and no chance is above 1.
    np.testing.assert_allclose(rates, [0.25, 0.5625, 0.875, 1, 1, 1], rtol=1e-6)
    again = ModuleReplacement.from_config(layer.get_config())
    again.build([(1,), (1,)])
    assert float(again.current_rate()) == 0.25


def test_training_moves_the_successor_alone(tmp_path):
    model, bert = classifier()
    theseus = Theseus(model, bert, 2, rate=1.0, copied=[1, 3])
    for place, source in enumerate([1, 3]):
        name = f"Transformer-{place}-FeedForward"
        twin = theseus.model.get_layer(f"Successor-{name}").get_weights()
        original = model.get_layer(f"Transformer-{source}-FeedForward").get_weights()
        assert not any(moved(twin, original))
    before, blocks = values(model.weights), values(theseus.model.trainable_weights)
    assert len(blocks) == 2 * len(bert.transformer.layers["Transformer-0-FeedForward"].weights) * 4
    theseus.model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    theseus.model.fit(X, Y, epochs=2, verbose=0)
    assert not any(moved(before, model.weights))
    assert all(
        m or "key" in w.path
        for m, w in zip(
            moved(blocks, theseus.model.trainable_weights),
            theseus.model.trainable_weights,
            strict=True,
        )
    )
    small, small_bert = theseus.successor()
    assert len(small.trainable_weights) == len(model.weights) - len(blocks)
    assert [layer.name for layer in small.layers if "Successor" in layer.name] == []
    np.testing.assert_allclose(outputs(small), outputs(theseus.model), atol=1e-6)
    assert np.abs(outputs(small) - outputs(model)).max() > 1e-4
    checkpoints.save(small_bert, tmp_path)
    again = build_transformer_model(small_bert.config, tmp_path)
    assert again.config.num_hidden_layers == 2
    np.testing.assert_allclose(outputs(again), outputs(small_bert), atol=1e-6)


def test_what_is_never_replaced_does_not_move():
    model, bert = classifier(blocks=2)
    theseus = Theseus(model, bert, 1, rate=1e-9)
    blocks = values(theseus.model.trainable_weights)
    theseus.model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    theseus.model.fit(X, Y, verbose=0)
    assert not any(moved(blocks, theseus.model.trainable_weights))


def test_a_successor_has_successors(tmp_path):
    bert = tiny.build({"num_hidden_layers": 4, **PLAIN}, with_pool=True, application=LM())
    half, _ = Theseus(bert, bert, 2, rate=RISING, seed=1).successor()
    theseus = shaken(Theseus(half, half, 1, rate=RISING, seed=1))
    quarter, _ = theseus.successor()
    assert quarter.config.num_hidden_layers == 1
    assert quarter.transformer.mask == LM()
    np.testing.assert_allclose(outputs(quarter), outputs(theseus.model), atol=1e-6)
    # The model in training is saved like any other, with its count of batches.
    outputs(theseus.model, training=True)
    theseus.model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(outputs(again), outputs(theseus.model), atol=1e-6)
    assert int(again.get_layer("Successor-Replacement-0").batches) == 1


@pytest.mark.parametrize("rate", [0, 1.5, -0.1, "often"])
def test_a_rate_that_is_no_chance(rate):
    with pytest.raises(ValueError, match="probability above 0 and up to 1"):
        ModuleReplacement(rate)


@pytest.mark.parametrize(
    ("blocks", "copied", "message"),
    [
        (3, None, "3 does not divide the 4 blocks"),
        (4, None, "must be an integer from 1 to 3"),
        (0, None, "must be an integer from 1 to 3"),
        (True, None, "num_hidden_layers=True"),
        (2, [0], "must be 2 indices of blocks, 0 to 3"),
        (2, [0, 4], r"copied=\[0, 4\]"),
    ],
)
def test_blocks_that_do_not_fit(blocks, copied, message):
    bert = tiny.build({"num_hidden_layers": 4})
    with pytest.raises(ValueError, match=message):
        Theseus(bert, bert, blocks, copied=copied)


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"model": "albert"}, "albert cannot be replaced one by one"),
        ({"residual_attention_scores": True}, {}, "residual_attention_scores cannot be replaced"),
        ({}, {"application": TwoStream(1), "with_mlm": True}, "neither two streams"),
    ],
)
def test_models_without_blocks_of_their_own(changes, options, message):
    bert = tiny.build(changes, **options)
    with pytest.raises(ValueError, match=message):
        Theseus(bert, bert, 1)


def test_heads_that_do_not_stand_on_the_output():
    bert = tiny.build()
    x = keras.layers.Add()([bert.output, bert.hidden_states[1]])
    with pytest.raises(ValueError, match="uses a hidden state inside the backbone"):
        Theseus(keras.Model(bert.input, x), bert, 1)
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match=r"functional model .* lacks inputs"):
        Theseus(other, bert, 1)
    around = keras.Model(bert.input, bert(bert.input))
    with pytest.raises(ValueError, match="calls the backbone as one layer"):
        Theseus(around, bert, 1)


def test_a_head_that_asks_for_the_mask():
    """Pooling that knows padding only by the Keras mask, in both models."""
    bert = tiny.build()
    pooled = MaskedMeanPooling()(bert.output)
    predecessor = keras.Model(bert.input, keras.layers.Dense(2)(pooled))
    theseus = Theseus(predecessor, bert, 1)
    successor, _ = theseus.successor()
    token_ids, segment_ids = tiny.inputs()
    expected = theseus.model.predict([token_ids, segment_ids], verbose=0)
    padded = [np.pad(part, [(0, 0), (0, 4)]) for part in (token_ids, segment_ids)]
    for model in (theseus.model, successor):
        np.testing.assert_allclose(model.predict(padded, verbose=0), expected, atol=1e-5)
