"""Triples to labels of both models, and back from perfect scores."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras.tasks.relations import Triple
from bert4keras.tasks.relations.triples import (
    casrel_labels,
    decode_linker,
    find_triples,
    half_pointers,
    linker_pairs,
    token_triples,
)
from bert4keras.tasks.span_matrix import dense_pairs, sparse_pairs

pytestmark = pytest.mark.spread

RELATIONS = ["in", "of"]
TEXT = "Apollo 12 of Apollo flew in 1969 ."
OFFSETS = [(0, 0), (0, 6), (7, 9), (10, 12), (13, 19), (20, 24), (25, 27), (28, 32), (33, 34)]
OFFSETS += [(0, 0)]
STRINGS = [("12", "in", "1969"), ("Apollo 12", "of", "Apollo"), ("Apollo 12", "in", "1969")]
# Of tokens; one subject lies within another.
TOKENS = [
    Triple((2, 3), "in", (7, 8)),
    Triple((1, 3), "of", (1, 2)),
    Triple((1, 3), "in", (7, 8)),
]


def scores_of(triples, length=10):
    pairs = linker_pairs(triples, RELATIONS)
    return dense_pairs(pairs, 2 + 2 * len(RELATIONS), length)[None] - 0.5


def test_strings_to_characters_to_tokens():
    found = find_triples(TEXT, STRINGS)
    assert found[0] == ((7, 9), "in", (28, 32))
    assert token_triples(found, OFFSETS) == TOKENS
    assert [triple.strings(TEXT) for triple in found] == STRINGS


def test_a_string_is_found_as_a_word_first():
    text = "it sits in Paris , the Parisian is"
    assert find_triples(text, [("is", 0, "it")])[0].subject == (32, 34)
    assert find_triples(text, [("aris", 0, "it")])[0].subject == (12, 16)
    assert find_triples("他是李明的父亲", [("李明", 0, "他")]) == [((2, 4), 0, (0, 1))]
    assert find_triples(text, [("London", 0, "it"), ("", 0, "it")]) == []


def test_what_is_cut_off_is_left_out():
    found = find_triples(TEXT, STRINGS)
    assert token_triples(found, OFFSETS[:7]) == [TOKENS[1]]
    assert token_triples(found, []) == []


@pytest.mark.parametrize("chosen", [[], [0], [1], [0, 1, 2]])
def test_links_come_back(chosen):
    triples = sorted(TOKENS[k] for k in chosen)
    assert decode_linker(scores_of(triples), None, RELATIONS) == [triples]
    found = decode_linker(scores_of(triples), [OFFSETS], RELATIONS)[0]
    assert sorted(t.strings(TEXT) for t in found) == sorted(STRINGS[k] for k in chosen)


def test_pairs_of_the_linker():
    assert linker_pairs(TOKENS[:1], RELATIONS) == [(0, 2, 2), (1, 7, 7), (2, 2, 7), (4, 2, 7)]


@pytest.mark.parametrize("pair", linker_pairs(TOKENS[1:2], RELATIONS))
def test_a_triple_needs_all_four_scores(pair):
    scores = scores_of(TOKENS[1:2])
    scores[(0, *pair)] = -1
    assert decode_linker(scores, None, RELATIONS) == [[]]


def test_only_the_best_entities_are_linked():
    """All scores are high: every span of every kind, unless few are taken."""
    scores = np.ones((1, 6, 4, 4))
    scores[0, :2, 1, 2] = 2.0
    assert decode_linker(scores, max_entities=1) == [[((1, 3), 0, (1, 3)), ((1, 3), 1, (1, 3))]]
    assert len(decode_linker(scores)[0]) == 2 * 10 * 10
    special = [[(0, 0), (0, 1), (1, 2), (0, 0)]]
    assert len(decode_linker(scores, special)[0]) == 2 * 3 * 3


def test_labels_of_casrel_come_back():
    """All subjects, but only the objects of the given one."""
    triples = TOKENS[:2]
    back = []
    for subject in [(2, 3), (1, 3), (5, 6)]:
        labels = casrel_labels(triples, subject, 10, RELATIONS)
        assert np.argwhere(labels[:, :2]).tolist() == [[1, 0], [2, 0], [2, 1]]
        objects = np.where(labels, 5.0, -5.0)[:, 2:].reshape(10, 2, 2)
        found = half_pointers(objects)
        back += [Triple(subject, RELATIONS[p], (first, last + 1)) for p, first, last in found]
    assert back == triples


def test_a_start_goes_with_the_next_end():
    """Log-odds of 0.6 are 0.405: a start of 0.3 is none, an end of 0.3 is one."""
    scores = np.full((6, 2, 2), -3.0)
    scores[[1, 2, 4], 0, 0] = 1.0, 1.0, 0.3
    scores[[0, 3, 5], 0, 1] = 1.0, 0.3, 1.0
    scores[5, 1, 0] = 1.0  # a start behind which there is no end
    assert half_pointers(scores) == [(0, 1, 3), (0, 2, 3)]
    assert half_pointers(scores, start=0.5) == [(0, 1, 3), (0, 2, 3), (0, 4, 5)]
    assert half_pointers(scores, end=0.6) == [(0, 1, 5), (0, 2, 5)]
    with pytest.raises(ValueError, match=r"between 0 and 1, not 1\.5"):
        half_pointers(scores, start=1.5)


def test_sparse_labels_of_the_linker():
    labels = sparse_pairs(linker_pairs(TOKENS, RELATIONS), 6)
    assert labels.shape == (6, 2, 2)
    assert labels[0].tolist() == [[1, 2], [2, 2]]


def test_bad_scores_are_named():
    with pytest.raises(ValueError, match="8 labels for 6 heads"):
        decode_linker(np.zeros((1, 6, 4, 4)), relations=["a", "b", "c"])
