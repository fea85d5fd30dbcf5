"""Trees from distances against recursive nested lists; brackets and drawings."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras.tasks.parsing import (
    Bracketing,
    Parse,
    bracketed,
    build_tree,
    drawn,
    tree_of_words,
    unlabelled_scores,
)

pytestmark = pytest.mark.spread
DISTANCES = [[], [0.3], [0.3, 0.3], [0.5] * 5, [0, 0.2, 0.2, 0.1, 0.2], [5, 4, 3, 2, 1]]
DISTANCES += [np.random.default_rng(n).integers(0, 4, n).tolist() for n in range(2, 12)]


def nested(tokens, distances, right_biased):
    """The tree as nested lists, by the definition."""
    if len(tokens) < 2:
        return tokens[0] if tokens else None
    if right_biased:
        k = distances.index(max(distances))
        before, after = tokens[:k], tokens[k + 1 :]
        tree = tokens[k]
        if after:
            tree = [tree, nested(after, distances[k + 1 :], True)]
        return [nested(before, distances[:k], True), tree] if before else tree
    k = 1 + distances[1:].index(max(distances[1:]))
    return [
        nested(tokens[:k], distances[:k], False),
        nested(tokens[k:], distances[k:], False),
    ]


def written(tree):
    return f"({' '.join(map(written, tree))})" if isinstance(tree, list) else tree or ""


@pytest.mark.parametrize("right_biased", [False, True])
@pytest.mark.parametrize("distances", DISTANCES, ids=str)
def test_a_tree_equals_the_recursive_definition(distances, right_biased):
    tokens = [chr(97 + i) for i in range(len(distances))]
    spans = build_tree(distances, right_biased)
    expected = written(nested(tokens, list(distances), right_biased))
    assert bracketed(tokens, spans) == expected
    assert len(spans) == max(len(tokens) - 1, 0)


def test_the_two_rules_differ():
    assert build_tree([0, 1, 2, 0]) == [(0, 4), (0, 2), (2, 4)]
    assert build_tree([0, 2, 1, 0]) == [(0, 4), (1, 4), (2, 4)]
    assert build_tree([0, 0, 0, 9]) == [(0, 4), (0, 3), (1, 3)]
    assert build_tree([9, 0, 2, 0]) == [(0, 4), (0, 2), (2, 4)]
    assert build_tree([9, 0, 2, 0], right_biased=True) == [(0, 4), (1, 4), (2, 4)]


def test_a_long_sentence_needs_no_recursion():
    spans = build_tree(range(5000))
    assert spans[-1] == (0, 2)
    assert bracketed(["a"] * 5000, spans).startswith("(" * 4999)


def test_a_drawing_has_a_line_per_token():
    tokens = ["我们", "a", "喜欢", "猫", "，"]
    assert drawn(tokens, build_tree([0, 0.2, 0.9, 0.1, 0.5])).splitlines() == [
        "┬┬─── 我们",
        "│└─── a",
        "└┬┬── 喜欢",
        " │└── 猫",
        " └─── ，",
    ]
    assert drawn(["猫"], []) == "── 猫"
    assert drawn([], []) == ""


def test_control_characters_are_written_out():
    parse = Parse("a\x1bb", [(0, 1), (1, 3)], [0.0, 0.0], [(0, 2)])
    assert str(parse) == "┬── a\n└── \\x1bb"
    assert parse.brackets == "(a \\x1bb)"
    assert parse.tokens == ["a", "\x1bb"]


def test_words_take_the_largest_distance_of_their_tokens():
    text = "it is , he said"  # tokens: it i s , he said; words without the comma
    offsets = [(0, 2), (3, 4), (4, 5), (6, 7), (8, 10), (11, 15)]
    parse = Parse(text, offsets, [9.0, 0.2, 8.0, 0.7, 0.1, 0.3], [])
    words = [(0, 2), (3, 5), (8, 10), (11, 15)]
    # "he": of "s" and the comma 8.0, so the first split is before it
    assert tree_of_words(parse, words) == [(0, 4), (0, 2), (2, 4)]
    joined = Parse(text, [(0, 5), (8, 10), (11, 15)], [0.0, 0.1, 0.9], [])
    assert tree_of_words(joined, words) == [(0, 4), (0, 3), (0, 2)]  # "is" starts inside a token


def test_scores_count_constituents():
    found = unlabelled_scores([[(0, 2), (2, 4)], []], [[(0, 2), (1, 4), (0, 3)], [(0, 2)]])
    assert found == {"f1": 2 / 6, "precision": 1 / 2, "recall": 1 / 4}
    assert unlabelled_scores([[]], [[]]) == {"f1": 0, "precision": 0, "recall": 0}
    with pytest.raises(ValueError, match="zip"):
        unlabelled_scores([[]], [])
    assert Bracketing([(0, 1)], []).spans == []
