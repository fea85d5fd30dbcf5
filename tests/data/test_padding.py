"""Padding and truncation against the plainest possible implementations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bert4keras.data import sequence_padding
from bert4keras.data.padding import to_array, truncate_sequences

pytestmark = pytest.mark.spread

ROWS = st.lists(st.lists(st.integers(1, 9), max_size=7), min_size=1, max_size=6)


@given(ROWS, st.none() | st.integers(1, 9), st.sampled_from(["post", "pre"]))
@settings(deadline=None)
def test_padding_of_rows(rows, length, mode):
    size = max(map(len, rows)) if length is None else length
    expected = []
    for row in rows:
        row = row[:size]
        blank = [-1] * (size - len(row))
        expected.append(row + blank if mode == "post" else blank + row)
    padded = sequence_padding(rows, length, value=-1, mode=mode)
    assert padded.dtype == "int32"
    assert padded.shape == (len(rows), size)
    assert padded.tolist() == expected


def test_padding_of_several_axes():
    a, b = np.ones((1, 3, 2)), np.full((2, 1, 2), 2.0)
    padded = sequence_padding([a, b], seq_dims=2)
    assert padded.shape == (2, 2, 3, 2)
    assert padded.dtype == "float32"
    assert padded[0].sum() == a.sum()
    assert (padded[1, :2, :1] == b).all()
    assert sequence_padding([a, b], length=[1, 1], seq_dims=2).shape == (2, 1, 1, 2)
    assert sequence_padding([a, b], mode="pre", seq_dims=2)[0, 1].sum() == a.sum()


@pytest.mark.parametrize(
    ("options", "length"),
    [({"buckets": [4, 8]}, 8), ({"multiple_of": 6}, 6), ({"buckets": [2, 3]}, 5), ({}, 5)],
)
def test_rounding_of_the_length(options, length):
    assert sequence_padding([[1] * 5, [1]], **options).shape == (2, length)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sequence_padding([]), "no sequences"),
        (lambda: sequence_padding([[1]], mode="middle"), "'middle'"),
        (lambda: sequence_padding([np.ones((1, 2)), np.ones((1, 3))]), "Raise seq_dims"),
        (lambda: sequence_padding([[1]], seq_dims=2), "at least 2 axes"),
        (lambda: sequence_padding([np.ones((1, 1))], length=3, seq_dims=2), "2 sizes"),
        (lambda: truncate_sequences(-1, 0, [1]), "must not be negative"),
        (lambda: truncate_sequences(1, [0], [1], [2]), "one per sequence"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def popping(maxlen, index, sequences):
    sequences = [list(s) for s in sequences]
    while sum(map(len, sequences)) > maxlen:
        max(sequences, key=len).pop(index)  # max returns the first of equals
    return sequences


@given(
    st.lists(st.lists(st.integers(), min_size=2, max_size=9), min_size=1, max_size=4),
    st.integers(0, 20),
    st.sampled_from([0, -1, 1, -2]),
)
@settings(max_examples=300, deadline=None)
def test_truncation_pops_from_the_longest(sequences, maxlen, index):
    own = [list(s) for s in sequences]
    try:
        expected = popping(maxlen, index, sequences)
    except IndexError:
        with pytest.raises(IndexError, match="Cannot truncate"):
            truncate_sequences(maxlen, index, *own)
        return
    assert truncate_sequences(maxlen, index, *own) == expected
    assert own == expected  # in place


def test_truncation_leaves_out_none():
    assert truncate_sequences(2, [0, -1, 0], [1, 2, 3], None, []) == [[2, 3], []]


def test_to_array():
    assert isinstance(to_array([1, 2]), np.ndarray)
    assert [a.tolist() for a in to_array([1], [[2]])] == [[1], [[2]]]
