"""Thresholds: against trying every score, and in every task that has one."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras import tasks
from bert4keras.tasks.relations import Relation, RelationEntity
from bert4keras.tasks.threshold_search import find_candidates, with_threshold
from bert4keras.tasks.thresholds import NoThreshold, threshold_curve
from helpers.task_table import build

pytestmark = pytest.mark.spread


def by_trying(scores, right, wanted):
    """Precision, recall and F1 at each distinct score, counted anew for each."""
    rows = []
    for threshold in sorted(set(scores), reverse=True):
        kept = [r for score, r in zip(scores, right, strict=True) if score >= threshold]
        precision, recall = sum(kept) / len(kept), sum(kept) / wanted if wanted else 0.0
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        rows.append((threshold, precision, recall, f1))
    return rows


@pytest.mark.parametrize("seed", range(20))
def test_the_curve_against_trying(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 60))
    scores = np.round(rng.random(count), 1 + seed % 3).tolist()  # with equal scores
    right = (rng.random(count) < 0.5).astype(float).tolist()
    if seed % 2:
        right = np.round(right * rng.random(count), 3).tolist()
    wanted = int(np.ceil(sum(right))) + int(rng.integers(0, 5))
    curve, rows = threshold_curve(scores, right, wanted), by_trying(scores, right, wanted)
    found = np.stack([curve.thresholds, curve.precisions, curve.recalls, curve.f1], 1)
    np.testing.assert_allclose(found, rows, atol=1e-12)
    best = max(rows, key=lambda row: (round(row[3], 12), row[0]))
    assert curve.thresholds[curve.best()] == best[0]
    for least in (0.3, 0.6):
        possible = [row for row in rows if row[1] >= least and row[2] >= 0.2]
        if possible:
            place = curve.best(precision=least, recall=0.2)
            top = max(round(row[3], 12) for row in possible)
            assert curve.f1[place] == pytest.approx(top)
            assert curve.precisions[place] >= least
        else:
            with pytest.raises(NoThreshold, match=r"no threshold reaches precision .* and recall"):
                curve.best(precision=least, recall=0.2)


def test_scores_that_are_no_scores():
    with pytest.raises(ValueError, match="must be finite and as many"):
        threshold_curve([0.1, float("nan")], [1, 0], 1)
    with pytest.raises(ValueError, match="must be finite and as many"):
        threshold_curve([0.1], [1, 0], 1)
    with pytest.raises(NoThreshold, match="there are no answers"):
        threshold_curve([], [], 1).best()


def small():
    """Return a tiny encoder and its tokenizer."""
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    return tasks.from_scratch(["the film is good"], min_count=1, **sizes)


def answering(task, answers):
    """Make a task and those made from it answer by its threshold among given answers."""

    class Fixed(type(task)):
        def predict(self, samples, batch_size=64, progress=None):
            keep = self.threshold or 0
            return [[one for one in answer if one.score > keep] for answer in answers]

    task.__class__ = Fixed
    return task


@pytest.mark.parametrize("name", ["Tagger", "RelationExtractor"])
def test_what_a_task_keeps_with_the_threshold_found(name):
    """The F1 of `metrics` after writing the threshold is the one that was promised."""
    rng = np.random.default_rng(0)
    entity = lambda k: RelationEntity(k, k + 1, "abcdefgh"[k])  # noqa: E731
    answers, labels = [], []
    for _ in range(12):
        scores = [0.05, 0.3, 0.31, 0.5, 0.7, 0.7, 0.95]
        if name == "Tagger":
            found = [tasks.Entity(k, k + 1, "X", "x", s) for k, s in enumerate(scores)]
            gold = [one.span for one in found if rng.random() < one.score]
            labels.append([tuple(span) for span in gold] + [(9, 10, "X")])
        else:
            found = [Relation(entity(k), "of", entity(7), s) for k, s in enumerate(scores)]
            labels.append([one.strings() for one in found if rng.random() < one.score])
        answers.append(found)
    if name == "Tagger":
        bert, tokenizer = small()
        task = tasks.Tagger.build(bert, ["X"], head="global-pointer", tokenizer=tokenizer)
        task = answering(task, answers)
    else:
        task = answering(build(name, "bert"), answers)
    samples = ["text"] * len(answers)
    found = find_candidates(task, samples, labels)
    curve = threshold_curve(found.scores, found.right, found.wanted)
    place = curve.best()
    again, value = with_threshold(task, found, float(curve.thresholds[place]))
    assert value == pytest.approx(curve.thresholds[place], abs=1e-6)
    assert again.metrics(again.predict(samples), labels)["f1"] == pytest.approx(curve.f1[place])
    assert 0.3 <= value < 0.7


def test_a_reader():
    task = build("ExtractiveQA", "bert")
    samples = [("the film", "the film is good"), ("story", "it was not very good")] * 2
    labels = [task.best(sample, 1)[0].text for sample in samples[:2]] + ["", []]
    found = find_candidates(task, samples, labels)
    assert found.wanted == 2
    assert found.right == [1.0, 1.0, 0.0, 0.0]
    task, value = with_threshold(task, found, min(found.scores))
    assert task.no_answer_threshold == value < min(found.scores)
    assert all(answer.text for answer in task.predict(samples))


def test_a_novelty_detector():
    task = build("NoveltyDetector", "bert")
    texts = ["the film", "我爱北京", "story", "good"]
    scores = [answer.score for answer in task.predict(texts)]
    found = find_candidates(task, texts, [False, True, False, True])
    assert (found.scores, found.right, found.wanted) == (scores, [0, 1, 0, 1], 2)
    task, rate = with_threshold(task, found, min(scores))
    assert task.false_alarm_rate == rate


def test_classes_pairs_and_a_chain_of_tags_have_no_option():
    texts = ["the film", "bad"]
    classifier = build("TextClassifier", "bert")
    found = find_candidates(classifier, texts, ["a", "b"])
    assert found.scores == [answer.score for answer in classifier.predict(texts)]
    with pytest.raises(tasks.TaskError, match="has no option for a threshold: it always answers"):
        with_threshold(classifier, found, 0.5)
    pairs = [("the film", "story"), ("bad", "good")]
    for name in ("Reranker", "SentenceEncoder"):
        found = find_candidates(build(name, "bert"), pairs, [5.0, 1.0])
        assert (found.right, found.wanted, found.option) == ([True, False], 1, "")
    tagger = build("Tagger", "bert")
    found = find_candidates(tagger, texts, [[], [(0, 3, "X")]])
    assert (found.wanted, found.option) == (1, "")
    with pytest.raises(tasks.TaskError, match="a FillMask has no threshold; TextClassifier, "):
        find_candidates(build("FillMask", "bert"), texts, texts)


def test_several_labels_a_text():
    bert, tokenizer = small()
    task = tasks.TextClassifier.build(bert, ["a", "b", "c"], "multi_label", tokenizer=tokenizer)
    found = find_candidates(task, ["film", "the"], [("a", "c"), ()])
    assert len(found.scores) == 6
    assert found.right == [1, 0, 1, 0, 0, 0]
    assert found.wanted == 2
