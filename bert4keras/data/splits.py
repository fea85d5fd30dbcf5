"""Training, validation and test sets: from files, or split at random."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from os import PathLike
from typing import Any


def split(
    samples: Sequence[Any],
    shares: Sequence[float] = (0.1, 0.1),
    seed: int = 0,
    group: Callable[[Any], Hashable] | None = None,
) -> list[list[Any]]:
    """Split samples at random into a training set and one held-out set for each share.

    Args:
        samples: N samples.
        shares: share of each held-out set, such as validation and test; each has at least one
            sample.
        seed: the same seed gives the same split.
        group: function sample -> key. Samples with equal keys, such as questions about one text,
            go to the same set; the shares are then shares of the groups.

    Returns:
        The training set, then the held-out sets in the order of `shares`; each in the order of
        `samples`.

    Raises:
        ValueError: no sample would be left for the training set.

    >>> [len(part) for part in split(range(10))]
    [8, 1, 1]
    """
    if group is not None:
        groups: dict[Hashable, list[Any]] = {}
        for sample in samples:
            groups.setdefault(group(sample), []).append(sample)
        parts = split(list(groups.values()), shares, seed)
        return [[sample for some in part for sample in some] for part in parts]
    sizes = [max(1, round(len(samples) * share)) for share in shares]
    if any(not 0 < share < 1 for share in shares) or sum(sizes) >= len(samples):
        parts = " and ".join(map(str, shares))
        raise ValueError(
            f"{len(samples)} sample(s) are too few to hold out a share of {parts}; more are "
            "needed, or separate files for these parts."
        )
    order = list(range(len(samples)))
    random.Random(seed).shuffle(order)
    parts, start = [], 0
    for size in (*sizes, len(order) - sum(sizes)):
        parts.append([samples[i] for i in sorted(order[start : start + size])])
        start += size
    return [parts[-1], *parts[:-1]]


def read_parts(
    read: Callable[[Any], Sequence[Any]],
    train: str | PathLike,
    valid: str | PathLike | None = None,
    test: str | PathLike | None = None,
    seed: int = 0,
    group: Callable[[Any], Hashable] | None = None,
) -> tuple[list[Any], list[Any], list[Any]]:
    """Read training, validation and test samples; a part without a file is a tenth of `train`.

    Args:
        read: function path -> samples, such as `read_labelled_texts`.
        train: file of the training samples.
        valid, test: files of the others, or None.
        seed, group: of `split`.

    Returns:
        The three lists.

    Raises:
        ValueError: `train` has too few samples.
        DataFileError: from `read`.
    """
    samples, paths = list(read(train)), (valid, test)
    missing = sum(path is None for path in paths)
    if missing:
        samples, *held_out = split(samples, [0.1] * missing, seed, group)
    valid, test = (held_out.pop(0) if path is None else list(read(path)) for path in paths)
    return samples, valid, test
