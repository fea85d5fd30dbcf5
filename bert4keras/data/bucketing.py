"""Which samples share a batch, and to which length it is padded."""

from __future__ import annotations

import numpy as np


def choose_buckets(lengths: np.ndarray, count: int = 8) -> list[int]:
    """The `count` lengths to which padding costs the least.

    Dynamic programming over the lengths that occur: minimises the sum over all samples of the
    smallest chosen length that holds it.

    Args:
        lengths: (n,) int, the length of every sample.
        count: how many different lengths batches may have.

    Returns:
        At most `count` increasing lengths; the last is the longest that occurs.
    """
    values, occurrences = np.unique(np.asarray(lengths), return_counts=True)
    if len(values) > 512:  # the cost of the search is quadratic; coarser candidates lose little
        candidates = np.unique(np.quantile(values, np.linspace(0, 1, 512), method="higher"))
        places = np.searchsorted(candidates, values)
        occurrences = np.bincount(places, occurrences, len(candidates)).astype("int64")
        values = candidates
    below = np.concatenate([[0], np.cumsum(occurrences)])  # samples below each candidate
    # cost[j]: tokens, if the first j candidates are covered by the buckets chosen so far
    cost = below * np.concatenate([[0], values])
    choices = []
    for _ in range(1, min(count, len(values))):
        # segment[j, i]: candidates i .. j-1 are padded to candidate j-1
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
    lengths: np.ndarray, batch_size: int, pool: int, generator: np.random.Generator
) -> list[np.ndarray]:
    """Shuffled batches of samples of similar length; every sample occurs exactly once.

    The samples are permuted; every `pool` batches of the permutation are sorted by length
    and cut into batches, and the order of all batches is shuffled at last. A larger pool pads
    less, a smaller one mixes more.

    Args:
        lengths: (n,) int, the length of every sample.
        batch_size: samples a batch.
        pool: batches that are sorted together.
        generator: source of randomness.

    Returns:
        Arrays of sample indices; only one batch may be smaller than `batch_size`.
    """
    order = generator.permutation(len(lengths))
    batches: list[np.ndarray] = []
    for start in range(0, len(order), pool * batch_size):
        part = order[start : start + pool * batch_size]
        part = part[np.argsort(lengths[part], kind="stable")]
        batches.extend(part[i : i + batch_size] for i in range(0, len(part), batch_size))
    return [batches[i] for i in generator.permutation(len(batches))]


def plain_batches(order: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Cut an order of samples into batches."""
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
