"""The span head: scores, loss and decoding against numpy, and what every head must survive."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.tasks.reading import SpanExtraction, SpanLoss
from bert4keras.tasks.reading.answers import PassageAnswers, read_answers
from bert4keras.tasks.reading.windows import encode_passages
from bert4keras.tokenizers import Tokenizer
from helpers import tiny
from helpers.fresh_process import fresh_outputs, outputs

pytestmark = pytest.mark.spread

RNG = np.random.default_rng(0)
MASK = np.array([[0, 0, 1, 1, 1, 0], [0, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0]], "int32")
X = RNG.normal(size=(3, 6, 4)).astype("float32")


def value(tensor) -> np.ndarray:
    return ops.convert_to_numpy(ops.convert_to_tensor(tensor))


def reader(**options):
    """A tiny BERT with the head on it, and the head."""
    bert = tiny.build()
    mask = keras.Input((None,), dtype="int32", name="Passage")
    head = SpanExtraction(name="Answer", **options)
    return keras.Model([*bert.input, mask], head([bert.output, mask])), head


def log_softmax(x):
    x = x - x.max(0)
    return x - np.log(np.exp(x).sum(0))


@pytest.mark.parametrize("no_answer", [True, False])
@pytest.mark.parametrize("dtype", ["int32", "bool"])
def test_scores(no_answer, dtype):
    head = SpanExtraction(no_answer)
    found = value(head([X, MASK.astype(dtype)]))
    is_open = MASK.astype(bool) | (no_answer & (np.arange(6) == 0))
    wanted = X @ value(head.dense.kernel) + value(head.dense.bias)
    np.testing.assert_allclose(found[is_open], wanted[is_open], atol=1e-6)
    assert (found[~is_open] == -30000).all()
    assert head.compute_output_shape([X.shape, MASK.shape]) == found.shape


def test_loss_by_hand():
    scores = RNG.normal(size=(4, 6, 2)).astype("float32")
    labels = np.array([[1, 3], [0, 0], [-1, 2], [-1, -1]])
    found = value(SpanExtraction().loss(labels, scores))
    logs = [log_softmax(rows.astype("float64")) for rows in scores]
    wanted = [
        -(logs[0][1, 0] + logs[0][3, 1]) / 2,
        -(logs[1][0, 0] + logs[1][0, 1]) / 2,
        -logs[2][2, 1],
        0.0,
    ]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_the_loss_does_not_see_closed_tokens():
    head = SpanExtraction()
    scores = value(head([X, MASK]))
    labels = np.array([[2, 4], [1, 2], [0, 0]])
    moved = X.copy()
    moved[MASK == 0] += 1
    moved[:, 0] = X[:, 0]
    np.testing.assert_allclose(
        value(head.loss(labels, head([moved, MASK]))), value(head.loss(labels, scores)), atol=1e-6
    )
    assert abs(value(head.loss(labels, scores))[2]) < 1e-6  # only "no answer" is possible
    moved[:, 0] += 1
    changed = value(head.loss(labels, head([moved, MASK])))
    assert np.abs(changed - value(head.loss(labels, scores)))[:2].min() > 1e-4


def test_decode_by_enumeration():
    head = SpanExtraction()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(1, 7, 4)).astype("float32")
        mask = (rng.random((1, 7)) < 0.7).astype("int32")
        scores = value(head([x, mask])).astype("float64")
        none = scores[0, 0].sum()
        spans = [
            (i, j + 1, scores[0, i, 0] + scores[0, j, 1] - none)
            for i in range(1, 7)
            for j in range(i, min(7, i + 3))
            if mask[0, i] and mask[0, j]
        ]
        spans.sort(key=lambda span: -span[2])
        for threshold in (-np.inf, 0.0, 0.7):
            (found,) = head.decode(scores, top=5, max_length=3, threshold=threshold)
            wanted = [span for span in spans[:5] if span[2] > threshold]
            assert [span[:2] for span in found] == [span[:2] for span in wanted]
            np.testing.assert_allclose([s.score for s in found], [s[2] for s in wanted])


def test_decode_without_no_answer():
    scores = np.zeros((1, 4, 2), "float32")
    scores[0, 0] = 9  # [CLS] may not be read as "no answer", nor as an answer
    head = SpanExtraction(no_answer=False)
    scores = np.where(np.array([0, 1, 1, 0])[None, :, None], scores, -30000)
    assert head.decode(scores, threshold=5)[0] == [(1, 2, 0.0)]
    assert head.decode(np.full((1, 1, 2), -30000.0)) == [[]]  # no token at all


def test_overfits_eight_samples():
    """Eight questions of which two have no answer, read from texts to texts."""
    tokenizer = Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnop"])
    passages = ["b c d e", "f g h", "i j k l", "m n o p b c d e f", "c d", "e f g h i", "j", "k l"]
    answers = ["c d", "h", "", "n o p b c", "c d", "", "j", "l"]
    questions = list("aeimbfjo")
    windows = [w for (w,) in encode_passages(tokenizer, questions, passages, maxlen=16)]
    labels = [
        (answer and window.locate(passage.find(answer), passage.find(answer) + len(answer)))
        or (0, 0)
        for window, passage, answer in zip(windows, passages, answers, strict=True)
    ]
    inputs = [np.zeros((8, 14), "int32") for _ in range(3)]
    for row, window in enumerate(windows):
        for array, ids in zip(
            inputs, (window.token_ids, window.segment_ids, window.mask), strict=True
        ):
            array[row, : len(ids)] = ids
    model, head = reader()
    model.compile(keras.optimizers.Adam(0.01), loss=head.loss)
    arrays = (*inputs, np.array(labels))
    *x, y = (np.tile(array, (100, *[1] * (array.ndim - 1))) for array in arrays)
    model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    scores = model.predict(inputs, verbose=0)
    read = [
        read_answers(passage, [window], [rows])
        for passage, window, rows in zip(passages, windows, scores, strict=True)
    ]
    found = [one.answers[0].text if one.confidence > 0.5 else "" for one in read]
    assert found == answers
    spans = [[(s.start, s.end - 1) for s in row] or [(0, 0)] for row in head.decode(scores)]
    assert spans == [[pair] for pair in labels]


def test_reload_in_a_fresh_process(tmp_path):
    model, head = reader(no_answer=False, kernel_initializer="random_normal")
    model.compile("adam", loss=head.loss)
    ids, segments = tiny.inputs()
    inputs = [ids, segments, segments]
    model.fit(inputs, np.array([[5, 6]] * 3), verbose=0)
    found = fresh_outputs(tmp_path, {"span": (model, inputs)})["span"]
    np.testing.assert_array_equal(found, outputs(model, inputs))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    head = SpanExtraction()
    scores = head([X, MASK])
    assert keras.backend.standardize_dtype(scores.dtype) == policy.removeprefix("mixed_")
    scores = value(ops.cast(scores, "float32"))
    assert np.isfinite(scores).all()
    losses = value(head.loss(np.array([[2, 4], [1, 2], [0, 0]]), scores))
    assert np.isfinite(losses).all()
    assert losses.max() < 20
    assert all(1 <= span.start < span.end <= 5 for row in head.decode(scores) for span in row)


def test_a_batch_of_one_token_and_an_empty_text():
    model, head = reader()
    one = np.array([[2]], "int32")
    scores = model.predict([one, one * 0, one * 0], verbose=0)
    assert scores.shape == (1, 1, 2)
    assert head.decode(scores) == [[]]
    tokenizer = Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnop"])
    ((window,),) = encode_passages(tokenizer, [""], [""])
    batch = [np.array([x]) for x in (window.token_ids, window.segment_ids, window.mask)]
    scores = model.predict(batch, verbose=0)
    assert read_answers("", [window], scores) == PassageAnswers([], 1.0)
    assert np.isfinite(value(head.loss(np.array([[0, 0]]), scores))).all()


def test_a_passage_longer_than_the_model():
    model, _ = reader()  # 16 positions
    tokenizer = Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnop"])
    passage = " ".join("abcdefghijklmnop" * 3)
    (windows,) = encode_passages(tokenizer, ["a b"], [passage], maxlen=16, stride=5)
    batch = [
        np.array([getattr(w, name) for w in windows])
        for name in ("token_ids", "segment_ids", "mask")
    ]
    scores = model.predict(batch, verbose=0)
    answer = read_answers(passage, windows, scores).answers[0]
    assert answer.text == passage[answer.start : answer.end]
    with pytest.raises(ValueError, match="longer than the model"):
        model([np.ones((1, 20), "int32")] * 3)


def test_the_config_comes_back():
    head = SpanExtraction(False, kernel_initializer="he_normal", name="x")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert again.get_config() == head.get_config()


def test_span_loss_by_hand():
    scores = RNG.normal(size=(3, 5, 2)).astype("float32")
    labels = np.full((3, 5, 2), -1)
    labels[0, [0, 2, 3]] = 0
    labels[0, 2, 0] = labels[0, 3, 1] = 1
    labels[1, :2] = 0
    labels[1, 0] = 1
    open_ = scores[0, [0, 2, 3]].astype("float64")
    few = scores[1, :2].astype("float64")
    wanted = [
        -(log_softmax(open_[:, 0])[1] + log_softmax(open_[:, 1])[2]) / 2,
        -(log_softmax(few[:, 0])[0] + log_softmax(few[:, 1])[0]) / 2,
        0.0,  # a row of padding
    ]
    loss = SpanLoss(reduction="none")
    np.testing.assert_allclose(value(loss(labels, scores)), wanted, atol=1e-6)
    # What is padding changes nothing, and what may be chosen does.
    moved = scores + np.where(labels < 0, 5, 0)
    np.testing.assert_allclose(value(loss(labels, moved)), wanted, atol=1e-6)
    moved = scores + np.array([0, 0, 0, 1, 0])[:, None]
    assert np.abs(value(loss(labels, moved)) - wanted)[0] > 1e-3
    again = keras.losses.deserialize(keras.losses.serialize(SpanLoss()))
    assert isinstance(again, SpanLoss)
