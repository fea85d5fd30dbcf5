"""Scores of triples, counted by hand."""

from __future__ import annotations

import pytest

from bert4keras.tasks.relations import triple_scores

pytestmark = pytest.mark.spread

A, B, C = ("a", "r", "b"), ("b", "r", "a"), ("a", "s", "b")


def test_by_hand():
    """2 of 3 found are right and 2 of 4 wanted are found; what is given twice counts once."""
    predictions, references = [[A, A, B], [C], []], [[A, B], [], [A, C]]
    precision, recall, f1, *counts = triple_scores(predictions, references)
    assert counts == [2, 3, 4]
    assert (precision, recall) == (2 / 3, 1 / 2)
    assert f1 == pytest.approx(4 / 7)


def test_direction_and_relation_matter():
    assert triple_scores([[A]], [[B]]).f1 == triple_scores([[A]], [[C]]).f1 == 0
    assert triple_scores([[list(A)]], [[A]]).f1 == 1


def test_nothing_found_and_nothing_wanted():
    assert triple_scores([[]], [[A]])[:3] == (0, 0, 0)
    assert triple_scores([[A]], [[]])[:3] == (0, 0, 0)


def test_as_many_texts():
    with pytest.raises(ValueError, match="1 predictions for 2 references"):
        triple_scores([[]], [[], []])
