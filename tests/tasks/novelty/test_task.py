"""The detector: answers, thresholds, classifiers, long texts, saving, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from bert4keras import tasks
from bert4keras.tasks import Novelty, NoveltyDetector, SentenceEncoder, TaskError, TextClassifier
from bert4keras.tasks.novelty import Encodings

pytestmark = pytest.mark.spread

FIXTURES = Path(__file__).parents[2] / "fixtures"
STILL = {"dropout_rate": 0.0, "attention_dropout_rate": 0.0}
WORDS = ("good", "bad", "film", "story", "play", "the", "it", "was", "very", "not")


def texts(words, count, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(words, 6)) for _ in range(count)]


KNOWN = texts(WORDS[:5], 60)
FOREIGN = [f"it was not very play it was not it was {word}" for word in ("it", "was", "very")]
LABELS = [("good", "bad")[text.split()[0] == "bad"] for text in KNOWN]


@pytest.fixture(scope="module")
def encoder():
    return SentenceEncoder.build(FIXTURES / "bert_gelu", **STILL)


@pytest.fixture(scope="module")
def classifier():
    return TextClassifier.build(FIXTURES / "bert_gelu", ["good", "bad"], **STILL)


@pytest.fixture(scope="module")
def detector(encoder):
    return NoveltyDetector.build(encoder, "mahalanobis").fit(KNOWN)


def test_answers(detector, encoder):
    answers = detector.predict([*KNOWN[:3], *FOREIGN])
    assert all(one.is_novel for one in answers[3:])
    assert sum(one.is_novel for one in answers[:3]) <= 1
    for one in answers:
        assert one.threshold == detector.threshold
        assert one.is_novel == (one.score > one.threshold) == (one.p_value <= 0.05)
        assert one.label is None
    for one, again in zip(
        [detector(FOREIGN[0]), *detector(FOREIGN)], answers[3:4] + answers[3:], strict=True
    ):
        assert one.score == pytest.approx(again.score, rel=1e-5)
    assert detector.predict([]) == []
    assert str(answers[3]).startswith("novel (p 0.05")
    assert str(Novelty(False, 1.5, 2.0, 0.25, "bad")) == (
        "known (p 0.250, score 1.5 <= 2, nearest label bad)"
    )
    # The score is that of the method on the encoder's own vectors.
    scores = detector._method.score(Encodings(encoder.predict(FOREIGN)))
    np.testing.assert_allclose([one.score for one in answers[3:]], scores, rtol=1e-3)


def test_the_default_is_the_distance_to_neighbours(encoder):
    detector, named = (NoveltyDetector.build(encoder, *m).fit(KNOWN) for m in ((), ("neighbours",)))
    assert detector.get_config() == named.get_config()
    assert detector(FOREIGN[0]) == named(FOREIGN[0])


def test_evaluate(detector):
    scores = detector.evaluate(texts(WORDS[:5], 20, seed=9), FOREIGN)
    assert list(scores) == ["auroc", "aupr", "fpr95", "false_alarm_rate", "recall"]
    assert (scores["auroc"], scores["recall"]) == (1.0, 1.0)
    assert scores["false_alarm_rate"] <= 0.3
    # Known texts in place of foreign ones are not found.
    same = detector.evaluate(texts(WORDS[:5], 20, seed=9), texts(WORDS[:5], 20, seed=10))
    assert 0.2 < same["auroc"] < 0.8


def test_the_rate_of_false_alarms_can_be_changed(encoder):
    detector = NoveltyDetector.build(encoder, "mahalanobis", 0.5).fit(KNOWN)
    half = detector.threshold
    detector.false_alarm_rate = 0.1
    assert detector.threshold > half
    with pytest.raises(TaskError, match=r"12 known texts are held out .* of 0\.01 needs 99"):
        detector.false_alarm_rate = 0.01
    with pytest.raises(TaskError, match=r"false_alarm_rate=2 must lie between 0 and 1"):
        detector.false_alarm_rate = 2
    assert detector.false_alarm_rate == 0.1


def test_held_out_texts_of_ones_own(encoder):
    detector = NoveltyDetector.build(encoder, "neighbours", 0.25)
    detector.fit(KNOWN[:10], held_out=KNOWN[10:20])
    held_out = sorted((one.score for one in detector.predict(KNOWN[10:20])), reverse=True)
    assert detector.threshold == pytest.approx(held_out[1], abs=1e-6)  # floor(0.25 * 11) - 1
    with pytest.raises(TaskError, match=r"2 known texts are held out .* needs 3"):
        detector.fit(KNOWN, held_out=KNOWN[:2])
    with pytest.raises(TaskError, match=r"fit\(\) got 1 texts; 2 are needed at least"):
        detector.fit(KNOWN[:1], held_out=KNOWN)


@pytest.mark.parametrize("method", ["softmax", "energy"])
def test_on_a_classifier(classifier, method):
    detector = NoveltyDetector.build(classifier, method).fit(KNOWN)
    answer = detector(FOREIGN[0])
    probabilities = classifier(FOREIGN[0]).scores
    assert answer.label == classifier(FOREIGN[0]).label
    if method == "softmax":
        assert answer.score == pytest.approx(1 - max(probabilities.values()), abs=1e-5)
    assert detector.labels == ["good", "bad"]
    vectors = keras.Model(classifier.model.inputs, classifier.model.layers[-1].input)
    encoded = detector.encode(FOREIGN[0])
    inputs = [np.array([part]) for part in encoded.rows[0]]
    found = detector._encodings([FOREIGN[0]], 1).vectors
    np.testing.assert_allclose(found, vectors.predict_on_batch(inputs), atol=1e-5)


def test_labels_without_a_classifier(encoder):
    detector = NoveltyDetector.build(encoder, "energy").fit(KNOWN, LABELS)
    assert detector.labels == ["bad", "good"]
    right = [one.label == label for one, label in zip(detector(KNOWN), LABELS, strict=True)]
    assert np.mean(right) > 0.8
    nearest = NoveltyDetector.build(encoder, "neighbours").fit(KNOWN, LABELS)
    assert {one.label for one in nearest(KNOWN)} == {"bad", "good"}


def test_a_classifier_of_several_labels_gives_its_vectors_only():
    several = TextClassifier.build(FIXTURES / "bert_gelu", ["a", "b"], "multi_label", **STILL)
    detector = NoveltyDetector.build(several, "mahalanobis").fit(KNOWN)
    assert detector.labels == []
    with pytest.raises(TaskError, match="method 'softmax' compares labels: call fit"):
        NoveltyDetector.build(several, "softmax").fit(KNOWN)


def test_a_long_text_is_read_in_windows(encoder):
    detector = NoveltyDetector.build(encoder, "neighbours", maxlen=16).fit(KNOWN)
    long = " ".join(KNOWN[:10])
    assert len(detector.encode(long).rows) > 2
    vector = detector._encodings([long], 64).vectors[0]
    np.testing.assert_allclose(vector, encoder.with_options(maxlen=16)(long), atol=1e-5)


def test_options_of_a_sentence_encoder_stay(encoder):
    prompted = SentenceEncoder(
        encoder.tokenizer, encoder.model, {"q": "the good "}, "q", lower_case=True
    )
    detector = NoveltyDetector.build(prompted, "neighbours").fit(KNOWN)
    assert (detector.prompt, detector.lower_case) == ("the good ", True)
    np.testing.assert_allclose(
        detector._encodings(["Film"], 1).vectors, prompted.predict(["Film"]), atol=1e-5
    )


@pytest.mark.parametrize("method", ["softmax", "mahalanobis", "neighbours", "score"])
def test_saved_and_loaded(encoder, method, tmp_path):
    options = {"epochs": 2, "units": 8, "dim": 4} if method == "score" else {}
    detector = NoveltyDetector.build(encoder, method, method_options=options)
    detector.fit(KNOWN, None if method == "score" else LABELS)
    detector.save(tmp_path / "novelty")
    again = tasks.load(tmp_path / "novelty")
    assert type(again) is NoveltyDetector
    assert again.get_config() == detector.get_config()
    for one, two in zip(again(FOREIGN), detector(FOREIGN), strict=True):
        assert one.score == pytest.approx(two.score, rel=1e-5)
        assert (one.is_novel, one.label) == (two.is_novel, two.label)
        assert one.p_value == two.p_value


def test_a_saved_encoder_is_found_by_its_directory(encoder, classifier, tmp_path):
    encoder.save(tmp_path / "encoder")
    classifier.save(tmp_path / "classifier")
    one = NoveltyDetector.build(tmp_path / "encoder", "neighbours").fit(KNOWN)
    two = NoveltyDetector.build(str(FIXTURES / "bert_gelu"), "neighbours", **STILL).fit(KNOWN)
    assert one(FOREIGN[0]).score == pytest.approx(two(FOREIGN[0]).score, abs=1e-5)
    assert NoveltyDetector.build(tmp_path / "classifier", "energy").labels == ["good", "bad"]


def test_one_that_is_not_fitted(encoder, tmp_path):
    detector = NoveltyDetector.build(encoder)
    detector.save(tmp_path / "new")
    for one in (detector, tasks.load(tmp_path / "new")):
        with pytest.raises(TaskError, match=r"knows no texts yet: call fit\(texts\)"):
            one("the film")


def test_a_damaged_file_is_named(encoder, tmp_path):
    detector = NoveltyDetector.build(encoder, "score", method_options={"epochs": 1, "dim": 4})
    detector.fit(KNOWN).save(tmp_path / "saved")
    (tmp_path / "saved" / "density.keras").write_bytes(b"no model")
    with pytest.raises(TaskError, match=r"density\.keras cannot be read"):
        tasks.load(tmp_path / "saved")
    path = tmp_path / "saved" / "task.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    values["options"]["method"] = "magic"
    path.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(TaskError, match="method='magic' must be one of"):
        tasks.load(tmp_path / "saved")


def test_what_does_not_fit_is_named(encoder, classifier):
    build = NoveltyDetector.build
    with pytest.raises(TaskError, match="method='magic' must be one of softmax, energy"):
        build(encoder, "magic")
    with pytest.raises(TaskError, match=r"got 20 texts\. A false_alarm_rate of 0\.05"):
        build(encoder).fit(KNOWN[:20])
    with pytest.raises(TaskError, match="but all texts have the label 'a'"):
        build(encoder, "energy").fit(KNOWN, ["a"] * 60)
    with pytest.raises(TaskError, match="got 60 texts, but 1 labels"):
        build(encoder).fit(KNOWN, ["a"])
    with pytest.raises(TaskError, match="the classifier has no label 'other'"):
        build(classifier).fit(KNOWN, ["other"] * 60)
    with pytest.raises(TaskError, match="vectors of the 60 texts are all the same"):
        build(encoder).fit(["the film"] * 60)
    with pytest.raises(TypeError, match="a text is encoded, not int: 3"):
        build(encoder).fit([3] * 60)
    with pytest.raises(TaskError, match=r"learns by fit\(texts\). Its encoder is trained as a"):
        build(encoder).batches([("the film", 1)])
    with pytest.raises(TaskError, match="or a TextClassifier, not on a FillMask"):
        build(tasks.FillMask.build(FIXTURES / "bert_gelu"))
    tokenizer, model = encoder.tokenizer, encoder.model
    with pytest.raises(TaskError, match="scores 2 labels, got 0"):
        NoveltyDetector(
            tokenizer, keras.Model(model.inputs, [model.output, classifier_scores(model)])
        )
    three = keras.Model(model.inputs, model.layers[-2].output)
    with pytest.raises(TaskError, match=r"must be vectors \(B, D\), or these and scores"):
        NoveltyDetector(tokenizer, three)


def classifier_scores(model):
    return keras.layers.Dense(2)(model.output)


def test_vectors_that_are_no_numbers_are_named(encoder):
    model = encoder.model
    broken = keras.layers.Rescaling(float("nan"))(model.output)
    detector = NoveltyDetector(encoder.tokenizer, keras.Model(model.inputs, broken))
    with pytest.raises(TaskError, match=r"the vector of '.*' is not finite"):
        detector.fit(KNOWN)


def test_a_classifier_without_one_vector_a_text_is_refused(classifier):
    inputs = classifier.model.inputs
    both = keras.layers.Concatenate()([classifier.model.layers[-1].input] * 2)
    joined = keras.layers.Add()([keras.layers.Dense(2)(both), keras.layers.Dense(2)(both)])
    odd = TextClassifier(classifier.tokenizer, keras.Model(inputs, joined), ["a", "b"])
    with pytest.raises(TaskError, match=r"the last layer of the classifier, add.*, does not read"):
        NoveltyDetector.build(odd)
