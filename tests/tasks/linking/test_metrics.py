"""Scores of links, by hand."""

from __future__ import annotations

import pytest

from bert4keras.tasks.linking import linking_scores
from bert4keras.tasks.report import ClassScore

pytestmark = pytest.mark.spread

WANTED = [[(0, 4, "1"), (10, 14, "2")], [], [(3, 5, "1")]]


@pytest.mark.parametrize(
    ("found", "correct", "number"),
    [
        (WANTED, 3, 3),
        ([[(0, 4, "2"), (10, 15, "2"), (10, 14, "2")], [(0, 4, "1")], []], 1, 4),
        ([[(0, 4, "1"), [0, 4, "1"]], [], []], 1, 1),  # twice the same counts once
        ([[(3, 5, "1")], [], [(0, 4, "1")]], 0, 2),  # in another text
        ([[], [], []], 0, 0),
    ],
)
def test_by_hand(found, correct, number):
    precision, recall = correct / number if number else 0.0, correct / 3
    f1 = 2 * correct / (number + 3)
    assert linking_scores(found, WANTED) == ClassScore(
        pytest.approx(precision), pytest.approx(recall), pytest.approx(f1), correct, number, 3
    )


def test_micro_is_not_the_mean_over_texts():
    score = linking_scores([[(0, 1, "a")], []], [[(0, 1, "a")], [(0, 1, "b"), (2, 3, "c")]])
    assert score.recall == pytest.approx(1 / 3)


def test_as_many_predictions_as_texts():
    with pytest.raises(ValueError, match="1 predictions for 3 references"):
        linking_scores([[]], WANTED)
