"""Spans out of score matrices, and labels made of them."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras.tasks.span_matrix import decode_spans, dense_pairs, span_pairs, sparse_pairs

pytestmark = pytest.mark.spread

# [CLS] 北京 大学 校长 [SEP], the first text of 6 characters, and a text of no token.
OFFSETS = [[(0, 0), (0, 2), (2, 4), (4, 6), (0, 0)], [(0, 0), (0, 0)]]


def matrix(*pairs, heads=2, length=6):
    scores = np.full((2, heads, length, length), -1.0)
    for (head, first, last), score in pairs:
        scores[0, head, first, last] = score
    return scores


def test_nested_spans_keep_their_places():
    """北京 (1, 1) within 北京大学 (1, 2), which is within a span of the same head."""
    scores = matrix(((0, 1, 1), 0.5), ((1, 1, 2), 2.0), ((1, 1, 3), 1.0), ((0, 3, 3), -0.1))
    found = decode_spans(scores, OFFSETS, ["地点", "机构"])
    assert found == [[(0, 2, "地点"), (0, 4, "机构"), (0, 6, "机构")], []]
    assert decode_spans(scores)[0] == [(1, 2, 0), (1, 3, 1), (1, 4, 1)]
    assert decode_spans(scores, threshold=0.7)[0] == [(1, 3, 1), (1, 4, 1)]
    assert decode_spans(scores, OFFSETS, nested=False)[0] == [(0, 4, 1)]


@pytest.mark.parametrize("pair", [(0, 0, 1), (0, 1, 4), (0, 3, 1), (0, 5, 5), (0, 0, 0)])
def test_no_span_has_special_tokens_padding_or_the_wrong_order(pair):
    assert decode_spans(matrix((pair, 9.0)), OFFSETS) == [[], []]


def test_spans_apart_by_their_scores():
    """The best goes first; (3, 3) touches (1, 2) but does not overlap it."""
    scores = matrix(((0, 1, 2), 3.0), ((1, 2, 3), 2.0), ((1, 3, 3), 1.0))
    assert decode_spans(scores, nested=False)[0] == [(1, 3, 0), (3, 4, 1)]


def test_labels_of_both_forms_decode_to_the_spans():
    spans = [(1, 3, "b"), (1, 2, "a"), (2, 4, "b"), (3, 4, "b")]
    pairs = span_pairs(spans, ["a", "b"])
    dense = dense_pairs(pairs, 2, 6)
    assert dense.sum() == 4
    assert decode_spans(dense[None] - 0.5, labels=["a", "b"]) == [sorted(spans)]
    sparse = sparse_pairs(pairs, 2)
    assert sparse.tolist() == [[[1, 1], [-1, -1], [-1, -1]], [[1, 2], [2, 3], [3, 3]]]
    assert sparse_pairs([], 2, 4).tolist() == [[[-1, -1]] * 4] * 2
    assert sparse_pairs([], 1).shape == (1, 1, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: decode_spans(np.zeros((2, 3, 4))), r"must be \(B, H, T, T\), not \(2, 3, 4\)"),
        (lambda: decode_spans(matrix(), labels=["a"]), "1 labels for 2 heads"),
        (lambda: decode_spans(matrix(), OFFSETS[:1]), "offsets of 1 texts, but scores of 2"),
        (lambda: decode_spans(matrix(length=4), OFFSETS), "offsets of 5 tokens.* of 4.*maxlen"),
        (lambda: span_pairs([(0, 1, "x")], ["a"]), "unknown labels: x"),
        (lambda: sparse_pairs([(2, 0, 0)], 2), r"pair \(2, 0, 0\): there are 2 heads"),
        (lambda: sparse_pairs([(0, 0, 0), (0, 0, 1)], 1, 1), "2 pairs, more than size=1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
