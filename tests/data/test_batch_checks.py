"""A DataGenerator must pad what the model leaves out; otherwise an error says what to do."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from bert4keras.data import DataGenerator, sequence_padding
from bert4keras.layers import MaskedMeanPooling
from bert4keras.losses import BinaryCrossentropy, SparseCategoricalCrossentropy
from bert4keras.models import build_transformer_model
from bert4keras.tokenizers.ids import TokenIds
from bert4keras.training import BinaryAccuracy, SparseCategoricalAccuracy
from helpers import tiny

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RNG = np.random.default_rng(2)
LENGTHS = [3, 9, 4, 7, 5]
SAMPLES = [(RNG.integers(1, 20, n), RNG.integers(0, 3, n)) for n in LENGTHS]
SAMPLES[0][1][0] = SAMPLES[3][1][-1] = -1  # [CLS], a continued word


def tagger(optimizer, loss, metrics=None, activation="softmax", units=3):
    ids = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(20, 8, mask_zero=False, embeddings_initializer="normal")(ids)
    model = keras.Model(ids, keras.layers.Dense(units, activation)(x))
    model.compile(optimizer, loss, metrics=metrics)
    return model


def feeds(samples, **options):
    """The ways in which fit and evaluate get batches; fresh generators."""
    make = lambda: DataGenerator(samples, 2, encode=lambda s: s, shuffle=False, **options)  # noqa: E731
    return {"itself": make, "forfit": lambda: make().forfit(random=False)}


@pytest.mark.parametrize("feed", ["itself", "forfit"])
def test_loss_and_accuracy_of_ragged_labels(feed):
    model = tagger(
        keras.optimizers.SGD(0.0), SparseCategoricalCrossentropy(), [SparseCategoricalAccuracy()]
    )
    losses, right, count = [], 0, 0
    for ids, labels in SAMPLES:
        p = keras.ops.convert_to_numpy(model(ids[None]))[0]
        real = labels >= 0
        losses.append(-np.log(p[np.arange(len(ids)), labels])[real])
        right += (p.argmax(-1) == labels)[real].sum()
        count += real.sum()
    batches = [np.concatenate(losses[i : i + 2]).mean() for i in (0, 2, 4)]
    expected = (2 * batches[0] + 2 * batches[1] + batches[2]) / 5  # as Keras weighs batches
    found = model.evaluate(feeds(SAMPLES)[feed](), steps=3, verbose=0)
    assert found == pytest.approx([expected, right / count], rel=1e-5)
    history = model.fit(feeds(SAMPLES)[feed](), steps_per_epoch=3, verbose=0, shuffle=False)
    assert history.history["accuracy"][0] == pytest.approx(right / count, rel=1e-5)


def test_yes_or_no_sequences():
    samples = [(ids, np.eye(3, dtype="int32")[labels]) for ids, labels in SAMPLES]
    model = tagger("sgd", BinaryCrossentropy(), [BinaryAccuracy()], activation="sigmoid")
    right = [
        ((keras.ops.convert_to_numpy(model(ids[None]))[0] > 0.5) == labels).mean(axis=-1)
        for ids, labels in samples
    ]
    _, found = model.evaluate(feeds(samples)["itself"](), verbose=0)
    assert found == pytest.approx(np.concatenate(right).mean(), rel=1e-5)


PLAIN = [
    ("sgd", "sparse_categorical_crossentropy", ["accuracy"]),
    ("sgd", keras.losses.SparseCategoricalCrossentropy()),
    ("sgd", keras.losses.SparseCategoricalCrossentropy(ignore_class=-1), ["accuracy"]),
    ("sgd", SparseCategoricalCrossentropy(), ["sparse_categorical_accuracy"]),
    ("sgd", SparseCategoricalCrossentropy(), ["acc"]),
]


@pytest.mark.spread
@pytest.mark.parametrize("feed", ["itself", "forfit"])
@pytest.mark.parametrize("compiled", PLAIN, ids=range(len(PLAIN)))
def test_plain_losses_and_metrics_are_refused(compiled, feed):
    model = tagger(*compiled)
    for call, steps in ((model.fit, "steps_per_epoch"), (model.evaluate, "steps")):
        options = {"shuffle": False} if steps == "steps_per_epoch" else {}
        with pytest.raises(ValueError, match=r"Keras' own .* would count"):
            call(feeds(SAMPLES)[feed](), verbose=0, **{steps: 3}, **options)


def test_what_is_right_is_not_refused():
    given = feeds(SAMPLES)["itself"]
    tagger("sgd", keras.losses.SparseCategoricalCrossentropy(ignore_class=-1)).evaluate(
        given(), verbose=0
    )
    tagger("sgd", lambda y, p: keras.ops.mean(p, axis=-1)).evaluate(given(), verbose=0)
    model = tagger("sgd", "sparse_categorical_crossentropy", ["accuracy"])
    model.predict(given().fortest(), steps=1, verbose=0)
    same = [(ids[:3], abs(labels[:3])) for ids, labels in SAMPLES]  # nothing is padded
    model.evaluate(feeds(same)["itself"](), verbose=0)
    model.evaluate(feeds([(i, abs(y)) for i, y in SAMPLES], label_pad=0)["itself"](), verbose=0)
    regression = [(ids, np.float32(-n)) for n, (ids, _) in enumerate(SAMPLES)]
    ids = keras.Input((None,), dtype="int32")
    mean = keras.ops.mean(keras.ops.cast(ids, "float32"), axis=1, keepdims=True)
    model = keras.Model(ids, keras.layers.Dense(1)(mean))
    model.compile("sgd", "mse", metrics=["mae"])
    model.evaluate(feeds(regression)["itself"](), verbose=0)


def test_mean_squares_of_padding_need_a_mask():
    samples = [(ids, np.ones((len(ids), 1), "float32")) for ids, _ in SAMPLES]
    with pytest.raises(ValueError, match="Keras' own 'mse' would count"):
        tagger("sgd", "mse", units=1).evaluate(feeds(samples)["itself"](), verbose=0)
    ids = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(20, 8, mask_zero=True)(ids)
    model = keras.Model(ids, keras.layers.Dense(1)(x))
    model.compile("sgd", "mse")
    model.evaluate(feeds(samples)["itself"](), verbose=0)


def test_class_weight_of_sequences():
    model = tagger("sgd", SparseCategoricalCrossentropy())
    with pytest.raises(ValueError, match="class_weight needs one class per sample"):
        model.fit(feeds(SAMPLES)["itself"](), class_weight={0: 1.0, 1: 2.0}, verbose=0)


def pooled(pad=1):
    """A model whose token ids are padded with `pad`."""
    ids = keras.Input((None,), dtype="int32", name="Input-Token")
    segments = keras.Input((None,), dtype="int32", name="Input-Segment")
    x = keras.layers.Embedding(20, 8)(ids) + keras.layers.Embedding(2, 8)(segments)
    return keras.Model([ids, segments], MaskedMeanPooling(pad)([x, ids]))


TEXTS = [[0, 5, 6, 2], [0, 7, 2], [0, 5, 8, 9, 2]]
BY_TOKENIZER = {"pad_value": type("Tokenizer", (), {"token_pad_id": 1})()}


@pytest.mark.parametrize(
    ("wrap", "options"),
    [
        (list, {"pad_value": (1, 0)}),
        (list, BY_TOKENIZER),
        (lambda ids: TokenIds(ids, 1), {}),
        (lambda ids: ([0] + TokenIds(ids, 1)[1:-1]) + [2], {}),
    ],
)
def test_a_text_alone_and_beside_a_longer_one(wrap, options):
    model = pooled()
    data = DataGenerator(
        TEXTS, 3, encode=lambda ids: ((wrap(ids), [0] * len(ids)),), shuffle=False, **options
    )
    found = model.predict(data, verbose=0)
    for ids, vector in zip(TEXTS, found, strict=True):
        alone = model([np.array([ids]), np.zeros((1, len(ids)), "int32")])
        np.testing.assert_allclose(keras.ops.convert_to_numpy(alone)[0], vector, atol=1e-6)
    (x, segments) = data[0][0]
    assert x.max(axis=1).tolist() == [6, 7, 9]
    assert segments.max() == 0


def test_padding_that_is_a_token_is_refused():
    encode = lambda ids: ((ids, [0] * len(ids)),)  # noqa: E731
    message = r"input 0 \('Input-Token'\) is padded with 0, .* padding id is 1.*pad_value=\(1, 0\)"
    with pytest.raises(ValueError, match=message):
        pooled().predict(DataGenerator(TEXTS, 3, encode=encode, shuffle=False), verbose=0)
    with pytest.raises(ValueError, match=message):
        pooled().predict(DataGenerator(TEXTS, 3, encode=encode).fortest(), steps=1, verbose=0)
    inner = pooled()  # a model within a model is looked into
    outer = keras.Model(inner.inputs, keras.layers.Dense(1)(inner(inner.inputs)))
    with pytest.raises(ValueError, match=message):
        outer.predict(DataGenerator(TEXTS, 3, encode=encode, shuffle=False), verbose=0)
    data = DataGenerator(TEXTS, 3, encode=encode, shuffle=False)
    assert pooled(0).predict(data, verbose=0).shape == (3, 8)


class OwnBatches(DataGenerator):
    def __iter__(self, random=False):
        ids = sequence_padding([row for _, row in self.sample(random)], value=self.own)
        yield ([ids, ids * 0],)


@pytest.mark.spread
def test_padding_of_own_batches():
    data = OwnBatches(TEXTS, 3)
    data.own = 0
    with pytest.raises(ValueError, match=r"padded with 0.*sequence_padding\(ids, value=1\)"):
        pooled().predict(data.fortest(), steps=1, verbose=0)
    data.own = 1
    assert pooled().predict(data.fortest(), steps=1, verbose=0).shape == (3, 8)


@pytest.mark.spread
@pytest.mark.parametrize("value", [(1, 0, 0), "1", {"a": 1}])
def test_bad_pad_value(value):
    data = DataGenerator(TEXTS, 3, encode=lambda ids: ((ids, ids),), pad_value=value)
    with pytest.raises(ValueError, match="does not say how to pad 2 inputs"):
        list(data)


@pytest.mark.spread
def test_inputs_by_name():
    encode = lambda ids: ({"Input-Segment": [1] * len(ids), "Input-Token": ids}, 0)  # noqa: E731
    for value in ({"Input-Token": 1}, BY_TOKENIZER["pad_value"]):
        ((x, _),) = DataGenerator(TEXTS, 3, encode=encode, pad_value=value, buckets=None)
        assert x["Input-Token"][1].tolist() == [0, 7, 2, 1, 1]
        assert x["Input-Segment"][1].tolist() == [1, 1, 1, 0, 0]


@pytest.mark.spread
@pytest.mark.parametrize("feed", ["itself", "forfit"])
def test_keras_own_losses_behind_a_model_that_masks_padding(feed):
    """Plain `compile` and a DataGenerator: loss and accuracy of the real tokens, by hand."""
    config = tiny.config(dropout_rate=0.0, attention_dropout_rate=0.0)
    bert = build_transformer_model(config)
    model = keras.Model(bert.input, keras.layers.Dense(3, "softmax")(bert.output))
    model.compile(
        keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    samples = [((ids, np.zeros_like(ids)), np.maximum(labels, 0)) for ids, labels in SAMPLES[:2]]
    losses, right = [], []
    for inputs, labels in samples:
        p = model.predict([part[None] for part in inputs], verbose=0)[0]
        losses.append(-np.log(p[np.arange(len(labels)), labels]))
        right.append(p.argmax(-1) == labels)
    expected = [np.concatenate(losses).mean(), np.concatenate(right).mean()]
    found = model.evaluate(feeds(samples, buckets=[16])[feed](), steps=1, verbose=0)
    assert found == pytest.approx(expected, rel=1e-4)
    history = model.fit(
        feeds(samples, buckets=[16])[feed](), steps_per_epoch=1, verbose=0, shuffle=False
    )
    assert history.history["loss"][0] == pytest.approx(expected[0], rel=1e-4)
    # Negative control: with a label on the padding the numbers are others.
    counted = sequence_padding([labels for _, labels in samples], 16, value=0)
    ids = sequence_padding([inputs[0] for inputs, _ in samples], 16, value=0)
    p = model.predict([ids, np.zeros_like(ids)], verbose=0)
    everywhere = -np.log(np.take_along_axis(p, counted[..., None], -1)).mean()
    assert abs(everywhere - expected[0]) > 1e-3
    # Our own labels below 0, or labels that end before the tokens do, still raise an error.
    for wrong in (SAMPLES[:2], [(ids, labels[:-1]) for ids, labels in SAMPLES[1:3]]):
        odd = [((ids, np.zeros_like(ids)), labels) for ids, labels in wrong]
        with pytest.raises(ValueError, match="labels of -1 say that a position has no label"):
            model.evaluate(feeds(odd)[feed](), steps=1, verbose=0)
