"""Reports by class: counts by hand, and confusions that add up to the scores."""

from __future__ import annotations

import itertools
import random

import pytest

from bert4keras import tasks
from bert4keras.tasks.classification.metrics import label_confusion, label_scores
from bert4keras.tasks.reading.metrics import reading_report
from bert4keras.tasks.relations.metrics import predicate_scores, triple_confusion, triple_scores
from bert4keras.tasks.report import BOUNDARY, MISSED, OTHER_ENTITY, SPURIOUS, ClassScore, ranked
from bert4keras.tasks.tagging import entity_scores
from bert4keras.tasks.tagging.metrics import entity_confusion, entity_report

pytestmark = pytest.mark.spread


def test_label_scores_and_confusion():
    found = [{"a"}, {"b"}, {"b"}, {"a", "c"}, set()]
    wanted = [{"a"}, {"a"}, {"b"}, {"a"}, {"c", "b"}]
    assert label_scores(found, wanted) == {
        "a": ClassScore(1.0, 2 / 3, 0.8, 2, 2, 3),
        "b": ClassScore(0.5, 0.5, 0.5, 1, 2, 2),
        "c": ClassScore(0.0, 0.0, 0.0, 0, 1, 1),
    }
    assert label_confusion(found, wanted) == {
        ("a", "a"): 2,
        ("a", "b"): 1,
        ("b", "b"): 1,
        (SPURIOUS, "c"): 1,
        ("b", MISSED): 1,
        ("c", MISSED): 1,
    }


def test_entity_confusion_by_hand():
    wanted = [[(0, 2, "人"), (3, 6, "LOC"), (8, 9, "ORG"), (10, 12, "LOC")]]
    found = [[(0, 2, "人"), (3, 5, "LOC"), (8, 9, "LOC"), (20, 21, "人")]]
    assert entity_confusion(found, wanted) == {
        ("人", "人"): 1,
        ("LOC", BOUNDARY): 1,
        ("ORG", "LOC"): 1,
        ("LOC", MISSED): 1,
        (SPURIOUS, "人"): 1,
    }


def test_entity_confusion_adds_up():
    """Rows add up to the entities wanted; found ones are those of columns and of boundaries."""
    draw = random.Random(0)
    spans = list(itertools.combinations(range(8), 2))
    for _ in range(200):
        found, wanted = (
            [[(*span, draw.choice("XY")) for span in draw.sample(spans, draw.randrange(5))]]
            for _ in range(2)
        )
        counts, scores = entity_confusion(found, wanted), entity_scores(found, wanted)
        for label, score in scores.types.items():
            assert sum(n for (one, _), n in counts.items() if one == label) == score.wanted
            columns = sum(n for (_, other), n in counts.items() if other == label)
            assert columns + counts.get((label, BOUNDARY), 0) == score.found
            assert counts.get((label, label), 0) == score.correct


def test_triple_confusion():
    wanted = [[("a", "of", "b"), ("a", "in", "c"), ("d", "of", "e"), ("f", "in", "g")]]
    found = [[("a", "of", "b"), ("a", "of", "c"), ("d", "of", "x"), ("y", "in", "z")]]
    assert triple_confusion(found, wanted) == {
        ("of", "of"): 1,
        ("in", "of"): 1,
        ("of", OTHER_ENTITY): 1,
        ("in", MISSED): 1,
        (SPURIOUS, "in"): 1,
    }
    draw, triples = random.Random(0), list(itertools.product("abc", "XY", "abc"))
    for _ in range(200):
        found, wanted = ([draw.sample(triples, draw.randrange(6))] for _ in range(2))
        counts = triple_confusion(found, wanted)
        for name, score in predicate_scores(found, wanted).items():
            assert sum(n for (one, _), n in counts.items() if one == name) == score.wanted
            columns = sum(n for (_, other), n in counts.items() if other == name)
            assert columns + counts.get((name, OTHER_ENTITY), 0) == score.found
            assert counts.get((name, name), 0) == score.correct


def test_wrong_answers_are_ranked_by_the_wrong_part():
    entity = lambda start, end, score: tasks.Entity(start, end, "X", "x", score)  # noqa: E731
    answers = [
        [entity(0, 1, 0.99)],
        [entity(0, 1, 0.6), entity(2, 3, 0.99)],
        [],
        [entity(0, 1, 0.9), entity(3, 4, 0.8)],
    ]
    labels = [[(0, 1, "X")], [(2, 3, "X")], [(0, 1, "X")], [(0, 1, "X"), (1, 2, "X")]]
    report = entity_report({"f1": 0.5}, answers, labels)
    assert report.wrong == [(3, 0.8), (1, 0.6), (2, 0.0)]
    assert report.classes["X"] == ClassScore(0.6, 0.6, 0.6, 3, 5, 5)
    assert ranked({2: 0.5, 1: 0.5, 0: 0.1}) == [(1, 0.5), (2, 0.5), (0, 0.1)]


def test_predicates_add_up():
    found = [[("a", "of", "b"), ("b", "in", "c")], [("a", "in", "b")]]
    wanted = [[("a", "of", "b")], [("a", "in", "c"), ("a", "in", "b")]]
    each, all_ = predicate_scores(found, wanted), triple_scores(found, wanted)
    assert each["of"] == ClassScore(1.0, 1.0, 1.0, 1, 1, 1)
    assert each["in"] == ClassScore(0.5, 0.5, 0.5, 1, 2, 2)
    for name in ("correct", "found", "wanted"):
        assert sum(getattr(one, name) for one in each.values()) == getattr(all_, name)


def test_answers_and_no_answers():
    answer = lambda text, score=0.5: tasks.Answer(text, 0, len(text), score)  # noqa: E731
    answers = [answer("red cat"), answer("dog", 0.9), answer(""), answer("bird"), answer("")]
    labels = ["red cat", "big dog", "cat", [], []]
    report = reading_report({"f1": 0.0}, "squad", answers, labels)
    assert report.confusion == {
        ("answer", "answer"): 1,
        ("answer", BOUNDARY): 1,
        ("answer", "no answer"): 1,
        ("no answer", "answer"): 1,
        ("no answer", "no answer"): 1,
    }
    assert report.classes["answer"] == ClassScore.of(1, 3, 3)
    assert report.classes["no answer"] == ClassScore.of(1, 2, 2)
    assert [place for place, _ in report.wrong] == [2, 3, 1]
    assert report.wrong[2].confidence == pytest.approx(0.9 / 3)
