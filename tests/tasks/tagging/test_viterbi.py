"""Viterbi and its k-best form against the scores of all label sequences."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from bert4keras.tasks.tagging.viterbi import best_paths, viterbi, viterbi_k_best
from helpers.label_sequences import MASK, chain_scores, every

pytestmark = pytest.mark.spread

RNG = np.random.default_rng(4)
B, T = MASK.shape


def problem(labels: int = 4, edges: bool = True) -> dict:
    """Random scores, with those of the ends if `edges`."""
    found = {
        "scores": RNG.normal(size=(B, T, labels)).astype("float32"),
        "transitions": RNG.normal(size=(labels, labels)),
    }
    ends = {"start": 2 * RNG.normal(size=labels), "end": 2 * RNG.normal(size=labels)}
    return {**found, **ends} if edges else found


def enumerated(scores, transitions, mask=MASK, start=None, end=None) -> list:
    """For each row all sequences and scores, the best first; those of -inf are left out."""
    zero, found = np.zeros(len(transitions)), []
    start, end = (zero if x is None else x for x in (start, end))
    for row, valid in zip(scores, mask, strict=True):
        paths = every(len(transitions), valid.sum())
        values = chain_scores(paths, row[valid], transitions, start, end)
        order = [i for i in np.argsort(-values) if values[i] > -np.inf]
        found.append((paths[order], values[order]))
    return found


@pytest.mark.parametrize("labels", [1, 2, 4])
@pytest.mark.parametrize("edges", [True, False])
def test_the_best_sequences(labels, edges):
    given = problem(labels, edges)
    wanted = enumerated(**given)
    for k in (1, 3, 7):
        rows = viterbi_k_best(**given, mask=MASK, k=k)
        for row, (paths, values) in zip(rows, wanted, strict=True):
            assert len(row) == min(k, len(paths))
            np.testing.assert_array_equal([path for path, _ in row], paths[:k])
            np.testing.assert_allclose([score for _, score in row], values[:k], atol=1e-9)
    best = viterbi(**given, mask=MASK)
    for path, (paths, _) in zip(best, wanted, strict=True):
        np.testing.assert_array_equal(path, paths[0])
        assert path.dtype.kind == "i"


def test_what_the_oracle_would_notice():
    given = problem()

    def best(mask=MASK, **changes):
        return [path.tolist() for path in viterbi(**{**given, **changes}, mask=mask)]

    right = [paths[0].tolist() for paths, _ in enumerated(**given)]
    assert best() == right
    wrong = [
        best(transitions=given["transitions"].T),
        best(start=given["end"], end=given["start"]),
        best(start=None),
        best(end=None),
        best(np.roll(MASK, 1, axis=1)),
        best(scores=given["scores"][:, ::-1]),
    ]
    assert all(other != right for other in wrong)


def test_minus_infinity_forbids():
    """Fewer sequences than asked for; where none is left the list holds one all the same."""
    given = problem()
    given["transitions"][0, 1] = given["transitions"][1] = given["start"][2] = -np.inf
    wanted = enumerated(**given)
    for row, (paths, values) in zip(viterbi_k_best(**given, mask=MASK, k=5), wanted, strict=True):
        np.testing.assert_array_equal([path for path, _ in row], paths[:5])
        np.testing.assert_allclose([score for _, score in row], values[:5])
    counts = [len(row) for row in viterbi_k_best(**given, mask=MASK, k=2000)]
    assert counts == [len(paths) for paths, _ in wanted]
    given["transitions"][:] = -np.inf
    nothing = viterbi_k_best(**given, mask=MASK, k=2)
    assert [len(row) for row in nothing] == [1, 1, 1, 1, 1, 2, 1]
    assert nothing[0][0][1] == -np.inf


def test_no_mask_no_rows_no_positions():
    given = problem()
    everywhere = viterbi(**given, mask=np.ones_like(MASK))
    np.testing.assert_array_equal(viterbi(**given), everywhere)
    np.testing.assert_array_equal(viterbi(**given, mask=np.ones(MASK.shape, int)), everywhere)
    given["scores"] = given["scores"][:2, :0]
    for row in viterbi_k_best(**given, k=3):
        assert [(path.tolist(), score) for path, score in row] == [([], 0.0)]
    given["scores"] = given["scores"][:0]
    assert viterbi(**given) == []


def test_what_is_masked_may_be_anything():
    given = problem()
    right = viterbi(**given, mask=MASK)
    given["scores"][~MASK] = np.nan
    for path, wanted in zip(viterbi(**given, mask=MASK), right, strict=True):
        np.testing.assert_array_equal(path, wanted)


def test_many_rows_are_worked_on_in_parts(monkeypatch):
    given = problem()
    right = [path.tolist() for path in viterbi(**given, mask=MASK)]
    module = sys.modules["bert4keras.tasks.tagging.viterbi"]
    monkeypatch.setattr(module, "_ROWS", 2)
    assert [path.tolist() for path in viterbi(**given, mask=MASK)] == right


def test_pairs_that_differ_from_position_to_position():
    pairs, lengths = RNG.normal(size=(T, 3, 3, 2)), np.array([T, 3])
    first, last = RNG.normal(size=(2, 3)), RNG.normal(size=(2, 3))
    found = best_paths(first, lambda t: pairs[t], last, lengths, k=4)
    alone = best_paths(first, lambda t: pairs[t], last, lengths)
    for row, n in enumerate(lengths):
        paths = every(3, n)
        values = first[row, paths[:, 0]] + last[row, paths[:, -1]]
        for t in range(1, n):
            values = values + pairs[t, paths[:, t - 1], paths[:, t], row]
        order = np.argsort(-values)[:4]
        np.testing.assert_array_equal([path for path, _ in found[row]], paths[order])
        np.testing.assert_allclose([score for _, score in found[row]], values[order])
        np.testing.assert_array_equal(alone[row][0][0], paths[order[0]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": 0}, "k=0 must be at least 1"),
        ({"scores": np.zeros((2, 3))}, r"must have shape \(B, T, C\), not \(2, 3\)"),
        ({"scores": np.zeros((2, 3, 0))}, r"must have shape \(B, T, C\)"),
        ({"mask": np.ones((2, 3))}, r"mask \(2, 3\) does not fit scores \(7, 5, 4\)"),
        ({"transitions": np.zeros((3, 3))}, r"transitions has shape \(3, 3\), but 4 labels need"),
        ({"start": np.zeros(5)}, r"start has shape \(5,\)"),
        ({"end": np.zeros((1, 4))}, r"end has shape \(1, 4\)"),
        ({"scores": np.full((7, 5, 4), np.nan)}, "scores contain NaN"),
    ],
)
def test_bad_arguments_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        viterbi_k_best(**{**problem(), "mask": MASK, "k": 1, **changes})
