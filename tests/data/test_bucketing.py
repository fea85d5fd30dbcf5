"""Bucketing against enumeration, and what it is for: fewer padded tokens."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bert4keras.data.bucketing import choose_buckets, epoch_batches, plain_batches


def cost(lengths, buckets):
    return sum(min(b for b in buckets if b >= n) for n in lengths)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=20), st.integers(1, 4))
@settings(deadline=None)
def test_buckets_are_the_best(lengths, count):
    values = sorted(set(lengths))
    best = min(
        cost(lengths, (*choice, values[-1]))
        for n in range(count)
        for choice in itertools.combinations(values[:-1], min(n, len(values) - 1))
    )
    buckets = choose_buckets(np.array(lengths), count)
    assert len(buckets) <= count
    assert buckets == sorted(set(buckets))
    assert cost(lengths, buckets) == best


def test_many_lengths_are_thinned_out():
    lengths = np.random.default_rng(0).integers(1, 5000, 20_000)
    buckets = choose_buckets(lengths, 8)
    assert len(buckets) == 8
    assert buckets[-1] == lengths.max()
    even = [int(b) for b in np.linspace(lengths.max() / 8, lengths.max(), 8)]
    assert cost(lengths, buckets) < 1.01 * cost(lengths, even)


@given(st.integers(1, 70), st.integers(1, 9), st.integers(1, 4))
@settings(deadline=None)
def test_every_sample_once(n, batch_size, pool):
    lengths = np.random.default_rng(n).integers(1, 50, n)
    batches = epoch_batches(lengths, batch_size, pool, np.random.default_rng(0))
    assert sorted(np.concatenate(batches).tolist()) == list(range(n))
    assert sum(len(b) < batch_size for b in batches) <= 1


def test_less_padding_than_random_order():
    rng = np.random.default_rng(0)
    lengths = rng.geometric(0.08, 3000)
    sorted_ones = epoch_batches(lengths, 32, 64, rng)
    random_ones = plain_batches(rng.permutation(3000), 32)
    padded = [sum(len(b) * lengths[b].max() for b in bs) for bs in (sorted_ones, random_ones)]
    assert padded[0] < 0.5 * padded[1]
    assert padded[0] < 1.3 * lengths.sum()
