"""DGCNN against numpy: blocks, pooling, the whole head, its loss and its decoding."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.tasks.reading import (
    DGCNN,
    Answer,
    AttentionPooling,
    DilatedGatedConvolution,
    build_dgcnn,
)
from bert4keras.tasks.reading.answers import aggregate_answers
from bert4keras.tasks.reading.matching import match_features
from helpers.fresh_process import fresh_outputs, outputs

pytestmark = pytest.mark.spread

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 9, 4)).astype("float32")
MASK = np.array([[1] * 9, [1] * 5 + [0] * 4, [0] * 9], "int32")
QUESTION = np.array([[3, 4, 5, 0], [6, 7, 0, 0], [8, 3, 4, 9]], "int32")
PASSAGE = np.array([[5, 6, 7, 8, 9, 3], [4, 6, 7, 0, 0, 0], [4, 0, 0, 0, 0, 0]], "int32")
FEATURES = RNG.random((3, 6, 2)).astype("float32")
SMALL = {"embedding_size": 6, "units": 5, "question_dilations": (1,), "passage_dilations": (1, 2)}


def value(tensor) -> np.ndarray:
    return ops.convert_to_numpy(ops.convert_to_tensor(tensor))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def noisy(layer):
    """The layer with weights far from zero, biases too."""
    rng = np.random.default_rng(1)
    for weight in layer.trainable_weights:
        weight.assign(rng.normal(scale=0.6, size=weight.shape).astype("float32"))
    return layer


def block_in_numpy(block, x, mask):
    """One text at a time, one token at a time."""
    kernel, bias = value(block.convolution.kernel).astype("float64"), value(block.convolution.bias)
    width, filters = kernel.shape[0], kernel.shape[2] // 2
    out = np.zeros((*x.shape[:2], filters))
    for row, text in enumerate(x.astype("float64")):
        tokens = [i for i in range(len(text)) if mask[row, i]]
        for i in tokens:
            both = bias.astype("float64")
            for k in range(width):
                j = i + (k - width // 2) * block.dilation
                if j in tokens:
                    both = both + text[j] @ kernel[k]
            h, gate = both[:filters], sigmoid(both[filters:])
            kept = text[i] if block.skip is None else text[i] @ value(block.skip.kernel)
            out[row, i] = kept * (1 - gate) + h * gate
    return out


def pool_in_numpy(layer, x, mask):
    out = np.zeros((x.shape[0], x.shape[-1]))
    for row, text in enumerate(x.astype("float64")):
        text = text[mask[row].astype(bool)]
        if len(text):
            scores = np.tanh(text @ value(layer.hidden.kernel)) @ value(layer.score.kernel)[:, 0]
            weights = np.exp(scores - scores.max())
            out[row] = weights / weights.sum() @ text
    return out


@pytest.mark.parametrize(
    "options",
    [{}, {"dilation": 2}, {"filters": 7, "dilation": 4}, {"kernel_size": 5}, {"kernel_size": 1}],
)
def test_block(options):
    layer = DilatedGatedConvolution(dropout=0.5, **options)
    layer.build([X.shape, MASK.shape])
    found = value(noisy(layer)([X, MASK]))
    np.testing.assert_allclose(found, block_in_numpy(layer, X, MASK), atol=1e-5)
    assert layer.compute_output_shape([X.shape, MASK.shape]) == found.shape
    assert (found[MASK == 0] == 0).all()
    if options.get("kernel_size") != 1:  # an unmasked input would show
        moved = np.where(MASK[..., None], X, 9)
        assert np.abs(block_in_numpy(layer, moved, MASK * 0 + 1) - found)[1, :5].max() > 0.01


def test_dropout_is_on_the_gate_alone():
    layer = DilatedGatedConvolution(dropout=0.5)
    layer.build([X.shape, MASK.shape])
    noisy(layer)
    still, moving = value(layer([X, MASK])), value(layer([X, MASK], training=True))
    assert np.abs(still - moving).max() > 0.01
    both = value(layer.convolution(X * MASK[..., None]))
    h, gate = both[..., :4], both[..., 4:]
    options = [X * (1 - sigmoid(g)) + h * sigmoid(g) for g in (0 * gate, 2 * gate)]
    off = np.min([np.abs(moving - option * MASK[..., None]) for option in options], 0)
    assert off.max() < 1e-5


def test_pooling():
    layer = AttentionPooling(3)
    layer.build([X.shape, MASK.shape])
    found = value(noisy(layer)([X, MASK]))
    np.testing.assert_allclose(found, pool_in_numpy(layer, X, MASK), atol=1e-5)
    assert (found[2] == 0).all()
    assert np.abs(found[1] - pool_in_numpy(layer, X, MASK * 0 + 1)[1]).max() > 0.01


def test_the_whole_against_numpy():
    model = noisy(build_dgcnn(10, features=2, **SMALL))
    head, table = model.get_layer("DGCNN"), value(model.get_layer("Embedding-Token").embeddings)
    question, passage = table[QUESTION], table[PASSAGE]
    for block in head.question_blocks:
        question = block_in_numpy(block, question, QUESTION)
    q = pool_in_numpy(head.question_pooling, question, QUESTION)[:, None] + np.zeros((1, 6, 1))
    p = np.concatenate([passage, FEATURES, q], -1) @ value(head.join.kernel)
    for block in head.passage_blocks:
        p = block_in_numpy(block, p, PASSAGE)
    p = np.concatenate([p, q], -1)

    def dense(x, layer):
        return sigmoid(x @ value(layer.kernel) + value(layer.bias))

    answerable = dense(pool_in_numpy(head.passage_pooling, p, PASSAGE), head.answerable)
    wanted = dense(p, head.ends) * answerable[:, None] * (PASSAGE > 0)[..., None]
    found = value(model([QUESTION, PASSAGE, FEATURES]))
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert np.ptp(wanted) > 0.1


def test_padding_changes_nothing():
    model = noisy(build_dgcnn(10, features=2, **SMALL))
    before = value(model([QUESTION, PASSAGE, FEATURES]))
    features = np.where((PASSAGE > 0)[..., None], FEATURES, 7)
    np.testing.assert_array_equal(value(model([QUESTION, PASSAGE, features])), before)
    longer = [np.pad(x, [(0, 0), (0, 3), (0, 0)][: x.ndim]) for x in (QUESTION, PASSAGE, FEATURES)]
    found = value(model(longer))
    np.testing.assert_allclose(found[:, :6], before, atol=1e-6)
    assert (found[:, 6:] == 0).all()
    for place, moves in ((0, True), (2, False)):  # a token of the question, and its padding
        question = QUESTION.copy()
        question[1, place] = 9 if moves else 0
        assert (np.abs(value(model([question, PASSAGE, FEATURES])) - before).max() > 1e-4) == moves


def test_loss_by_hand():
    """alpha 0.25 of positives and 0.75 of negatives, each times (1 - p_t)^2."""
    labels = np.array([[[1, 0], [0, 1], [-1, -1]], [[0, 0], [-1, -1], [-1, -1]]])
    scores = np.array([[[0.8, 0.3], [0.1, 0.6], [0.9, 0.9]], [[0.2, 0.4], [0, 0], [0.5, 1]]])

    def focal(label, p):
        p_t, alpha = (p, 0.25) if label else (1 - p, 0.75)
        return -alpha * (1 - p_t) ** 2 * math.log(p_t)

    wanted = [
        100 * ((focal(1, 0.8) + focal(0, 0.1)) / 2 + (focal(0, 0.3) + focal(1, 0.6)) / 2),
        100 * (focal(0, 0.2) + focal(0, 0.4)),
    ]
    found = value(DGCNN().loss(labels, scores.astype("float32")))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    ignored = value(DGCNN().loss(-np.ones((1, 3, 2)), scores[:1].astype("float32")))
    assert ignored == [0]
    sure = value(DGCNN().loss(np.ones((1, 2, 2)), np.zeros((1, 2, 2), "float32")))
    assert np.isfinite(sure).all()


def test_decode_by_enumeration():
    head = DGCNN()
    rng = np.random.default_rng(0)
    scores = rng.random((20, 7, 2)) ** 3
    for row, found in zip(scores, head.decode(scores, 0.1, max_length=3, top=50), strict=True):
        wanted = [
            (i, j + 1, row[i, 0] * row[j, 1])
            for i in range(7)
            for j in range(i, min(7, i + 3))
            if row[i, 0] > 0.1 and row[j, 1] > 0.1
        ]
        assert found == sorted(wanted, key=lambda span: -span[2])
    assert head.decode(np.full((1, 3, 2), 0.1)) == [[]]
    (longest,) = head.decode(np.full((1, 30, 2), 0.5), top=999)
    assert max(span.end - span.start for span in longest) == 12


def test_word_vectors_stay():
    vectors = RNG.normal(size=(5, 3)).astype("float32")
    model = build_dgcnn(10, word_vectors=vectors, **SMALL)
    words = [QUESTION % 5, PASSAGE % 5]
    model.compile("adam", loss=model.get_layer("DGCNN").loss)
    before = model.predict([QUESTION, PASSAGE, *words], verbose=0)
    model.fit([QUESTION, PASSAGE, *words], np.ones((3, 6, 2)), verbose=0)
    np.testing.assert_array_equal(value(model.get_layer("Words").embeddings), vectors)
    zeros = [QUESTION * 0, PASSAGE * 0]
    assert np.abs(model.predict([QUESTION, PASSAGE, *zeros], verbose=0) - before).max() > 1e-4


def test_overfits_eight_samples():
    """Eight questions with two passages each, one of which may have the answer; they vote."""
    rng = np.random.default_rng(0)
    questions = rng.integers(2, 20, (16, 4))
    questions[1::2] = questions[::2]
    passages = rng.integers(2, 20, (16, 10))
    labels, answers = np.zeros((16, 10, 2), "int32"), []
    for row in range(0, 16, 2):
        start, size = rng.integers(0, 7), rng.integers(1, 4)
        labels[row, start, 0] = labels[row, start + size - 1, 1] = 1
        answers.append(str(passages[row, start : start + size].tolist()))
    model = build_dgcnn(20, embedding_size=16, units=16, dropout=0.0)
    head = model.get_layer("DGCNN")
    model.compile(keras.optimizers.Adam(0.01), loss=head.loss)
    model.fit([questions, passages], labels, epochs=60, batch_size=16, verbose=0)
    spans = head.decode(model.predict([questions, passages], verbose=0))
    found = [
        [Answer(str(text[s.start : s.end].tolist()), s.start, s.end, s.score) for s in row]
        for text, row in zip(passages, spans, strict=True)
    ]
    votes = [aggregate_answers(found[i : i + 2]) for i in range(0, 16, 2)]
    assert [ranked[0][0].text for ranked in votes] == answers
    assert not any(found[1::2])  # a passage without an answer says nothing


def test_reload_in_a_fresh_process(tmp_path):
    vectors = RNG.normal(size=(5, 3)).astype("float32")
    model = noisy(build_dgcnn(10, 2, vectors, **SMALL))
    inputs = [QUESTION, PASSAGE, QUESTION % 5, PASSAGE % 5, FEATURES]
    model.compile("adam", loss=model.get_layer("DGCNN").loss)
    model.fit(inputs, np.ones((3, 6, 2)), verbose=0)
    found = fresh_outputs(tmp_path, {"dgcnn": (model, inputs)})["dgcnn"]
    np.testing.assert_array_equal(found, outputs(model, inputs))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    exact = build_dgcnn(10, features=2, **SMALL)
    keras.config.set_dtype_policy(policy)
    model = build_dgcnn(10, features=2, **SMALL)
    noisy(model)
    noisy(exact)
    scores = model([QUESTION, PASSAGE, FEATURES])
    assert keras.backend.standardize_dtype(scores.dtype) == "float32"
    wanted = value(exact([QUESTION, PASSAGE, FEATURES]))
    np.testing.assert_allclose(value(scores), wanted, atol=0.05)
    model.compile("adam", loss=model.get_layer("DGCNN").loss)
    loss = model.evaluate([QUESTION, PASSAGE, FEATURES], np.ones((3, 6, 2)), verbose=0)
    assert math.isfinite(loss)


def test_texts_of_one_token_and_of_none():
    model = build_dgcnn(10, **SMALL)
    head = model.get_layer("DGCNN")
    one, none = np.array([[4]], "int32"), np.zeros((1, 1), "int32")
    for question, passage in ((one, one), (none, one), (one, none)):
        scores = model.predict([question, passage], verbose=0)
        assert scores.shape == (1, 1, 2)
        assert np.isfinite(scores).all()
        assert len(head.decode(scores, 0.0)[0]) == int(passage.any())


@pytest.mark.parametrize(
    "layer",
    [
        DilatedGatedConvolution(3, 5, 2, 0.3),
        AttentionPooling(4),
        DGCNN(8, (1,), [1, 2], 0.2, name="x"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_configs_round_trip(layer):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()


def test_match_features_by_hand():
    found = match_features("谁写AB", "他写ab的", ["写ab", "的"])
    np.testing.assert_allclose(
        found,
        [  # a character, two, three; of 4 characters and of 3 pairs; others with a pair
            [0, 0, 0, 3 / 4, 2 / 3, 0],
            [1, 1, 1, 3 / 4, 2 / 3, 0.5],
            [1, 1, 1, 3 / 4, 2 / 3, 0.5],
            [1, 1, 1, 3 / 4, 2 / 3, 0.5],
            [0, 0, 0, 3 / 4, 2 / 3, 0],
        ],
        atol=1e-6,
    )
    far = match_features("a", "a" + "x" * 20 + "a")
    assert far[:, 3].tolist() == [1.0] * 22  # within 10 of one of the ends: all
    far = match_features("a", "a" + "x" * 22)
    assert far[:, 3].tolist() == [1.0] * 11 + [0.0] * 12
    assert match_features("", "abc").tolist() == np.zeros((3, 6)).tolist()
    assert match_features("abc", "").shape == (0, 6)
    assert len(match_features("a", "İx")) == 2  # lower() makes two characters of one
