"""Sentence encoders, siamese and contrastive training, cross-encoders, on a tiny BERT."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.losses import cosent, in_batch_negatives
from bert4keras.tasks.similarity import (
    InBatchNegatives,
    SentencePooling,
    Whitening,
    contrastive_model,
    cosine_model,
    cross_encoder,
    joint_cosine_model,
    sentence_encoder,
    whitened_encoder,
)
from helpers import tiny
from helpers.fresh_process import fresh_outputs, outputs

pytestmark = pytest.mark.spread

RNG = np.random.default_rng(8)


def value(tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor)


def hidden(backbone, ids, segments) -> list[np.ndarray]:
    states = keras.Model(backbone.inputs, [*backbone.hidden_states, backbone.output])
    return [value(x) for x in states([ids, segments])]


def mean(x, ids, pad=0) -> np.ndarray:
    return np.stack([row[i != pad].mean(0) for row, i in zip(x, ids, strict=True)])


def cosines(a, b) -> np.ndarray:
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def test_poolings():
    backbone, (ids, segments) = tiny.build(), tiny.inputs()
    _, first, *_, last = hidden(backbone, ids, segments)
    rows = [row[i != 0] for row, i in zip(last, ids, strict=True)]
    weights = [np.arange(1, len(row) + 1)[:, None] for row in rows]
    expected = {
        "mean": mean(last, ids),
        "cls": last[:, 0],
        "max": [row.max(0) for row in rows],
        "mean_sqrt_len": [row.sum(0) / np.sqrt(len(row)) for row in rows],
        "weightedmean": [(r * w).sum(0) / w.sum() for r, w in zip(rows, weights, strict=True)],
        "lasttoken": [row[-1] for row in rows],
        "first-last": (mean(first, ids) + mean(last, ids)) / 2,
    }
    for pooling, vectors in expected.items():
        found = value(sentence_encoder(backbone, pooling)([ids, segments]))
        np.testing.assert_allclose(found, vectors, atol=1e-5)
        others = [v for name, v in expected.items() if name != pooling]
        assert all(np.abs(found - other).max() > 1e-2 for other in [*others, last.mean(1)])


def test_several_poolings_dense_layers_and_length_1():
    backbone, (ids, segments) = tiny.build(), tiny.inputs()
    model = sentence_encoder(backbone, ["cls", "max"], [(3, "tanh")], normalize=True)
    single = [value(sentence_encoder(backbone, mode)([ids, segments])) for mode in ("cls", "max")]
    kernel, bias = map(value, model.get_layer("Sentence-Dense-1").weights)
    vectors = np.tanh(np.concatenate(single, axis=1) @ kernel + bias)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(value(model([ids, segments])), vectors, atol=1e-5)
    pooled = tiny.build(with_pool=True)
    found = value(sentence_encoder(pooled, "pooler")([ids, segments]))
    np.testing.assert_allclose(found, value(pooled([ids, segments])), atol=1e-6)


def test_rows_of_padding_give_zeros():
    ids = np.zeros((1, 4), "int32")
    for mode in ("mean", "max", "mean_sqrt_len", "weightedmean"):
        x = np.ones((1, 4, 2), "float32")
        found = SentencePooling(mode, pad_token_id=0)([x, ids])
        np.testing.assert_array_equal(value(found), np.zeros((1, 2)))


def test_the_padding_is_that_of_the_model():
    ids, segments = tiny.inputs()
    ids[ids == 0] = 5
    backbone = tiny.build({"pad_token_id": 5})
    last = hidden(backbone, ids, segments)[-1]
    found = value(sentence_encoder(backbone)([ids, segments]))
    np.testing.assert_allclose(found, mean(last, ids, pad=5), atol=1e-5)


def test_cosine_model():
    encoder, first = sentence_encoder(tiny.build()), tiny.inputs()
    second = [x[::-1, :7].copy() for x in first]  # of another length
    model = cosine_model(encoder)
    found = value(model([*first, *second]))
    expected = cosines(value(encoder(first)), value(encoder(second)))
    np.testing.assert_allclose(found, expected[:, None], atol=1e-5)
    assert len(model.trainable_weights) == len(encoder.trainable_weights)


def test_joint_cosine_model():
    backbone, (ids, segments) = tiny.build(), tiny.inputs()
    segments[:, 4:] = 1  # padding too, which is of neither text
    segments[1] = 0  # no second text
    last = hidden(backbone, ids, segments)[-1]
    found = value(joint_cosine_model(backbone)([ids, segments]))
    for row, expected in ((0, None), (1, 0.0), (2, None)):
        own = [(ids[row] != 0) & (segments[row] == k) for k in range(2)]
        if expected is None:
            expected = cosines(*(last[row, part].mean(0)[None] for part in own))
        np.testing.assert_allclose(found[row], expected, atol=1e-5)
    assert np.abs(found - 1).min() > 1e-2


def test_whitened_encoder():
    encoder, (ids, segments) = sentence_encoder(tiny.build()), tiny.inputs(40)
    vectors = value(encoder([ids, segments]))
    whitening = Whitening.fit(vectors, dim=3)
    found = value(whitened_encoder(encoder, whitening)([ids, segments]))
    np.testing.assert_allclose(found, whitening(vectors), atol=1e-3)
    np.testing.assert_allclose(np.cov(found.T), np.eye(3), atol=1e-3)
    with pytest.raises(ValueError, match="whitening of 2 dimensions, encoder of 8"):
        whitened_encoder(encoder, Whitening(np.zeros(2), np.eye(2)))


@pytest.mark.parametrize("texts", [2, 3])
def test_the_contrastive_loss_is_that_of_the_vectors(texts):
    encoder, (ids, segments) = sentence_encoder(tiny.build()), tiny.inputs(12, padding=0)
    parts = [[ids[k : k + 4], segments[k : k + 4]] for k in range(0, 4 * texts, 4)]
    vectors = [value(encoder(part)) for part in parts]
    candidates = np.concatenate(vectors[1:])
    for symmetric in (False, True):
        model = contrastive_model(encoder, texts, 5.0, symmetric)
        model.compile("sgd")
        found = model.evaluate(tuple(x for part in parts for x in part), verbose=0)
        expected = value(in_batch_negatives(vectors[0], candidates, 5.0, symmetric)).mean()
        assert found == pytest.approx(expected, rel=1e-4)


def test_a_text_is_no_negative_of_itself():
    """Rows 0 and 1 have one partner, rows 2 and 3 are one text: each only has the other two."""
    layer = InBatchNegatives(scale=2.0)
    vectors = [RNG.normal(size=(4, 3)).astype("float32") for _ in range(2)]
    token_ids = [np.array([[1, 2], [3, 4], [5, 6], [5, 6]]), np.array([[7], [7], [8], [9]])]
    layer(vectors, token_ids=token_ids)
    same = np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]], bool)
    expected = value(in_batch_negatives(*vectors, 2.0, same=same)).mean()
    assert float(layer.losses[0]) == pytest.approx(float(expected), rel=1e-5)
    assert abs(value(in_batch_negatives(*vectors, 2.0)).mean() - expected) > 1e-2


def test_simcse_sees_two_dropouts():
    (ids, segments), losses = tiny.inputs(8, padding=0), {}
    for rate in (0.0, 0.3):
        encoder = sentence_encoder(tiny.build(dropout_rate=rate))
        model = contrastive_model(encoder, texts=1)
        pair = value(model([ids, segments], training=True))
        np.testing.assert_allclose(value(model([ids, segments])), np.ones((8, 1)), atol=1e-5)
        model.compile(keras.optimizers.Adam(1e-2))
        losses[rate] = model.fit((ids, segments), epochs=40, verbose=0).history["loss"]
        assert (pair.max() < 0.999) == (rate > 0)
    assert np.mean(losses[0.3][-10:]) < np.mean(losses[0.3][:10])  # without labels


def pairs(count: int = 8):
    ids, segments = tiny.inputs(2 * count, padding=2)
    segments[:, 4:] = 1  # where the pair is one sequence
    return (ids[:count], segments[:count], ids[count:], segments[count:]), np.arange(
        count
    ) % 4 / 3.0


@pytest.mark.parametrize("kind", ["cosent", "joint", "grade", "classes", "negatives"])
def test_eight_samples_are_learned(kind):
    inputs, labels = pairs()
    backbone = tiny.build({"hidden_size": 32}, dropout_rate=0.0)
    if kind == "cosent":
        model, loss = cosine_model(sentence_encoder(backbone)), cosent
    elif kind == "joint":
        model, loss, inputs = joint_cosine_model(backbone), cosent, inputs[:2]
    elif kind == "negatives":
        model, loss, labels = contrastive_model(sentence_encoder(backbone)), None, None
    else:
        classes = 1 if kind == "grade" else 4
        model = cross_encoder(backbone, classes, dropout_rate=0.0)
        loss = "mse" if kind == "grade" else "sparse_categorical_crossentropy"
        inputs, labels = inputs[:2], labels if kind == "grade" else np.arange(8) % 4
    model.compile(keras.optimizers.Adam(5e-3), loss)
    losses = model.fit(inputs, labels, batch_size=8, epochs=150, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 10
    found = model.predict(inputs, verbose=0)
    if kind in ("cosent", "joint"):
        order = labels[np.argsort(found[:, 0])]
        assert (np.diff(order) >= 0).all()
    elif kind == "classes":
        assert (found.argmax(1) == labels).all()


def test_half_precision_and_odd_texts():
    """A batch of one with one token; a row of padding beside an empty text, [CLS] [SEP]."""
    keras.config.set_dtype_policy("mixed_float16")
    encoder = sentence_encoder(tiny.build())
    model, pair = contrastive_model(encoder), cosine_model(encoder)
    model.compile("sgd")
    ids = np.array([[0, 0], [1, 2]], "int32")
    assert np.isfinite(model.train_on_batch((ids, ids * 0) * 2))
    one = np.array([[3]], "int32")
    for texts in (ids, one):
        cosine = pair.predict_on_batch((texts, texts * 0) * 2)
        assert cosine.dtype == np.float32
        assert np.isfinite(cosine).all()
    score = cross_encoder(tiny.build()).predict_on_batch((one, one * 0))
    assert (score.dtype, score.shape) == (np.float32, (1, 1))


def test_saved_models_say_the_same_in_a_fresh_process(tmp_path):
    inputs, _ = pairs(5)
    model = contrastive_model(sentence_encoder(tiny.build(), "first-last"), symmetric=True)
    model.compile("sgd")
    model.fit(inputs, verbose=0)
    found = fresh_outputs(tmp_path, {"model": (model, inputs)})["model"]
    np.testing.assert_allclose(found, outputs(model, inputs), atol=1e-6)


@pytest.mark.parametrize("kind", ["cosine", "cross", "joint", "whitened"])
def test_models_are_saved_whole(kind, tmp_path):
    inputs, labels = pairs(5)
    encoder = sentence_encoder(tiny.build())
    if kind == "cosine":
        model = cosine_model(encoder)
        model.compile("sgd", cosent)
        model.fit(inputs, labels, verbose=0)
    elif kind == "cross":
        model, inputs = cross_encoder(tiny.build(), 3), inputs[:2]
    elif kind == "joint":
        model, inputs = joint_cosine_model(tiny.build()), inputs[:2]
    else:
        inputs = inputs[:2]
        whitening = Whitening.fit(encoder.predict(inputs, verbose=0))
        model = whitened_encoder(encoder, whitening)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    expected = model.predict(inputs, verbose=0)
    np.testing.assert_array_equal(again.predict(inputs, verbose=0), expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sentence_encoder(tiny.build(), "last"), "pooling='last' must be one of cls, mean"),
        (lambda: sentence_encoder(tiny.build(), "pooler"), "built with with_pool=True"),
        (lambda: SentencePooling("first"), "pooling 'first' must be one of cls"),
        (lambda: sentence_encoder(tiny.build(with_pool=True)), r"\(B, T, D\).*without with_pool"),
        (lambda: cross_encoder(tiny.build(with_mlm=True, with_pool=True)), "without with_pool"),
        (lambda: contrastive_model(sentence_encoder(tiny.build()), 0), "texts=0 must be"),
    ],
)
def test_wrong_use_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
