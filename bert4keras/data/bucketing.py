"""Bucketing by length: samples that share a batch, and the length to which it is padded.

A batch of B samples padded to length L costs B * L tokens. `choose_buckets` picks the few values of
L that cost least; `epoch_batches` puts samples of similar length into one batch. Few different L
matter because TensorFlow and JAX compile a step again for each shape.
"""

from __future__ import annotations

import numpy as np


def choose_buckets(lengths: np.ndarray, count: int = 8) -> list[int]:
    """Choose the `count` padded lengths with the smallest total of padded tokens.

    With values v_1 < ... < v_m of the lengths and n_j the number of samples of length v_j or less,
    let cost(k, j) be the smallest number of tokens of the samples up to v_j in k buckets. The last
    bucket is v_j and has the samples above some v_i, so

        cost(1, j) = n_j v_j
        cost(k, j) = min over i < j of cost(k - 1, i) + (n_j - n_i) v_j

    which dynamic programming solves in O(count m^2). The choices of i, followed back from j = m,
    are the buckets. The table allows i = 0, with cost 0: fewer buckets than `count`.

    Args:
        lengths: (n,) int, length of every sample.
        count: largest number of different padded lengths.

    Returns:
        At most `count` increasing lengths; the last is the longest that occurs.
    """
    values, occurrences = np.unique(np.asarray(lengths), return_counts=True)
    if len(values) > 512:  # the search is quadratic; fewer candidates lose little
        candidates = np.unique(np.quantile(values, np.linspace(0, 1, 512), method="higher"))
        places = np.searchsorted(candidates, values)
        occurrences = np.bincount(places, occurrences, len(candidates)).astype("int64")
        values = candidates
    below = np.concatenate([[0], np.cumsum(occurrences)])  # n_0 = 0, n_1, ..., n_m
    # cost[j]: cost(k, j) of the docstring, for the k buckets so far
    cost = below * np.concatenate([[0], values])
    choices = []
    for _ in range(1, min(count, len(values))):
        # segment[j - 1, i]: the samples above v_i, up to v_j, padded to v_j
        segment = (below[1:, None] - below[None, :-1]) * values[:, None]
        total = np.where(np.tri(len(values), dtype=bool), segment + cost[None, :-1], np.inf)
        choices.append(total.argmin(axis=1))
        cost = np.concatenate([[0], total.min(axis=1)])
    buckets, end = [], len(values)
    for choice in reversed(choices):
        buckets.append(int(values[end - 1]))
        end = int(choice[end - 1])
        if end == 0:
            break
    if end:
        buckets.append(int(values[end - 1]))
    return buckets[::-1]


def epoch_batches(
    lengths: np.ndarray,
    batch_size: int,
    pool: int,
    generator: np.random.Generator,
    drop_remainder: bool = False,
) -> list[np.ndarray]:
    """Make shuffled batches of samples of similar length; every sample occurs exactly once.

    Three steps: permute the samples; sort each pool of `pool * batch_size` consecutive samples by
    length and split it into batches; permute the batches. So a sample can share a batch with any
    other sample of similar length in its pool. A larger pool pads less, a smaller one mixes more;
    with `pool=1` a batch is a random sample of the data.

    Args:
        lengths: (n,) int, length of every sample.
        batch_size: samples per batch.
        pool: number of batches that are sorted together.
        generator: source of randomness.
        drop_remainder: leave out as many random samples as make the last batch incomplete.

    Returns:
        Arrays of sample indices; at most one has fewer than `batch_size`.
    """
    order = generator.permutation(len(lengths))
    if drop_remainder:  # before sorting, which would leave out the longest
        order = order[: len(order) // batch_size * batch_size]
    batches: list[np.ndarray] = []
    for start in range(0, len(order), pool * batch_size):
        part = order[start : start + pool * batch_size]
        part = part[np.argsort(lengths[part], kind="stable")]
        batches.extend(part[i : i + batch_size] for i in range(0, len(part), batch_size))
    return [batches[i] for i in generator.permutation(len(batches))]


def plain_batches(
    order: np.ndarray, batch_size: int, drop_remainder: bool = False
) -> list[np.ndarray]:
    """Split an order of samples into consecutive batches."""
    if drop_remainder:
        order = order[: len(order) // batch_size * batch_size]
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
