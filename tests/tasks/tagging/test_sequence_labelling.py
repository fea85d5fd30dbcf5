"""Heads over label sequences: saving, half precision, unusual texts, training."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.tasks.tagging import (
    ConditionalRandomField,
    MaximumEntropyMarkovModel,
    allowed_transitions,
    tag_names,
)
from helpers import tiny
from helpers.label_sequences import MASK, FreeScores

pytestmark = pytest.mark.spread

TAGS = tag_names([""], "BIO")
RULES = allowed_transitions(TAGS, "BIO")
HEADS = {
    "crf": lambda **more: ConditionalRandomField(name="head", **more),
    "crf_of_everything": lambda **more: ConditionalRandomField(
        name="head", allowed=RULES, use_start_end=True, **more
    ),
    "memm": lambda **more: MaximumEntropyMarkovModel(name="head", **more),
    "memm_of_everything": lambda **more: MaximumEntropyMarkovModel(
        name="head", allowed=RULES, hidden_dim=2, bidirectional=True, **more
    ),
}
PLAIN = ("crf", "memm")
C = 3


def value(tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor)


def build(name: str, labels: int = C, **changes) -> tuple[keras.layers.Layer, keras.Model]:
    """A head with random weights on a tiny encoder, and the model of both."""
    bert, head = tiny.build(changes), HEADS[name](lr_multiplier=10.0)
    model = keras.Model(bert.input, head(keras.layers.Dense(labels)(bert.output)))
    return randomized(head), model


def randomized(head):
    rng = np.random.default_rng(6)
    for weight in head.weights:
        weight.assign(rng.normal(size=weight.shape) / head.lr_multiplier)
    return head


def alone(name: str, labels: int = C, **options):
    """A head with random weights."""
    head = HEADS[name](**options)
    head.build((None, None, labels))
    return randomized(head)


def legal_labels(ids: np.ndarray) -> np.ndarray:
    """O, B and I as BIO has them; -1 at the ends of a text and where ids are 0."""
    labels, lengths = np.full(ids.shape, -1), (ids > 0).sum(axis=1)
    kinds = [0, 1, 2, 2, 0, 1, 0], [1, 2, 2, 0, 1, 1, 0], [1, 1, 2, 0, 0, 1, 2]
    for row, length in enumerate(lengths):
        labels[row, 1 : length - 1] = kinds[row % 3][: length - 2]
    return labels


def reader(head) -> keras.Model:
    """A model with a head that reads five tokens at once; takes ids (B, T)."""
    layers = keras.layers
    convolution = layers.Conv1D(32, 5, padding="same", activation="relu")
    ids = keras.Input((None,), dtype="int32")
    return keras.Model(ids, head(layers.Dense(C)(convolution(layers.Embedding(20, 32)(ids)))))


RELOAD = """
import sys, keras, numpy as np
import bert4keras.tasks, bert4keras.models
for path in sys.argv[1:]:
    model = keras.models.load_model(path + ".keras", compile=False)
    with np.load(path + ".npz") as arrays:
        y = model([arrays["arr_0"], arrays["arr_1"]], training=False)
    head, convert = model.get_layer("head"), keras.ops.convert_to_numpy
    np.savez(path + ".found.npz", convert(y), convert(head.transition_matrix()), head.decode(y))
"""


def test_a_new_process_loads_and_predicts_the_same(tmp_path):
    """The multiplier is part of the file."""
    expected = {}
    for name in HEADS:
        head, model = build(name)
        model.compile("adam", loss=head.loss, metrics=[head.accuracy])
        x = tiny.inputs()
        y = model([ops.convert_to_tensor(part) for part in x], training=False)
        expected[name] = [value(y), value(head.transition_matrix()), head.decode(y)]
        model.save(tmp_path / f"{name}.keras", include_optimizer=False)
        np.savez(tmp_path / f"{name}.npz", *x)
    command = [sys.executable, "-W", "ignore", "-c", RELOAD, *(str(tmp_path / n) for n in HEADS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    for name, (y, matrix, labels) in expected.items():
        with np.load(tmp_path / f"{name}.found.npz") as found:
            np.testing.assert_array_equal(found["arr_0"], y)
            # A product of weights and the multiplier, of which one was divided by the other.
            np.testing.assert_allclose(found["arr_1"], matrix, rtol=1e-6)
            np.testing.assert_array_equal(found["arr_2"], labels)


@pytest.mark.parametrize("name", HEADS)
def test_files_hold_the_true_scores(name, tmp_path):
    """And another multiplier reads them."""
    scores = np.random.default_rng(1).normal(size=(4, 6, C)).astype("float32")
    models = {}
    for multiplier in (1.0, 1000.0):
        head = HEADS[name](lr_multiplier=multiplier)
        models[multiplier] = keras.Sequential([keras.Input((None, C)), head])
    first, second = (randomized(model.get_layer("head")) for model in models.values())
    path = tmp_path / "head.weights.h5"
    models[1000.0].save_weights(path)
    for weight in first.weights:
        weight.assign(np.zeros(weight.shape))
    models[1.0].load_weights(path)
    for one, other in zip(first.weights, second.weights, strict=True):
        np.testing.assert_allclose(value(one), 1000 * value(other), rtol=1e-5)
        assert np.abs(value(one)).max() > 0.1
    np.testing.assert_allclose(
        value(first.transition_matrix()), value(second.transition_matrix()), rtol=1e-5
    )
    np.testing.assert_array_equal(first.decode(scores), second.decode(scores))


@pytest.mark.parametrize(("name", "rule"), [("crf", "SGD"), ("crf", "Adam"), ("memm", "Adam")])
def test_the_multiplier_is_one_of_the_learning_rate(name, rule):
    """Under Adam; under SGD, its square. The scores learn as before."""
    labels, lr = np.where(MASK, np.arange(5) % C, -1), 1e-3
    scores = np.random.default_rng(1).normal(size=(*MASK.shape, C)).astype("float32")
    ids, moved = np.arange(MASK.size, dtype="int32").reshape(MASK.shape), {}
    for multiplier in (1.0, 10.0):
        head = alone(name, lr_multiplier=multiplier)
        free, before = FreeScores(head, scores), value(head.transitions)
        optimizer = getattr(keras.optimizers, rule)(lr)
        free.model.compile(optimizer, loss=head.loss)
        free.model.train_on_batch(ids, labels)
        emissions = value(free.table.embeddings).reshape(scores.shape) - scores
        moved[multiplier] = value(head.transitions) - before, emissions
    factor = 100 if rule == "SGD" else 10
    np.testing.assert_allclose(moved[10.0][0], factor * moved[1.0][0], rtol=0.02, atol=1e-6)
    assert np.abs(moved[1.0][0]).max() > 1e-5
    np.testing.assert_allclose(moved[10.0][1], moved[1.0][1], atol=1e-5)


@pytest.mark.parametrize("name", HEADS)
def test_learns_eight_texts_by_heart(name):
    """Of two lengths, with positions that are not labelled."""
    ids = np.random.default_rng(1).integers(1, 20, (8, 8)).astype("int32")
    ids[::3, 5:] = 0
    labels, head = legal_labels(ids), HEADS[name](lr_multiplier=5.0)
    model = reader(head)
    adam = keras.optimizers.Adam(0.01)
    model.compile(adam, loss=head.loss, metrics=[head.accuracy])
    before = value(head.loss(labels, model(ids)))
    # Sixty times the same batch in one epoch, since every epoch takes Keras some time.
    many = [np.tile(part, (60, 1)) for part in (ids, labels)]
    history = model.fit(*many, batch_size=8, shuffle=False, verbose=0).history
    assert 0.5 < history["accuracy"][0] < 1
    scores = model(ids)
    assert value(head.loss(labels, scores)).sum() < 0.1 * before.sum()
    for row, valid in zip(head.decode(scores, labels >= 0), labels, strict=True):
        np.testing.assert_array_equal(row, valid[valid >= 0])


@pytest.mark.parametrize("name", HEADS)
def test_mixed_precision(name):
    """Scores and weights are float32, and losses of hundreds of positions stay finite."""
    keras.config.set_dtype_policy("mixed_float16")
    head = HEADS[name]()
    model, ids = reader(head), tiny.inputs()[0]
    assert model.output.dtype == "float32"
    assert {weight.dtype for weight in randomized(head).weights} == {"float32"}
    if name == "crf_of_everything":
        model.compile("adam", loss=head.loss)
        assert np.isfinite(model.train_on_batch(ids, legal_labels(ids)))
    scores = np.full((1, 300, C), [6e4, -6e4, 0], "float16")
    losses = value(head.loss(np.tile([0, 1, 2], (1, 100)), scores))
    assert losses.dtype == "float32"
    assert np.isfinite(losses).all()
    assert losses[0] > 1e7
    assert value(head.viterbi(scores)).tolist() == [[0] * 300]


@pytest.mark.parametrize("name", HEADS)
def test_odd_texts(name):
    """Of one position, without labels (only [CLS] and [SEP]), and with one label to choose."""
    head = alone(name)
    one = np.array([[[0.5, 3.0, 1.0]]], "float32")
    assert value(head.viterbi(one)).tolist() == [[1]]
    assert [row.tolist() for row in head.decode(one)] == [[1]]
    if name == "memm":
        expected = np.log(np.exp(one).sum()) - 3
        np.testing.assert_allclose(value(head.loss(np.array([[1]]), one)), expected, rtol=1e-5)
    nothing = np.full((2, 2), -1)
    scores = np.zeros((2, 2, C), "float32")
    assert value(head.loss(nothing, scores)).tolist() == [0, 0]
    assert value(head.accuracy(nothing, scores)) == 0
    assert (value(head.viterbi(scores, nothing >= 0)) == -1).all()
    assert [len(row) for row in head.decode(scores, nothing >= 0)] == [0, 0]


@pytest.mark.parametrize("name", PLAIN)
def test_a_single_label_has_nothing_to_learn(name):
    """And trains: of scores (B, T, 1) Keras takes the last axis off."""
    head, x = HEADS[name](), np.random.default_rng(1).normal(size=(2, 3, 2)).astype("float32")
    model = keras.Sequential([keras.Input((None, 2)), keras.layers.Dense(1), head])
    model.compile("adam", loss=head.loss, metrics=[head.accuracy])
    labels = np.array([[0, 0, -1], [-1, 0, 0]])
    np.testing.assert_allclose(model.train_on_batch(x, labels), [0, 1], atol=1e-6)
    np.testing.assert_allclose(value(head.loss(labels[..., None], model(x))), 0, atol=1e-6)
    assert [row.tolist() for row in head.decode(model(x))] == [[0] * 3] * 2


@pytest.mark.parametrize("name", PLAIN)
def test_masked_scores_may_be_infinite(name):
    """As padding may be in half precision: it reaches neither loss nor gradient."""
    scores = np.random.default_rng(1).normal(size=(*MASK.shape, C)).astype("float32")
    labels = np.where(MASK, 0, -1)
    expected = value(alone(name).loss(labels, scores))
    scores[~MASK] = np.inf
    with np.errstate(invalid="ignore"):  # infinity minus infinity, the way of those scores
        loss, gradients = FreeScores(alone(name), scores).gradients(labels)
    np.testing.assert_allclose(loss, expected.sum(), rtol=1e-5)
    assert np.isfinite(gradients[0][MASK]).all()
    assert all(np.isfinite(gradient).all() for gradient in gradients[1:])
    head, masked = alone(name), np.where(MASK[..., None], scores, 0)
    np.testing.assert_array_equal(
        value(head.viterbi(scores, MASK)), value(head.viterbi(masked, MASK))
    )


@pytest.mark.parametrize("name", HEADS)
def test_labels_that_do_not_exist(name):
    """Of C or more: refused, on JAX too."""
    scores = np.random.default_rng(1).normal(size=(4, 2, C)).astype("float32")
    head, labels = alone(name), np.array([[0, 1], [C, 0], [0, C + 5], [-1, -7]])
    with pytest.raises(Exception, match=rf"{head.name} got a label out of range: classes are 0 to"):
        value(head.loss(labels, scores))
    assert value(head.loss(labels[3:], scores[3:]))[0] == 0
    assert np.isfinite(value(head.accuracy(labels, scores)))


@pytest.mark.parametrize("name", PLAIN)
def test_forms_of_labels_and_names_of_losses(name):
    """(B, T), (B, T, 1), floats, one-hot with zeros for none; weights of samples."""
    scores = np.random.default_rng(1).normal(size=(*MASK.shape, C)).astype("float32")
    head, labels = alone(name), np.where(MASK, np.arange(5) % C, -1)
    one_hot = (labels[..., None] == np.arange(C)).astype("float32")
    expected = value(head.loss(labels, scores))
    for found in (
        head.loss(labels[..., None], scores),
        head.loss(labels.astype("float32"), scores),
        head.loss(np.where(MASK, labels, -100), scores),
        head.sparse_loss(labels, scores),
        head.dense_loss(one_hot, scores),
        head.dense_loss(one_hot.astype("int32"), scores),
    ):
        np.testing.assert_allclose(value(found), expected, rtol=1e-6)
    share = (scores.argmax(-1) == labels)[MASK].mean()
    for found in (
        head.accuracy(labels, scores),
        head.sparse_accuracy(labels[..., None], scores),
        head.dense_accuracy(one_hot, scores),
    ):
        np.testing.assert_allclose(value(found), share, rtol=1e-6)
    if name != "crf":
        return
    model = keras.Sequential([keras.Input((None, C)), head])
    model.compile("sgd", loss=head.sparse_loss, metrics=[head.sparse_accuracy])
    weights = np.arange(len(MASK), dtype="float32")
    found = model.evaluate(
        scores, labels, sample_weight=weights, batch_size=7, return_dict=True, verbose=0
    )
    np.testing.assert_allclose(found["loss"], (weights * expected).mean(), rtol=1e-5)
    np.testing.assert_allclose(found["sparse_accuracy"], share, rtol=1e-5)
    model.compile("sgd", loss=head.dense_loss, metrics=[head.dense_accuracy])
    found = model.evaluate(scores, one_hot, batch_size=7, return_dict=True, verbose=0)
    np.testing.assert_allclose(found["loss"], expected.mean(), rtol=1e-5)
    np.testing.assert_allclose(found["dense_accuracy"], share, rtol=1e-5)


@pytest.mark.parametrize("name", HEADS)
def test_configs_round_trip(name):
    head = alone(name, lr_multiplier=3.0)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert again.get_config() == head.get_config()
    assert head.compute_output_shape((2, None, C)) == (2, None, C)


@pytest.mark.parametrize("cls", [ConditionalRandomField, MaximumEntropyMarkovModel])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr_multiplier": 0}, "lr_multiplier=0 must be above 0"),
        ({"lr_multiplier": float("nan")}, "lr_multiplier=nan must be above 0"),
        ({"allowed": np.ones((2, 3))}, "`allowed` must be boolean arrays"),
        ({"allowed": (np.ones(2), np.ones((2, 2)))}, "`allowed` must be boolean arrays"),
        ({"allowed": True}, "`allowed` must be boolean arrays"),
        ({"allowed": ([1, 1], [[1, 1], [1]], [1, 1])}, "`allowed` must be boolean arrays"),
        ({"allowed": ([0, 0], np.ones((2, 2)), [1, 1])}, "must let at least one label begin"),
    ],
)
def test_bad_arguments_are_named(cls, options, message):
    with pytest.raises(ValueError, match=message):
        cls(**options)


@pytest.mark.parametrize("name", PLAIN)
def test_what_does_not_fit_is_named(name):
    with pytest.raises(ValueError, match=r"head needs scores of shape \(B, T, C\), not \(2, 3\)"):
        HEADS[name]().build((2, 3))
    with pytest.raises(ValueError, match=r"head needs scores of shape \(B, T, C\), not"):
        HEADS[name]().build((2, 3, None))
    with pytest.raises(ValueError, match="head has `allowed` for 3 labels, but the scores have 4"):
        HEADS[name](allowed=RULES).build((None, None, 4))
    head = alone(name)
    with pytest.raises(
        ValueError, match=r"head needs the weights \['transitions'\], but the file has \['left'\]"
    ):
        head.load_own_variables({"left": np.zeros((C, C))})
