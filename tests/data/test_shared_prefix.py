"""Rows of a text and its continuations, by hand and against a loop."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras.data import DataGenerator, PackedCandidates, pack_candidates

pytestmark = pytest.mark.spread


def test_by_hand():
    row = pack_candidates([2, 7, 3], [[8, 3], [9], [4, 5, 6]])
    assert row._fields == ("token_ids", "segment_ids", "candidate_ids", "starts")
    assert row.token_ids.tolist() == [2, 7, 3, 8, 3, 9, 4, 5, 6]
    assert row.segment_ids.tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 1]
    assert row.candidate_ids.tolist() == [0, 0, 0, 1, 1, 2, 3, 3, 3]
    assert row.starts.tolist() == [3, 5, 6]
    assert {array.dtype for array in row} == {np.dtype("int32")}


@pytest.mark.parametrize("seed", range(10))
def test_against_a_loop(seed):
    rng = np.random.default_rng(seed)
    parts = [rng.integers(1, 99, rng.integers(1, 6)) for _ in range(rng.integers(1, 6))]
    row = pack_candidates(parts[0], parts[1:])
    wanted, starts = [], []
    for number, part in enumerate(parts):
        starts += [len(wanted)] if number else []
        wanted += [(token, int(number > 0), number) for token in part]
    assert [*zip(*(array.tolist() for array in row[:3]), strict=True)] == wanted
    assert row.starts.tolist() == starts


def test_no_candidate_is_the_text_alone():
    row = pack_candidates((5, 6), [])
    assert row.candidate_ids.tolist() == [0, 0]
    assert row.starts.shape == (0,)


@pytest.mark.parametrize(
    ("prefix", "candidates", "message"),
    [([], [[1]], "the prefix has no tokens"), ([1], [[2], [], [3]], "candidate 1 has no tokens")],
)
def test_nothing_is_refused(prefix, candidates, message):
    with pytest.raises(ValueError, match=message):
        pack_candidates(prefix, candidates)


def test_a_batch_is_padded_with_what_is_no_candidate():
    rows = [pack_candidates([2, 3], [[5]] * count) for count in (1, 3)]
    assert isinstance(rows[0], PackedCandidates)
    batches = DataGenerator(rows, 2, encode=lambda row: (tuple(row),), shuffle=False)
    (token_ids, _, candidate_ids, starts), *_ = batches[0]
    assert token_ids[0, :5].tolist() == [2, 3, 5, 0, 0]
    assert candidate_ids[1, :5].tolist() == [0, 0, 1, 2, 3]
    assert starts[:, :3].tolist() == [[2, 0, 0], [2, 3, 4]]
    assert not starts[:, 3:].any()
